//! Payments for operators: what the ledger knows, and the one thing that they decide: what became of a
//! payment that the distributor could not settle. Clients pay through the data plane.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::Uri;
use serde::Deserialize;
use serde_json::json;

use super::access::Caller;
use super::answer::{self, Refusal};
use super::body;
use super::request::{self, Parameter};
use super::{AdminState, PaymentRecords};
use crate::clock::Timestamp;
use crate::payments::{AttemptState, Decision, Filter, PaymentId, PaymentState, Target, holds_card_number};
use crate::problem::Code;
use crate::types::ProviderName;

/// Payments that one answer carries, unless the caller says otherwise, and at most.
const LIST: (usize, usize) = (100, 1_000);
const FILTERS: &[&str] = &["status", "provider", "order_id", "from", "to", "before", "limit"];
/// Stands among the statuses for payments with anything that a person has to settle.
const MANUAL: &str = "manual";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveBody {
    attempt: Option<u32>,
    refund: Option<u32>,
    #[serde(rename = "as")]
    state: String,
    provider_ref: Option<String>,
    reason: String,
}

pub(super) async fn list(State(state): State<AdminState>, uri: Uri) -> Result<Response, Refusal> {
    let pairs = request::query(&uri, FILTERS)?;
    let records = records(&state)?;
    let filter = filter(&pairs)?;
    let asked = filter.provider.clone();
    let payments = records.list(filter).await?;
    if let Some(provider) = asked.filter(|_| payments == json!([])) {
        check_provider(&state, records, provider).await?;
    }
    Ok(answer::json(&json!({ "payments": payments })))
}

pub(super) async fn show(
    State(state): State<AdminState>,
    Parameter(id): Parameter,
    uri: Uri,
) -> Result<Response, Refusal> {
    request::query(&uri, &[])?;
    match records(&state)?.get(id.clone()).await? {
        Some(payment) => Ok(answer::json(&payment)),
        None => Err(Refusal::new(Code::NotFound, format!("there is no payment {id:?}"))),
    }
}

/// How the providers stand, and the flag that has their weights.
pub(super) async fn providers(State(state): State<AdminState>, uri: Uri) -> Result<Response, Refusal> {
    request::query(&uri, &[])?;
    let snapshot = state.handle.load();
    let settings = snapshot.payments.as_ref().ok_or_else(not_configured)?;
    let providers = records(&state)?.providers(settings)?;
    let killed =
        settings.weights.as_ref().and_then(|key| snapshot.flags.flags.get(key)).is_some_and(|flag| flag.killed);
    let document = json!({ "weights": settings.weights, "killed": killed, "providers": providers });
    Ok(answer::tagged_json(snapshot.revision, &document))
}

pub(super) async fn resolve(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Parameter(id): Parameter,
    request: Request,
) -> Result<Response, Refusal> {
    request::query(request.uri(), &[])?;
    let records = records(&state)?;
    let body = body::json(request, &state.limits).await?;
    Ok(answer::json(&records.resolve(id, decision(body, caller.actor)?).await?))
}

fn decision(body: ResolveBody, by: String) -> Result<Decision, Refusal> {
    let wrong = |detail: String| Refusal::new(Code::Unprocessable, detail);
    let state = match AttemptState::parse(&body.state) {
        Some(
            state @ (AttemptState::Succeeded
            | AttemptState::Declined
            | AttemptState::NotProcessed
            | AttemptState::Voided),
        ) => state,
        _ => {
            let detail = format!("as is {:?}; it is succeeded, declined, not_processed or voided", body.state);
            return Err(wrong(detail));
        }
    };
    let target = match (body.attempt, body.refund) {
        (Some(_), Some(_)) => return Err(wrong("name an attempt or a refund, not both".into())),
        (Some(attempt), None) => Some(Target::Attempt(attempt)),
        (None, Some(refund)) => Some(Target::Refund(refund)),
        (None, None) => None,
    };
    let provider_ref = body.provider_ref;
    let plain = |text: &String| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !provider_ref.as_ref().is_none_or(plain) {
        return Err(wrong("provider_ref is 1 to 255 visible ASCII characters".into()));
    }
    let reason = body.reason.trim();
    if reason.is_empty() || reason.chars().count() > 1_000 {
        return Err(wrong("reason is 1 to 1000 characters that say why, for those who read the journal".into()));
    }
    if holds_card_number(reason) {
        return Err(wrong(
            "reason holds a card number, and the journal keeps none; name the payment in another way".into(),
        ));
    }
    Ok(Decision { target, state, provider_ref, reason: reason.to_owned(), by })
}

fn filter(pairs: &[(String, String)]) -> Result<Filter, Refusal> {
    let status = request::single(pairs, "status")?;
    let manual = status.as_deref() == Some(MANUAL);
    let state = status.filter(|_| !manual).map(|status| state_named(&status)).transpose()?;
    let limit = request::limit(pairs, LIST.0, LIST.1)?;
    let (from, to) = (moment(pairs, "from")?, moment(pairs, "to")?);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(Refusal::new(Code::InvalidRequest, "from is not before to, so no payment can be between them"));
    }
    Ok(Filter {
        state,
        manual,
        provider: request::single(pairs, "provider")?.map(ProviderName::from),
        order_id: request::single(pairs, "order_id")?,
        from,
        to,
        before: request::single(pairs, "before")?.map(|text| before(&text)).transpose()?,
        limit: u32::try_from(limit).ok(),
    })
}

/// A name that is mistyped must not look like a provider without payments. One that is no longer configured may have some.
async fn check_provider(
    state: &AdminState,
    records: &dyn PaymentRecords,
    provider: ProviderName,
) -> Result<(), Refusal> {
    let snapshot = state.handle.load();
    let configured = snapshot.payments.iter().flat_map(|settings| &settings.providers).map(|one| &one.name);
    let configured: Vec<&str> = configured.map(ProviderName::as_str).collect();
    if configured.contains(&provider.as_str()) {
        return Ok(());
    }
    let any = Filter { provider: Some(provider.clone()), limit: Some(1), ..Filter::default() };
    if records.list(any).await? != json!([]) {
        return Ok(());
    }
    let detail = format!(
        "no provider {:?} is configured, and no payment ever went to one; there are: {}",
        provider.as_str(),
        configured.join(", ")
    );
    Err(Refusal::new(Code::InvalidRequest, detail))
}

fn state_named(status: &str) -> Result<PaymentState, Refusal> {
    PaymentState::parse(status).ok_or_else(|| {
        let known: Vec<_> = PaymentState::ALL.iter().map(|state| state.as_str()).chain([MANUAL]).collect();
        let detail = format!("there is no status {status:?}; there are {}", known.join(", "));
        Refusal::new(Code::InvalidRequest, detail)
    })
}

fn moment(pairs: &[(String, String)], name: &str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = request::single(pairs, name)? else { return Ok(None) };
    let detail = format!("{name} is {text:?}; it is a moment such as 2026-11-21T20:00:00Z");
    Timestamp::parse(&text).map(Some).ok_or_else(|| Refusal::new(Code::InvalidRequest, detail))
}

fn before(text: &str) -> Result<PaymentId, Refusal> {
    let detail = format!("before is {text:?}; it is the id of the last payment of the page before");
    PaymentId::parse(text).ok_or_else(|| Refusal::new(Code::InvalidRequest, detail))
}

fn records(state: &AdminState) -> Result<&dyn PaymentRecords, Refusal> {
    state.payments.as_deref().ok_or_else(not_configured)
}

fn not_configured() -> Refusal {
    Refusal::new(Code::NotFound, "payments are not configured; see the payments section")
}
