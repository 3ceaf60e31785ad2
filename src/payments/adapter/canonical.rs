//! The canonical protocol, `adapter: canonical`: what a team's own adapter service speaks.
//!
//! `docs/payments-canonical.md` is its specification; this file and that page change together. An
//! answer counts only if it repeats the order reference, amount and currency that were asked for:
//! one that belongs to another payment (a connection out of step) must never settle this one.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{Adapter, Answer, BuildError, Charge, WireRequest};
use crate::payments::verdict::{Doubt, Proof, Verdict};

/// Longest reference or code that is believed.
const MAX_TEXT: usize = 255;

/// See the module's text.
#[derive(Debug)]
pub struct Canonical;

impl Canonical {
    /// Its name in `providers[].adapter`.
    pub const NAME: &str = "canonical";
}

impl Adapter for Canonical {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn charge(&self, charge: &Charge<'_>) -> Result<WireRequest, BuildError> {
        let metadata: serde_json::Map<_, _> =
            charge.metadata.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        let body = json!({
            "order_reference": charge.order_reference,
            "amount": charge.money.amount,
            "currency": charge.money.currency.code(),
            "method": charge.method,
            "token": charge.token,
            "capture": true,
            "metadata": metadata,
        });
        let key = HeaderValue::from_str(charge.provider_key).map_err(|_| BuildError {
            adapter: Self::NAME.into(),
            detail: "the provider key is no header value".into(),
        })?;
        Ok(WireRequest {
            method: Method::POST,
            path: "/charges".into(),
            headers: vec![
                (CONTENT_TYPE, HeaderValue::from_static("application/json")),
                (ACCEPT, HeaderValue::from_static("application/json")),
                (HeaderName::from_static("idempotency-key"), key),
            ],
            body: Bytes::from(body.to_string()),
        })
    }

    fn classify_charge(&self, charge: &Charge<'_>, answer: &Answer) -> Verdict {
        match answer.status {
            StatusCode::TOO_MANY_REQUESTS => Verdict::NotProcessed { proof: Proof::Full },
            StatusCode::OK | StatusCode::CREATED | StatusCode::PAYMENT_REQUIRED => judge_charge(charge, answer),
            status if status.is_client_error() || status.is_server_error() => judge_error(answer),
            _ => Verdict::Unknown { doubt: Doubt::Unlisted },
        }
    }
}

/// A charge as the provider describes it; members that are not listed here are ignored.
#[derive(Deserialize)]
struct ChargeBody {
    id: String,
    status: String,
    order_reference: String,
    amount: u64,
    currency: String,
    decline_code: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    code: String,
}

fn judge_charge(charge: &Charge<'_>, answer: &Answer) -> Verdict {
    let Ok(body) = serde_json::from_slice::<ChargeBody>(&answer.body) else {
        return Verdict::Unknown { doubt: Doubt::Unreadable };
    };
    let same = body.order_reference == charge.order_reference
        && body.amount == charge.money.amount
        && body.currency == charge.money.currency.code();
    if !same {
        return Verdict::Unknown { doubt: Doubt::Mismatch };
    }
    if !is_short_text(&body.id) {
        return Verdict::Unknown { doubt: Doubt::Unreadable };
    }
    match (answer.status, body.status.as_str()) {
        (StatusCode::OK | StatusCode::CREATED, "succeeded") => Verdict::Succeeded { provider_ref: body.id },
        (_, "declined") => {
            let code = body.decline_code.filter(|code| is_short_text(code)).unwrap_or_else(|| "declined".into());
            Verdict::Declined { code, provider_ref: Some(body.id), soft: false }
        }
        (_, "pending") => Verdict::Unknown { doubt: Doubt::StillOpen },
        _ => Verdict::Unknown { doubt: Doubt::Unlisted },
    }
}

fn judge_error(answer: &Answer) -> Verdict {
    match serde_json::from_slice::<ErrorBody>(&answer.body) {
        Ok(body) if body.error.code == "not_processed" => Verdict::NotProcessed { proof: Proof::Stated },
        Ok(body) if body.error.code == "invalid_request" && is_validation(answer.status) => {
            Verdict::Declined { code: body.error.code, provider_ref: None, soft: false }
        }
        _ => Verdict::Unknown { doubt: Doubt::Unlisted },
    }
}

