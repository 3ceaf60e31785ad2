//! The Toss-like dialect: the customer's device opens a payment, the shop's server confirms it.
//!
//! Written from Toss Payments' public API reference: a confirmation names payment key, order id and
//! amount; a payment is looked up by either name; cancelling gives back all or part of it.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{json, path_of};
use super::books::{Books, Charge, ChargeState};
use super::provider::{Counter, Wish};
use super::{Answer, Request};

/// The name that the device learns for the `nth` payment.
pub(super) fn payment_key(provider: &str, nth: usize) -> String {
    format!("tk_{provider}_{}", nth + 1)
}

pub(super) fn understand(books: &Books, request: &Request) -> (Wish, Option<String>) {
    let body = body_of(request);
    let of = |key: &str| books.by_id(key).map(|place| books.charge(place).reference.clone());
    match (request.method(), path_of(request).as_slice()) {
        (&Method::POST, ["v1", "payments", "confirm"]) => (Wish::Confirm, body["orderId"].as_str().map(str::to_owned)),
        (&Method::POST, ["v1", "payments", key, "cancel"]) => {
            let wish = if body["cancelAmount"].is_number() { Wish::Refund } else { Wish::Void };
            (wish, of(key))
        }
        (&Method::GET, ["v1", "payments", "orders", order]) => (Wish::Lookup, Some((*order).to_owned())),
        (&Method::GET, ["v1", "payments", key]) => (Wish::Lookup, of(key)),
        _ => (Wish::Other, None),
    }
}

