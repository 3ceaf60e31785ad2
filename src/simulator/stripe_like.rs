//! The Stripe-like dialect: payment intents, charges and refunds; forms in, JSON out.
//!
//! Written from Stripe's public API reference: an intent is created unconfirmed and captured by its
//! confirmation; several intents may carry the same metadata; searches lag, reads by id do not; a
//! key replays the first answer and refuses other parameters.

use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::{json, path_of};
use super::books::{Books, Charge, ChargeState, Opening};
use super::form::{self, members, value};
use super::provider::{Counter, Wish};
use super::{Answer, Request};

/// The metadata in which callers pass their order reference.
const REFERENCE: &str = "order_reference";

pub(super) fn understand(books: &Books, request: &Request) -> (Wish, Option<String>) {
    let form = form_of(request);
    let of = |id: &str| books.by_id(id).map(|place| books.charge(place).reference.clone());
    let named = || members(&form, "metadata").into_iter().find(|(name, _)| *name == REFERENCE).map(|(_, v)| v.into());
    let target = || value(&form, "payment_intent").or(value(&form, "charge")).and_then(of);
    match (request.method(), path_of(request).as_slice()) {
        (&Method::POST, ["v1", "charges"]) if value(&form, "capture") == Some("false") => (Wish::Prepare, named()),
        (&Method::POST, ["v1", "charges"]) => (Wish::Charge, named()),
        (&Method::POST, ["v1", "payment_intents"]) if value(&form, "confirm") == Some("true") => {
            (Wish::Charge, named())
        }
        (&Method::POST, ["v1", "payment_intents"]) => (Wish::Prepare, named()),
        (&Method::POST, ["v1", "payment_intents" | "charges", id, "confirm" | "capture"]) => (Wish::Confirm, of(id)),
        (&Method::POST, ["v1", "payment_intents", id, "cancel"]) => (Wish::Cancel, of(id)),
        // A refund that names no amount takes back what there is.
        (&Method::POST, ["v1", "refunds"]) if value(&form, "amount").is_none() => (Wish::Void, target()),
        (&Method::POST, ["v1", "refunds"]) => (Wish::Refund, target()),
        (&Method::GET, ["v1", "charges"]) => (Wish::Lookup, value(&form, "transfer_group").map(str::to_owned)),
        (&Method::GET, ["v1", "payment_intents" | "charges", id]) => (Wish::Lookup, of(id)),
        _ => (Wish::Other, None),
    }
}

pub(super) fn answer(mut counter: Counter<'_>, request: &Request) -> Answer {
    let form = form_of(request);
    match (request.method(), path_of(request).as_slice()) {
        (&Method::POST, ["v1", "charges"]) => open(&mut counter, &form, Kind::Charge),
        (&Method::POST, ["v1", "payment_intents"]) => open(&mut counter, &form, Kind::Intent),
        (&Method::POST, ["v1", "payment_intents", id, "confirm"]) => confirm(&mut counter, &form, id),
        (&Method::POST, ["v1", "payment_intents" | "charges", id, "capture"]) => capture(&mut counter, id),
        (&Method::POST, ["v1", "payment_intents", id, "cancel"]) => cancel(&mut counter, id),
        (&Method::POST, ["v1", "refunds"]) => refund(&mut counter, &form),
        (&Method::GET, ["v1", "charges"]) => list(&counter, &form),
        (&Method::GET, ["v1", "payment_intents" | "charges", id]) => match counter.books.by_id(id) {
            Some(place) => json(StatusCode::OK, &document(counter.books.charge(place))),
            None => missing(id),
        },
        _ => refusal(StatusCode::NOT_FOUND, "invalid_request_error", "unknown_url", "Unrecognized request URL"),
    }
}

/// The first answer to a key again.
pub(super) fn replayed(mut first: Answer) -> Answer {
    first.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    first
}

/// A key that was used with other parameters.
pub(super) fn key_reused() -> Answer {
    let message = "Keys for idempotent requests can only be used with the same parameters";
    refusal(StatusCode::BAD_REQUEST, "idempotency_error", "idempotency_key_reused", message)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Intent,
    Charge,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Intent => "pi_",
            Self::Charge => "ch_",
        }
    }
}

fn form_of(request: &Request) -> Vec<(String, String)> {
    if request.method() == Method::GET {
        return form::pairs(request.uri().query().unwrap_or_default());
    }
    form::pairs(&String::from_utf8_lossy(request.body()))
}

