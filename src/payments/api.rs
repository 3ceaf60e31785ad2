//! The client API: which call it is, whether it is well-formed, and what the answer looks like.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use serde_json::json;

use super::charge::{self, Asked, Told};
use super::distributor::Distributor;
use super::id::PaymentId;
use super::idempotency::is_client_key;
use super::ledger::StoredPayment;
use super::record::PaymentState;
use super::request::{MAX_BODY, parse_charge};
use super::settings::Settings;
use super::{ApiRequest, ApiResponse};
use crate::problem::{Code, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// When a client should ask again about a pending payment, in seconds.
const ASK_AGAIN: &str = "2";

type Headers = Vec<(&'static str, String)>;

impl Distributor {
    /// Answers one call of the client API under the settings of the caller's snapshot. Runs on the
    /// control runtime; dropping the future does not stop a payment that has begun.
    pub async fn handle(self: Arc<Self>, settings: Arc<Settings>, request: ApiRequest) -> ApiResponse {
        let path: Vec<&str> = request.subpath.split('/').collect();
        match (path.as_slice(), request.method.as_str()) {
            ([""], "POST") => self.post_charge(settings, request).await,
            ([""], _) => not_allowed("POST"),
            (["", id], "GET" | "HEAD") => self.get_payment(&settings, &request.client, id).await,
            (["", _, "confirm" | "cancel" | "refund"] | ["", "webhooks", _], "POST") => refuse(
                Code::NotImplemented,
                "confirm, cancel, refund and webhooks are not in this version; there are charge and get",
            ),
            (["", id], _) if PaymentId::parse(id).is_some() => not_allowed("GET, HEAD"),
            _ => refuse(Code::NotFound, "there is nothing here; payments are made with POST at the API's own path"),
        }
    }

    async fn post_charge(self: Arc<Self>, settings: Arc<Settings>, request: ApiRequest) -> ApiResponse {
        let asked = match self.read_charge(&request) {
            Ok(asked) => asked,
            Err(problem) => return ApiResponse::Problem { problem, headers: Vec::new() },
        };
        let path = settings.path.clone();
        // A task of its own: a client that hangs up must not stop a payment between intent and outcome.
        let task = tokio::spawn(async move { charge::charge(&self, settings, asked).await });
        match task.await {
            Ok(told) => tell(&path, told),
            Err(error) => {
                tracing::error!(error = %error, request.id = %request.request_id, "A payment's task ended early");
                refuse(Code::Internal, "the outcome is not known here; ask again with the same key")
            }
        }
    }

    fn read_charge(&self, request: &ApiRequest) -> Result<Asked, Problem> {
        let key = idempotency_key(&request.headers)?;
        if request.body.len() > MAX_BODY {
            let detail = format!("a charge has at most {MAX_BODY} bytes");
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        if !is_json(&request.headers) {
            return Err(Problem::new(Code::UnsupportedMediaType, "send the charge as application/json"));
        }
        let charge =
            parse_charge(&request.body).map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))?;
        Ok(Asked {
            client: self.keyring.client(&request.client),
            key: self.keyring.client_key(&request.client, key),
            request: charge,
            request_id: request.request_id.clone(),
        })
    }

    async fn get_payment(&self, settings: &Settings, client: &str, id: &str) -> ApiResponse {
        let missing = || refuse(Code::NotFound, "there is no such payment");
        let Some(id) = PaymentId::parse(id) else { return missing() };
        match self.ledger.payment(id).await {
            Ok(Some(payment)) if payment.client == self.keyring.client(client) => {
                let headers = match payment.state {
                    PaymentState::Pending => pending_headers(&settings.path, &payment.id),
                    _ => Vec::new(),
                };
                ApiResponse::Json { status: 200, headers, body: document(&payment) }
            }
            // Another client's payment is as good as none: its existence is nobody's business.
            Ok(_) => missing(),
            Err(error) => {
                self.observer.ledger_failed();
                tracing::error!(error = %error, "A payment can't be read");
                let problem = Problem::new(Code::PaymentsUnavailable, "the payment can't be looked up at the moment");
                ApiResponse::Problem { problem, headers: vec![("retry-after", ASK_AGAIN.into())] }
            }
        }
    }
}

fn tell(path: &str, told: Told) -> ApiResponse {
    match told {
        Told::Stands { payment, replayed } => stands(path, &payment, replayed),
        Told::OtherContent => refuse(
            Code::Unprocessable,
            "this Idempotency-Key was used for a charge of other content; use a new key for a new charge",
        ),
        Told::StillRunning => ApiResponse::Problem {
            problem: Problem::new(
                Code::Conflict,
                "the first request with this Idempotency-Key is still at work; ask again with the same key",
            ),
            headers: vec![("retry-after", "1".into())],
        },
        Told::NobodyTakesIt => {
            refuse(Code::Unprocessable, "no provider takes this method in this currency; choose another method")
        }
        Told::NoProvider { retry_after, payment } => {
            let problem = Problem::new(
                Code::PaymentsUnavailable,
                "no payment provider is available; nothing was charged, ask again with the same key",
            );
            let mut headers = vec![("retry-after", seconds(retry_after))];
            headers.extend(payment.map(|id| ("location", format!("{path}/{id}"))));
            ApiResponse::Problem { problem, headers }
        }
        Told::LedgerDown => ApiResponse::Problem {
            problem: Problem::new(
                Code::PaymentsUnavailable,
                "payments can't be recorded at the moment, so none is attempted; ask again with the same key",
            ),
            headers: vec![("retry-after", ASK_AGAIN.into())],
        },
    }
}

fn stands(path: &str, payment: &StoredPayment, replayed: bool) -> ApiResponse {
    let (status, mut headers) = match payment.state {
        PaymentState::Succeeded => (201, vec![("location", format!("{path}/{}", payment.id))]),
        PaymentState::Declined => (402, vec![("location", format!("{path}/{}", payment.id))]),
        PaymentState::Pending | PaymentState::NotProcessed => (202, pending_headers(path, &payment.id)),
    };
    if replayed {
        headers.push(("idempotent-replayed", "true".into()));
    }
    ApiResponse::Json { status, headers, body: document(payment) }
}

/// A payment as its client sees it.
fn document(payment: &StoredPayment) -> String {
    let attempt = payment.deciding_attempt();
    let mut document = json!({
        "id": payment.id.as_str(),
        "order_id": payment.order_id,
        "status": payment.state.as_str(),
        "amount": payment.money.amount,
        "currency": payment.money.currency.code(),
        "provider": attempt.map(|attempt| attempt.provider.as_str()),
        "provider_ref": attempt.and_then(|attempt| attempt.provider_ref.as_deref()),
        "attempts": payment.attempts.len(),
        "created_at": payment.created.rfc3339(),
    });
    if payment.state == PaymentState::Declined
        && let Some(code) = attempt.and_then(|attempt| attempt.decline_code.as_deref())
    {
        document["decline_code"] = code.into();
    }
    document.to_string()
}

fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let bad = |detail: &str| Problem::new(Code::InvalidRequest, detail);
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_client_key(key.as_bytes()) => Ok(key.to_str().expect("a client key is visible ASCII")),
        (Some(_), None) => Err(bad("Idempotency-Key must be 1 to 255 visible ASCII characters without spaces")),
        (None, _) => Err(bad("Idempotency-Key is missing; send a value that is unique to this charge, such as a UUID")),
        (Some(_), Some(_)) => Err(bad("Idempotency-Key stands in the request more than once; send it once")),
    }
}

/// A missing media type is taken for JSON; a body that is none is found out by the parser.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn pending_headers(path: &str, id: &PaymentId) -> Headers {
    vec![("location", format!("{path}/{id}")), ("retry-after", ASK_AGAIN.into())]
}

fn refuse(code: Code, detail: &str) -> ApiResponse {
    ApiResponse::Problem { problem: Problem::new(code, detail), headers: Vec::new() }
}

fn not_allowed(allow: &str) -> ApiResponse {
    let problem = Problem::new(Code::MethodNotAllowed, format!("use {allow} here"));
    ApiResponse::Problem { problem, headers: vec![("allow", allow.into())] }
}

/// Whole seconds, rounded up, at least one.
fn seconds(span: Duration) -> String {
    span.as_millis().div_ceil(1000).max(1).to_string()
}