pub(super) fn answer(mut counter: Counter<'_>, request: &Request) -> Answer {
    let body = body_of(request);
    match (request.method(), path_of(request).as_slice()) {
        (&Method::POST, ["v1", "payments", "confirm"]) => confirm(&mut counter, &body),
        (&Method::POST, ["v1", "payments", key, "cancel"]) => cancel(&mut counter, key, &body),
        (&Method::GET, ["v1", "payments", "orders", order]) => {
            found(&counter, counter.books.by_reference(order, counter.shown))
        }
        (&Method::GET, ["v1", "payments", key]) => found(&counter, counter.books.by_id(key)),
        _ => refusal(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing here"),
    }
}

fn body_of(request: &Request) -> Value {
    serde_json::from_slice(request.body()).unwrap_or_default()
}

fn confirm(counter: &mut Counter<'_>, body: &Value) -> Answer {
    let (Some(key), Some(order), Some(amount)) =
        (body["paymentKey"].as_str(), body["orderId"].as_str(), body["amount"].as_f64())
    else {
        return refusal(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "paymentKey, orderId and amount");
    };
    let Some(place) = counter.books.by_id(key) else {
        return refusal(StatusCode::NOT_FOUND, "NOT_FOUND_PAYMENT_SESSION", "the payment's time is over");
    };
    let charge = counter.books.charge(place);
    if is_over(counter, charge) {
        return refusal(StatusCode::NOT_FOUND, "NOT_FOUND_PAYMENT_SESSION", "the payment's time is over");
    }
    if charge.reference != order || charge.amount != minor(amount, &charge.currency) {
        return refusal(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "orderId or amount is another than the customer's");
    }
    match charge.state {
        ChargeState::Prepared => counter.books.capture(place, None, counter.now),
        ChargeState::Captured | ChargeState::Declined => {
            return refusal(StatusCode::BAD_REQUEST, "ALREADY_PROCESSED_PAYMENT", "it was processed before");
        }
        ChargeState::Voided => return refusal(StatusCode::BAD_REQUEST, "ALREADY_CANCELED_PAYMENT", "it was cancelled"),
    }
    match counter.books.charge(place) {
        charge if charge.state == ChargeState::Captured => json(StatusCode::OK, &document(counter, charge)),
        _ => refusal(StatusCode::FORBIDDEN, "REJECT_CARD_PAYMENT", "the card's issuer refused"),
    }
}

fn cancel(counter: &mut Counter<'_>, key: &str, body: &Value) -> Answer {
    let Some(place) = counter.books.by_id(key) else { return found(counter, None) };
    let charge = counter.books.charge(place);
    let amount = body["cancelAmount"].as_f64().map(|amount| minor(amount, &charge.currency));
    match (charge.state, amount) {
        (ChargeState::Captured, Some(amount)) => {
            if counter.books.refund(place, amount, body["cancelReason"].as_str(), counter.now).is_none() {
                let message = "there is not so much left to give back";
                return refusal(StatusCode::FORBIDDEN, "NOT_CANCELABLE_AMOUNT", message);
            }
        }
        (ChargeState::Captured, None) if charge.refunded() < charge.amount => counter.books.void(place, counter.now),
        (ChargeState::Captured | ChargeState::Voided, _) => {
            return refusal(StatusCode::BAD_REQUEST, "ALREADY_CANCELED_PAYMENT", "it was cancelled before");
        }
        // Real ones can't be cancelled before they are done; they expire.
        (ChargeState::Prepared | ChargeState::Declined, _) => {
            return refusal(StatusCode::FORBIDDEN, "NOT_CANCELABLE_PAYMENT", "it is not done");
        }
    }
    found(counter, Some(place))
}

fn found(counter: &Counter<'_>, place: Option<usize>) -> Answer {
    match place {
        Some(place) => json(StatusCode::OK, &document(counter, counter.books.charge(place))),
        None => refusal(StatusCode::NOT_FOUND, "NOT_FOUND_PAYMENT", "there is no such payment"),
    }
}

/// Whether a payment waited too long for its confirmation.
fn is_over(counter: &Counter<'_>, charge: &Charge) -> bool {
    charge.state == ChargeState::Prepared && counter.now.since(charge.opened) > counter.manners.session
}

/// Smallest units in one of the currency.
fn units(currency: &str) -> u32 {
    if matches!(currency, "KRW" | "JPY" | "VND") { 1 } else { 100 }
}

/// An amount as the dialect writes it, in smallest units.
fn minor(amount: f64, currency: &str) -> u64 {
    let amount = (amount * f64::from(units(currency))).round();
    // What is no amount is no charge's amount either.
    format!("{amount:.0}").parse().unwrap_or(0)
}

/// Smallest units as the dialect writes them.
fn major(amount: u64, currency: &str) -> Value {
    match u64::from(units(currency)) {
        1 => amount.into(),
        units => format!("{}.{:02}", amount / units, amount % units).parse::<f64>().unwrap_or(0.0).into(),
    }
}

fn document(counter: &Counter<'_>, charge: &Charge) -> Value {
    let money = |amount: u64| major(amount, &charge.currency);
    let all_back = charge.refunded() == charge.amount;
    let status = match charge.state {
        ChargeState::Prepared if is_over(counter, charge) => "EXPIRED",
        ChargeState::Prepared => "IN_PROGRESS",
        ChargeState::Captured if all_back => "CANCELED",
        ChargeState::Captured if charge.refunded() > 0 => "PARTIAL_CANCELED",
        ChargeState::Captured => "DONE",
        ChargeState::Declined => "ABORTED",
        ChargeState::Voided => "CANCELED",
    };
    let balance = match charge.state {
        ChargeState::Voided | ChargeState::Declined => 0,
        ChargeState::Prepared | ChargeState::Captured => charge.amount - charge.refunded(),
    };
    let mut cancels: Vec<Value> = charge
        .refunds
        .iter()
        .map(|refund| {
            json!({"transactionKey": refund.id, "cancelReason": refund.reference, "cancelAmount": money(refund.amount),
                "cancelStatus": "DONE"})
        })
        .collect();
    let left = charge.amount - charge.refunded();
    if charge.state == ChargeState::Voided && left > 0 {
        cancels.push(json!({"transactionKey": format!("cx_{}", charge.id), "cancelReason": "cancelled",
            "cancelAmount": money(left), "cancelStatus": "DONE"}));
    }
    json!({
        "paymentKey": charge.id, "orderId": charge.reference, "status": status, "totalAmount": money(charge.amount),
        "balanceAmount": money(balance), "currency": charge.currency, "method": "카드",
        "cancels": if cancels.is_empty() { Value::Null } else { cancels.into() },
        "failure": if charge.state == ChargeState::Declined {
            json!({"code": "REJECT_CARD_PAYMENT", "message": "the card's issuer refused"})
        } else {
            Value::Null
        },
    })
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Answer {
    json(status, &json!({"code": code, "message": message}))
}