fn open(counter: &mut Counter<'_>, form: &[(String, String)], kind: Kind) -> Answer {
    let amount = value(form, "amount").and_then(|amount| amount.parse::<u64>().ok()).filter(|amount| *amount > 0);
    let (Some(amount), Some(currency)) = (amount, value(form, "currency")) else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "parameter_missing", "amount and currency");
    };
    let metadata = members(form, "metadata");
    let of = |name: &str| metadata.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let opening = Opening {
        id: format!("{}{}_{}", kind.prefix(), counter.name, counter.books.charges().len() + 1),
        reference: of(REFERENCE).unwrap_or_default(),
        order: of("order"),
        amount,
        currency: currency.to_ascii_uppercase(),
        token: value(form, "payment_method").or(value(form, "source")).unwrap_or_default().to_owned(),
    };
    let place = counter.books.open(opening, counter.now);
    match kind {
        Kind::Charge if value(form, "capture") == Some("false") => counter.books.approve(place, None, counter.now),
        Kind::Charge => counter.books.capture(place, None, counter.now),
        Kind::Intent if value(form, "confirm") == Some("true") => counter.books.capture(place, None, counter.now),
        Kind::Intent => {}
    }
    stands(counter.books.charge(place))
}

fn confirm(counter: &mut Counter<'_>, form: &[(String, String)], id: &str) -> Answer {
    let Some(place) = counter.books.by_id(id) else { return missing(id) };
    if counter.books.charge(place).state != ChargeState::Prepared {
        return unexpected_state(counter.books.charge(place));
    }
    counter.books.capture(place, value(form, "payment_method"), counter.now);
    stands(counter.books.charge(place))
}

/// Takes the money that an approved charge or intent holds.
fn capture(counter: &mut Counter<'_>, id: &str) -> Answer {
    let Some(place) = counter.books.by_id(id) else { return missing(id) };
    let charge = counter.books.charge(place);
    if charge.state != ChargeState::Prepared || !charge.approved {
        return unexpected_state(charge);
    }
    counter.books.capture(place, None, counter.now);
    stands(counter.books.charge(place))
}

fn cancel(counter: &mut Counter<'_>, id: &str) -> Answer {
    let Some(place) = counter.books.by_id(id) else { return missing(id) };
    if !matches!(counter.books.charge(place).state, ChargeState::Prepared | ChargeState::Declined) {
        return unexpected_state(counter.books.charge(place));
    }
    counter.books.void(place, counter.now);
    json(StatusCode::OK, &document(counter.books.charge(place)))
}

fn refund(counter: &mut Counter<'_>, form: &[(String, String)]) -> Answer {
    let id = value(form, "payment_intent").or(value(form, "charge")).unwrap_or_default();
    let Some(place) = counter.books.by_id(id) else { return missing(id) };
    let charge = counter.books.charge(place);
    if charge.state == ChargeState::Prepared && charge.approved {
        // The hold on the customer's money ends; a refund is how that is asked for.
        counter.books.void(place, counter.now);
        return json(StatusCode::OK, &hold_ended(counter.books.charge(place)));
    }
    let left = charge.amount - charge.refunded();
    let amount = match value(form, "amount") {
        Some(text) => text.parse().unwrap_or(0),
        None => left,
    };
    let metadata = members(form, "metadata");
    let reference = metadata.iter().find(|(name, _)| *name == "refund_reference").map(|(_, value)| *value);
    let Some(number) = counter.books.refund(place, amount, reference, counter.now) else {
        let code = if left == 0 { "charge_already_refunded" } else { "invalid_refund_amount" };
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", code, "there is not so much left to refund");
    };
    let charge = counter.books.charge(place);
    let refund = &charge.refunds[number];
    let mut document = json!({
        "id": refund.id, "object": "refund", "status": "succeeded", "amount": refund.amount,
        "currency": charge.currency.to_ascii_lowercase(), "metadata": {},
    });
    let target = if charge.id.starts_with(Kind::Intent.prefix()) { "payment_intent" } else { "charge" };
    document[target] = charge.id.as_str().into();
    if let Some(reference) = &refund.reference {
        document["metadata"]["refund_reference"] = reference.as_str().into();
    }
    json(StatusCode::OK, &document)
}

/// The document of a refund that gives a hold back.
fn hold_ended(charge: &Charge) -> Value {
    json!({"id": format!("re_{}", charge.id), "object": "refund", "status": "succeeded", "amount": charge.amount,
        "currency": charge.currency.to_ascii_lowercase(), "charge": charge.id, "metadata": {}})
}

