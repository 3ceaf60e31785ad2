//! The one list of what is routed: path, method, who may, handler. Layers are added here too, in order.

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, patch, post};
use axum::{Extension, Router};
use http::Method;

use super::access::{self, Call, Ends};
use super::answer::{self, Refusal};
use super::{AdminState, events, explain, flags, health, migrations, ofrep, openapi, payments, snapshot, status_page};
use crate::problem::Code;
use crate::snapshot::Role;

struct Operation {
    path: &'static str,
    method: Method,
    /// `None`: anybody, from anywhere.
    needs: Option<Role>,
    handler: MethodRouter<AdminState>,
}

#[rustfmt::skip]
fn table() -> Vec<Operation> {
    let open = |path, handler| Operation { path, method: Method::GET, needs: None, handler };
    let read = |path, handler| Operation { path, method: Method::GET, needs: Some(Role::Viewer), handler };
    let ask = |path, handler| Operation { path, method: Method::POST, needs: Some(Role::Viewer), handler };
    let change = |path, method, handler| Operation { path, method, needs: Some(Role::Operator), handler };
    vec![
        open("/livez", get(health::livez)),
        open("/readyz", get(health::readyz)),
        open("/metrics", get(health::metrics)),
        read("/", get(status_page::show)),
        read("/openapi.json", get(openapi::show)),
        read("/admin/v1/flags", get(flags::list)),
        read("/admin/v1/flags/{key}", get(flags::show)),
        change("/admin/v1/flags/{key}", Method::PATCH, patch(flags::change)),
        read("/admin/v1/flags/{key}/history", get(flags::history)),
        change("/admin/v1/flags/{key}/undo", Method::POST, post(flags::undo)),
        read("/admin/v1/migrations", get(migrations::list)),
        read("/admin/v1/snapshot", get(snapshot::show)),
        read("/admin/v1/explain", get(explain::from_query)),
        ask("/admin/v1/explain", post(explain::from_body)),
        read("/admin/v1/payments", get(payments::list)),
        read("/admin/v1/payments/providers", get(payments::providers)),
        read("/admin/v1/payments/{id}", get(payments::show)),
        change("/admin/v1/payments/{id}/resolve", Method::POST, post(payments::resolve)),
        read("/admin/v1/events", get(events::stream)),
        ask("/ofrep/v1/evaluate/flags", post(ofrep::all)),
        ask("/ofrep/v1/evaluate/flags/{key}", post(ofrep::one)),
    ]
}

/// Every path with a method that it takes and the role that it needs, as the OpenAPI document must list them.
#[must_use]
pub fn operations() -> Vec<(&'static str, Method, Option<Role>)> {
    table().into_iter().map(|operation| (operation.path, operation.method, operation.needs)).collect()
}

/// The control plane as a service. Requests carry their connection's [`Ends`] as an extension.
pub fn router(state: AdminState) -> Router {
    let mut router = Router::new();
    for Operation { path, needs, handler, .. } in table() {
        let handler = match needs {
            Some(role) => handler.route_layer(from_fn_with_state((state.clone(), role), admit)),
            None => handler,
        };
        router = router.route(path, handler);
    }
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(events::Streams::new(state.limits.event_streams)))
        .layer(from_fn(answer::finish))
        .with_state(state)
}

/// Lets the request pass with its [`access::Caller`], or refuses it.
async fn admit(
    State((state, needed)): State<(AdminState, Role)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let ends = request
        .extensions()
        .get::<Ends>()
        .copied()
        .ok_or_else(|| Refusal::new(Code::Internal, "a request came without its connection's addresses"))?;
    let call = Call { method: request.method(), uri: request.uri(), headers: request.headers(), ends };
    let caller = access::admit(&state.handle.load().admin, call, needed)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

async fn no_such_path(request: Request) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is nothing at {}", request.uri().path()))
}

async fn wrong_method(request: Request) -> Refusal {
    let (method, path) = (request.method(), request.uri().path());
    Refusal::new(Code::MethodNotAllowed, format!("{path} does not take {method}; Allow names what it takes"))
}
