//! `payments.path`: the internal routes that lead to the distributor.

use crate::config::cursor::Cursor;
use crate::config::lowering::Lowering;
use crate::config::quote::quoted;
use crate::config::routes::{Lowered, auth_mode, check_issuers};
use crate::config::shape::Format;
use crate::config::targets::Targets;
use crate::payments;
use crate::snapshot::{AuthMode, Route, Target, Terms, TimeoutOverrides};

pub(super) static PATH: Format = Format {
    name: "a path such as /api/v1/payments",
    pattern: Some("^/[A-Za-z0-9/._~-]*[A-Za-z0-9._~-]$"),
    check: plain_path,
};

fn plain_path(text: &str) -> Result<(), String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._~-".contains(&b));
    let steps = text.split('/').skip(1).all(|step| !matches!(step, "" | "." | ".."));
    if text.starts_with('/') && plain && steps {
        return Ok(());
    }
    Err(format!(
        "{} is not a plain path; write one such as /api/v1/payments, without parameters or a slash at the end",
        quoted(text)
    ))
}

/// The two routes of the client API: the collection itself, and everything below it. Beside them the
/// one for webhooks, if there are any: providers have no tokens, their signatures stand for them.
pub(in crate::config) fn routes(
    payments: &Cursor<'_>,
    targets: &mut Targets<'_>,
    lowering: &mut Lowering<'_>,
) -> Vec<Lowered> {
    let Some(place) = payments.get("path") else { return Vec::new() };
    let Some(path) = place.text().filter(|path| plain_path(path).is_ok()) else { return Vec::new() };
    let Some(auth) = auth_mode(payments) else { return Vec::new() };
    check_issuers(payments, auth, targets, lowering);
    if auth != AuthMode::Required {
        let message = "callers without a token share one space of idempotency keys, so one can read another's payment; \
                       write `auth: required`";
        lowering.report.warning(&payments.get("auth").unwrap_or_else(|| payments.clone()).spot(), message);
    }
    let mut route = |name: &str, path: String, methods: &[&str], auth: AuthMode, max_body: usize| Lowered {
        route: Route {
            policy: targets.policy(Terms {
                auth,
                cors: None,
                allow_encoded_slash: false,
                max_body: Some(max_body as u64),
                retries: 0,
                timeouts: TimeoutOverrides::default(),
            }),
            target: Target::Payments,
            name: name.into(),
            path,
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            host: None,
        },
        place: place.spot(),
    };
    let mut client = |path| route("payments", path, &[], auth, payments::MAX_BODY);
    let mut routes = vec![client(path.to_owned()), client(format!("{path}/{{*rest}}"))];
    if payments.items_of("providers").iter().any(|provider| provider.get("webhook").is_some()) {
        let path = format!("{path}/webhooks/{{provider}}");
        routes.push(route("payment-webhooks", path, &["POST"], AuthMode::None, payments::MAX_WEBHOOK));
    }
    routes
}