fn list(counter: &Counter<'_>, form: &[(String, String)]) -> Answer {
    let group = value(form, "transfer_group");
    let shown = |charge: &&Charge| {
        charge.id.starts_with(Kind::Charge.prefix())
            && charge.opened <= counter.shown
            && group.is_none_or(|group| charge.reference == group)
    };
    let limit = value(form, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
    let found: Vec<&Charge> = counter.books.charges().iter().rev().filter(shown).collect();
    let data: Vec<Value> = found.iter().take(limit).map(|charge| document(charge)).collect();
    json(StatusCode::OK, &json!({"object": "list", "has_more": found.len() > limit, "data": data}))
}

/// What a charge, creation or confirmation came to.
fn stands(charge: &Charge) -> Answer {
    if charge.state == ChargeState::Declined {
        let mut error = decline();
        let kind = if charge.id.starts_with(Kind::Intent.prefix()) { "payment_intent" } else { "charge" };
        error[kind] = if kind == "charge" { charge.id.as_str().into() } else { document(charge) };
        return json(StatusCode::PAYMENT_REQUIRED, &json!({"error": error}));
    }
    json(StatusCode::OK, &document(charge))
}

fn decline() -> Value {
    json!({"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor",
        "message": "Your card was declined."})
}

fn document(charge: &Charge) -> Value {
    let mut metadata = Map::new();
    metadata.insert(REFERENCE.into(), charge.reference.as_str().into());
    if let Some(order) = &charge.order {
        metadata.insert("order".into(), order.as_str().into());
    }
    let (id, currency) = (&charge.id, charge.currency.to_ascii_lowercase());
    let captured = charge.state == ChargeState::Captured;
    let received = if captured { charge.amount } else { 0 };
    let created = charge.opened.seconds();
    let paid = json!({
        "id": format!("ch_{id}"), "object": "charge", "amount": charge.amount, "amount_captured": received,
        "amount_refunded": charge.refunded(), "refunded": charge.refunded() == charge.amount, "captured": captured,
        "paid": captured, "currency": currency, "payment_intent": id,
        "status": if captured { "succeeded" } else { "failed" },
    });
    if charge.id.starts_with(Kind::Charge.prefix()) {
        let mut document = paid;
        let voided = charge.state == ChargeState::Voided;
        if voided {
            (document["amount_refunded"], document["refunded"]) = (charge.amount.into(), true.into());
        }
        let is_good = charge.state != ChargeState::Declined;
        document["status"] = if is_good { "succeeded" } else { "failed" }.into();
        document["failure_code"] = if is_good { Value::Null } else { "card_declined".into() };
        (document["id"], document["payment_intent"]) = (id.as_str().into(), Value::Null);
        (document["metadata"], document["created"]) = (metadata.into(), created.into());
        return document;
    }
    let status = match charge.state {
        ChargeState::Prepared if charge.approved => "requires_capture",
        ChargeState::Prepared if charge.token.is_empty() => "requires_payment_method",
        ChargeState::Prepared => "requires_confirmation",
        ChargeState::Captured => "succeeded",
        ChargeState::Declined => "requires_payment_method",
        ChargeState::Voided => "canceled",
    };
    json!({
        "id": id, "object": "payment_intent", "status": status, "amount": charge.amount, "amount_received": received,
        "currency": currency, "metadata": metadata, "created": created, "client_secret": format!("{id}_secret"),
        "latest_charge": if captured { paid } else { Value::Null },
        "last_payment_error": if charge.state == ChargeState::Declined { decline() } else { Value::Null },
        "next_action": Value::Null,
    })
}

fn unexpected_state(charge: &Charge) -> Answer {
    let mut error = json!({"type": "invalid_request_error", "code": "payment_intent_unexpected_state",
        "message": "this intent's status does not allow that"});
    error["payment_intent"] = document(charge);
    json(StatusCode::BAD_REQUEST, &json!({"error": error}))
}

fn missing(id: &str) -> Answer {
    let message = format!("No such object: '{id}'");
    refusal(StatusCode::NOT_FOUND, "invalid_request_error", "resource_missing", &message)
}

fn refusal(status: StatusCode, kind: &str, code: &str, message: &str) -> Answer {
    json(status, &json!({"error": {"type": kind, "code": code, "message": message}}))
}
