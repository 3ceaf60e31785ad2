//! What a client gets to read: its payment as a document, and every refusal with its mend.

use std::time::Duration;

use serde_json::{Value, json};

use super::ApiResponse;
use super::id::PaymentId;
use super::ledger::{StoredAttempt, StoredPayment};
use super::record::{AttemptState, Operation, PaymentState};
use super::run::Told;
use crate::problem::{Code, Problem};

/// When a client should ask again about a pending payment, in seconds.
pub(super) const ASK_AGAIN: &str = "2";

pub(super) type Headers = Vec<(&'static str, String)>;

/// The answer to any request while the ledger was never open: there is no distributor to ask yet.
#[must_use]
pub fn without_ledger() -> ApiResponse {
    let detail = "the payment ledger is not open yet, so nothing is attempted; ask again with the same key";
    let problem = Problem::new(Code::PaymentsUnavailable, detail);
    ApiResponse::Problem { problem, headers: vec![("retry-after", ASK_AGAIN.into())] }
}

/// The answer to a request that begins something.
pub(super) fn tell(path: &str, operation: Operation, told: Told) -> ApiResponse {
    let unavailable = |detail: &str, retry_after: String| ApiResponse::Problem {
        problem: Problem::new(Code::PaymentsUnavailable, detail),
        headers: vec![("retry-after", retry_after)],
    };
    match told {
        Told::Stands { payment, refund, replayed } => stands(path, operation, &payment, refund, replayed),
        Told::OtherContent => refuse(
            Code::Unprocessable,
            "this Idempotency-Key was used for a request of other content; use a new key for a new request",
        ),
        Told::StillRunning => ApiResponse::Problem {
            problem: Problem::new(
                Code::Conflict,
                "a request about this payment is still at work; ask again with the same key",
            ),
            headers: vec![("retry-after", "1".into())],
        },
        Told::Missing => missing(),
        Told::Unfit { payment, why } => {
            refuse(Code::Conflict, &format!("the payment's status is {}: {why}", status(&payment)))
        }
        Told::TooMuch { left } => refuse(
            Code::Unprocessable,
            &format!("amount: is more than what is left of the payment, {} ({left})", left.amount),
        ),
        Told::NobodyTakesIt => {
            refuse(Code::Unprocessable, "no provider takes this method in this currency; choose another method")
        }
        Told::NoProvider { retry_after, payment, why } => {
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            let detail =
                format!("no payment provider is available{why}; nothing was charged, ask again with the same key");
            let problem = Problem::new(Code::PaymentsUnavailable, detail);
            let mut headers = vec![("retry-after", seconds(retry_after))];
            headers.extend(payment.map(|id| ("location", format!("{path}/{id}"))));
            ApiResponse::Problem { problem, headers }
        }
        Told::NotRefunded => {
            unavailable("the provider gave nothing back; ask again with a new key", ASK_AGAIN.to_owned())
        }
        Told::OwnerGone => unavailable(
            "the payment's provider is not configured at the moment, and no other can do this",
            "60".to_owned(),
        ),
        Told::LedgerDown => unavailable(
            "payments can't be recorded at the moment, so nothing is attempted; ask again with the same key",
            ASK_AGAIN.to_owned(),
        ),
    }
}

/// The answer to a client that asks how its payment stands.
pub(super) fn show(path: &str, payment: &StoredPayment) -> ApiResponse {
    let headers = match payment.state {
        PaymentState::Pending => pending_headers(path, &payment.id),
        _ => Vec::new(),
    };
    ApiResponse::Json { status: 200, headers, body: line(&document(payment)) }
}

fn stands(
    path: &str,
    operation: Operation,
    payment: &StoredPayment,
    refund: Option<u32>,
    replayed: bool,
) -> ApiResponse {
    let mut document = document(payment);
    let location = || vec![("location", format!("{path}/{}", payment.id))];
    let (code, mut headers) = match payment.state {
        PaymentState::Succeeded if operation == Operation::Charge => (201, location()),
        PaymentState::Succeeded | PaymentState::Cancelled => (200, location()),
        PaymentState::Declined => (402, location()),
        PaymentState::RequiresAction => (202, location()),
        PaymentState::Pending | PaymentState::NotProcessed => (202, pending_headers(path, &payment.id)),
    };
    let mut code = code;
    if let Some(refund) = refund.and_then(|number| payment.refunds.iter().find(|refund| refund.number == number)) {
        let state = refund.state;
        let status = match state {
            AttemptState::Succeeded | AttemptState::Declined | AttemptState::NotProcessed => state.as_str(),
            _ => PaymentState::Pending.as_str(),
        };
        match state {
            AttemptState::NotProcessed => return tell(path, operation, Told::NotRefunded),
            AttemptState::Succeeded => code = 200,
            AttemptState::Declined => code = 402,
            _ => (code, headers) = (202, pending_headers(path, &payment.id)),
        }
        document["refund"] = json!({ "number": refund.number, "status": status, "amount": refund.amount });
        if let (AttemptState::Declined, Some(reason)) = (state, &refund.reason) {
            document["refund"]["decline_code"] = reason.as_str().into();
        }
    }
    if replayed {
        headers.push(("idempotent-replayed", "true".into()));
    }
    ApiResponse::Json { status: code, headers, body: line(&document) }
}

/// A payment as its client sees it.
fn document(payment: &StoredPayment) -> Value {
    let attempt = payment.deciding_attempt();
    let mut document = json!({
        "id": payment.id.as_str(),
        "order_id": payment.order_id,
        "status": status(payment),
        "amount": payment.money.amount,
        "currency": payment.money.currency.code(),
        "provider": attempt.map(|attempt| attempt.provider.as_str()),
        "provider_ref": attempt.and_then(|attempt| attempt.provider_ref.as_deref()),
        "attempts": payment.attempts.len(),
        "created_at": payment.created.rfc3339(),
    });
    match payment.state {
        PaymentState::Declined => {
            if let Some(code) = attempt.and_then(|attempt| attempt.decline_code.as_deref()) {
                document["decline_code"] = code.into();
            }
        }
        PaymentState::RequiresAction => {
            document["next_action"] = json!(attempt.map(|attempt| &attempt.next_action));
        }
        _ => {}
    }
    if payment.refunded() > 0 {
        document["refunded"] = payment.refunded().into();
    }
    document
}

/// The payment's state, as clients hear it: a customer who took part once and in vain hears so.
fn status(payment: &StoredPayment) -> &'static str {
    let in_vain = |attempt: &StoredAttempt| attempt.operation == Operation::Confirm && attempt.state.is_released();
    if payment.state == PaymentState::RequiresAction && payment.attempts.iter().any(in_vain) {
        return "requires_reauth";
    }
    payment.state.as_str()
}

/// A document is a whole line for whoever reads it in a terminal.
fn line(document: &Value) -> String {
    format!("{document}\n")
}

fn pending_headers(path: &str, id: &PaymentId) -> Headers {
    vec![("location", format!("{path}/{id}")), ("retry-after", ASK_AGAIN.into())]
}

pub(super) fn missing() -> ApiResponse {
    refuse(Code::NotFound, "there is no such payment")
}

pub(super) fn refuse(code: Code, detail: &str) -> ApiResponse {
    ApiResponse::Problem { problem: Problem::new(code, detail), headers: Vec::new() }
}

/// Whole seconds, rounded up, at least one.
fn seconds(span: Duration) -> String {
    span.as_millis().div_ceil(1000).max(1).to_string()
}
