//! The canonical dialect, as `docs/payments-canonical.md` specifies it.
//!
//! A void names an order reference, known or not; from then on nothing of that reference is charged.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{idempotency_key, json, path_of};
use super::books::{Books, Charge, ChargeState, Opening};
use super::provider::{Counter, Wish};
use super::{Answer, Request, form};

#[derive(Deserialize)]
struct Wanted {
    order_reference: String,
    amount: u64,
    currency: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Deserialize)]
struct Confirmation {
    amount: u64,
    currency: String,
    #[serde(default)]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Return {
    refund_reference: String,
    amount: u64,
}

pub(super) fn understand(books: &Books, request: &Request) -> (Wish, Option<String>) {
    let of = |id: &str| books.by_id(id).map(|place| books.charge(place).reference.clone());
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let named = body["order_reference"].as_str().map(str::to_owned);
    match (request.method(), path_of(request).as_slice()) {
        (&Method::POST, ["charges"]) => (Wish::Charge, named),
        (&Method::POST, ["payments"]) => (Wish::Prepare, named),
        (&Method::GET, ["payments"]) => (Wish::Lookup, asked_for(request)),
        (&Method::POST, ["payments", reference, "confirm"]) => (Wish::Confirm, Some((*reference).to_owned())),
        (&Method::POST, ["payments", reference, "void"]) => (Wish::Void, Some((*reference).to_owned())),
        (&Method::POST, ["payments", id, "refunds"]) => (Wish::Refund, of(id)),
        _ => (Wish::Other, None),
    }
}

pub(super) fn answer(mut counter: Counter<'_>, request: &Request) -> Answer {
    if request.method() == Method::POST && idempotency_key(request).is_none() {
        return invalid("Idempotency-Key is missing");
    }
    let answered = match (request.method(), path_of(request).as_slice()) {
        (&Method::POST, ["charges"]) => read(request).map(|wanted| open(&mut counter, wanted, true)),
        (&Method::POST, ["payments"]) => read(request).map(|wanted| open(&mut counter, wanted, false)),
        (&Method::GET, ["payments"]) => Ok(look(&counter, request)),
        (&Method::POST, ["payments", reference, "confirm"]) => {
            read(request).map(|body| confirm(&mut counter, reference, &body))
        }
        (&Method::POST, ["payments", reference, "void"]) => Ok(void(&mut counter, reference)),
        (&Method::POST, ["payments", id, "refunds"]) => read(request).map(|body| refund(&mut counter, id, &body)),
        _ => Ok(refusal(StatusCode::NOT_FOUND, "no_such_operation", "docs/payments-canonical.md says what there is")),
    };
    answered.unwrap_or_else(|message| invalid(&message))
}

/// A key that was used for another request.
pub(super) fn key_reused() -> Answer {
    refusal(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", "this key was used for another request")
}

fn read<'a, T: Deserialize<'a>>(request: &'a Request) -> Result<T, String> {
    serde_json::from_slice(request.body()).map_err(|error| error.to_string())
}

fn asked_for(request: &Request) -> Option<String> {
    let query = form::pairs(request.uri().query()?);
    form::value(&query, "order_reference").map(str::to_owned)
}

fn open(counter: &mut Counter<'_>, wanted: Wanted, captures: bool) -> Answer {
    if wanted.amount == 0 {
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", "amount must be above 0");
    }
    if counter.books.is_buried(&wanted.order_reference) {
        return refusal(StatusCode::CONFLICT, "voided", "this order reference was voided");
    }
    if counter.books.of_reference(&wanted.order_reference).next().is_some() {
        return refusal(StatusCode::CONFLICT, "reference_reused", "this order reference was used before");
    }
    let opening = Opening {
        id: format!("{}_{}", counter.name, counter.books.charges().len() + 1),
        reference: wanted.order_reference,
        order: wanted.metadata.get("order").and_then(Value::as_str).map(str::to_owned),
        amount: wanted.amount,
        currency: wanted.currency,
        token: wanted.token.unwrap_or_default(),
    };
    let place = counter.books.open(opening, counter.now);
    if captures {
        counter.books.capture(place, None, counter.now);
    }
    stands(StatusCode::CREATED, counter.books.charge(place))
}

fn look(counter: &Counter<'_>, request: &Request) -> Answer {
    let Some(reference) = asked_for(request) else { return invalid("order_reference is missing") };
    match counter.books.by_reference(&reference, counter.shown) {
        Some(place) => json(StatusCode::OK, &document(counter.books.charge(place))),
        None => missing(),
    }
}

fn confirm(counter: &mut Counter<'_>, reference: &str, body: &Confirmation) -> Answer {
    let Some(place) = counter.books.by_reference(reference, counter.now) else { return missing() };
    let charge = counter.books.charge(place);
    if (charge.amount, &charge.currency) != (body.amount, &body.currency) {
        return invalid("amount or currency is another than was prepared");
    }
    counter.books.capture(place, body.token.as_deref(), counter.now);
    stands(StatusCode::OK, counter.books.charge(place))
}

fn refund(counter: &mut Counter<'_>, id: &str, body: &Return) -> Answer {
    let Some(place) = counter.books.by_id(id) else { return missing() };
    let Some(number) = counter.books.refund(place, body.amount, Some(&body.refund_reference), counter.now) else {
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", "there is not so much left to refund");
    };
    let charge = counter.books.charge(place);
    let refund = json!({
        "id": charge.refunds[number].id, "status": "succeeded", "refund_reference": body.refund_reference,
        "order_reference": charge.reference, "amount": body.amount, "currency": charge.currency,
        "refunded": charge.refunded(),
    });
    json(StatusCode::CREATED, &refund)
}

fn void(counter: &mut Counter<'_>, reference: &str) -> Answer {
    if counter.manners.remembers_voids {
        counter.books.bury(reference);
    }
    // What lookups do not show yet is there all the same.
    if let Some(place) = counter.books.by_reference(reference, counter.now) {
        counter.books.void(place, counter.now);
    }
    json(StatusCode::OK, &json!({"status": "voided", "order_reference": reference}))
}

fn stands(status: StatusCode, charge: &Charge) -> Answer {
    let declined = charge.state == ChargeState::Declined;
    json(if declined { StatusCode::PAYMENT_REQUIRED } else { status }, &document(charge))
}

fn document(charge: &Charge) -> Value {
    let status = match charge.state {
        ChargeState::Prepared => "prepared",
        ChargeState::Captured => "succeeded",
        ChargeState::Declined => "declined",
        ChargeState::Voided => "voided",
    };
    let mut document = json!({
        "id": charge.id, "status": status, "order_reference": charge.reference, "amount": charge.amount,
        "currency": charge.currency, "refunded": charge.refunded(),
    });
    match charge.state {
        ChargeState::Declined => document["decline_code"] = "do_not_honor".into(),
        ChargeState::Prepared => {
            let url = format!("https://pay.example/authenticate/{}", charge.id);
            document["next_action"] = json!({"type": "redirect", "url": url});
        }
        ChargeState::Captured | ChargeState::Voided => {}
    }
    document
}

fn missing() -> Answer {
    refusal(StatusCode::NOT_FOUND, "not_found", "there is no such charge")
}

fn invalid(message: &str) -> Answer {
    refusal(StatusCode::BAD_REQUEST, "invalid_request", message)
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    json(status, &json!({"error": {"code": code, "message": message}}))
}