fn is_validation(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY)
}

/// Text that may stand in the ledger, in a log and in a client's answer.
fn is_short_text(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::money::{Currency, Money};

    fn charge() -> Charge<'static> {
        Charge {
            provider_key: "k",
            order_reference: "ref-1",
            money: Money { amount: 1000, currency: Currency::parse("EUR").expect("listed") },
            method: "card",
            token: "tok",
            metadata: &[],
        }
    }

    fn classify(status: u16, body: &str) -> Verdict {
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = Answer { status, headers: http::HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) };
        Canonical.classify_charge(&charge(), &answer)
    }

    fn echo(status: &str) -> String {
        format!(
            r#"{{"id":"ch_1","status":"{status}","order_reference":"ref-1","amount":1000,"currency":"EUR","decline_code":"do_not_honor"}}"#
        )
    }

    #[test]
    fn the_request_carries_our_reference_and_key() {
        let request = Canonical.charge(&charge()).expect("buildable");
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/charges"));
        assert!(request.headers.iter().any(|(name, value)| name == "idempotency-key" && value == "k"));
        assert_eq!(body["order_reference"], "ref-1");
        assert_eq!(body["amount"], 1000);
    }

    #[test]
    fn a_full_echo_settles_the_charge() {
        assert_eq!(classify(201, &echo("succeeded")), Verdict::Succeeded { provider_ref: "ch_1".into() });
        assert_eq!(classify(200, &echo("succeeded")).class(), "succeeded");
        let declined =
            Verdict::Declined { code: "do_not_honor".into(), provider_ref: Some("ch_1".into()), soft: false };
        assert_eq!(classify(201, &echo("declined")), declined);
        assert_eq!(classify(402, &echo("declined")), declined);
    }

    #[test]
    fn an_echo_of_something_else_is_unknown_whatever_it_says() {
        for (find, replace) in [("1000", "100"), ("EUR", "USD"), ("ref-1", "ref-2"), ("1000", "1000.5")] {
            for status in ["succeeded", "declined"] {
                let verdict = classify(201, &echo(status).replace(find, replace));
                assert_eq!(verdict.class(), "unknown", "{find} -> {replace}");
            }
        }
        assert_eq!(classify(201, &echo("succeeded").replace("1000", "1")), Verdict::Unknown { doubt: Doubt::Mismatch });
    }

    #[test]
    fn only_what_the_provider_states_is_not_processed() {
        let stated = r#"{"error":{"code":"not_processed"}}"#;
        assert_eq!(classify(503, stated), Verdict::NotProcessed { proof: Proof::Stated });
        assert_eq!(classify(400, stated), Verdict::NotProcessed { proof: Proof::Stated });
        assert_eq!(classify(429, ""), Verdict::NotProcessed { proof: Proof::Full });
        assert_eq!(classify(201, stated).class(), "unknown");
        for status in [302, 400, 401, 404, 408, 409, 500, 502, 503, 504] {
            for body in ["", "not_processed", r#"{"error":{"code":"boom"}}"#, r#"{"error":"not_processed"}"#] {
                assert_eq!(classify(status, body), Verdict::Unknown { doubt: Doubt::Unlisted }, "{status} {body}");
            }
        }
    }

    #[test]
    fn a_validation_error_is_a_decline_only_with_a_validation_status() {
        let invalid = r#"{"error":{"code":"invalid_request"}}"#;
        assert_eq!(classify(422, invalid).class(), "declined");
        assert_eq!(classify(500, invalid).class(), "unknown");
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_unknown() {
        for body in ["", "{}", "null", "[]", "<html>", "{\"id\":1}", &echo("weird"), &echo("pending")] {
            assert_eq!(classify(201, body).class(), "unknown", "{body}");
        }
        let long = echo("succeeded").replace("ch_1", &"x".repeat(300));
        assert_eq!(classify(201, &long).class(), "unknown");
        assert_eq!(classify(402, &echo("succeeded")).class(), "unknown");
        assert_eq!(classify(204, "").class(), "unknown");
    }
}
