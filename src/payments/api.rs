//! The client API: which call it is, whether it is well-formed, and who carries it out.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};
use tokio::time::Instant;

use super::answer::{ASK_AGAIN, missing, refuse, show, tell};
use super::distributor::Distributor;
use super::id::PaymentId;
use super::idempotency::is_client_key;
use super::record::Operation;
use super::request::{MAX_BODY, RequestError, parse_cancel, parse_charge, parse_confirm, parse_refund};
use super::run::{Asked, FollowUp, Told, charge, follow_up};
use super::settings::Settings;
use super::webhooks::{self, Delivery};
use super::{ApiRequest, ApiResponse};
use crate::problem::{Code, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a request asks for.
enum Call<'a> {
    Charge,
    /// By a provider of this name.
    Webhook(&'a str),
    /// What may be a payment.
    Show(&'a str),
    /// `confirm`, `cancel` or `refund`.
    FollowUp(PaymentId, &'a str),
}

impl<'a> Call<'a> {
    /// By method and path; the answer if there is no such call.
    fn of(method: &str, subpath: &'a str) -> Result<Self, ApiResponse> {
        let by_post = |call| if method == "POST" { Ok(call) } else { Err(not_allowed("POST")) };
        match subpath.split('/').collect::<Vec<_>>()[..] {
            [""] => by_post(Call::Charge),
            ["", "webhooks", provider] => by_post(Call::Webhook(provider)),
            ["", id] if matches!(method, "GET" | "HEAD") => Ok(Call::Show(id)),
            ["", id] if PaymentId::parse(id).is_some() => Err(not_allowed("GET, HEAD")),
            ["", id, step @ ("confirm" | "cancel" | "refund")] => {
                PaymentId::parse(id).map_or_else(|| Err(missing()), |id| by_post(Call::FollowUp(id, step)))
            }
            _ => {
                let detail = "there is nothing here; payments are made with POST at the API's own path";
                Err(refuse(Code::NotFound, detail))
            }
        }
    }
}

/// Why the client API has no such call, if it has none: for whoever only asks what would happen.
#[must_use]
pub fn refusal(method: &str, subpath: &str) -> Option<Problem> {
    match Call::of(method, subpath) {
        Err(ApiResponse::Problem { problem, .. }) => Some(problem),
        _ => None,
    }
}

impl Distributor {
    /// Answers one call of the client API under the settings of the caller's snapshot. Runs on the
    /// control runtime; dropping the future does not stop a payment that has begun.
    pub async fn handle(self: Arc<Self>, settings: Arc<Settings>, request: ApiRequest) -> ApiResponse {
        match Call::of(&request.method, &request.subpath) {
            Ok(Call::Charge) => self.post_charge(settings, request).await,
            Ok(Call::Webhook(provider)) => self.receive_webhook(&settings, provider, &request).await,
            Ok(Call::Show(id)) => self.get_payment(&settings, &request.client, id).await,
            Ok(Call::FollowUp(id, step)) => self.post_follow_up(settings, &request, id, step).await,
            Err(answer) => answer,
        }
    }

    async fn post_charge(self: Arc<Self>, settings: Arc<Settings>, request: ApiRequest) -> ApiResponse {
        let read = self.asked(&request).and_then(|asked| Ok((asked, understood(parse_charge(&request.body))?)));
        match read {
            Ok((asked, wanted)) => {
                let path = settings.path.clone();
                let work = async move { charge(&self, settings, asked, wanted).await };
                carried_out(&path, Operation::Charge, &request.request_id, work).await
            }
            Err(problem) => ApiResponse::Problem { problem, headers: Vec::new() },
        }
    }

    async fn post_follow_up(
        self: Arc<Self>,
        settings: Arc<Settings>,
        request: &ApiRequest,
        id: PaymentId,
        step: &str,
    ) -> ApiResponse {
        let body = &request.body;
        let read = self.asked(request).and_then(|asked| {
            let (operation, wanted) = match step {
                "confirm" => (Operation::Confirm, FollowUp::Confirm { token: understood(parse_confirm(body))? }),
                "cancel" => (Operation::Cancel, understood(parse_cancel(body)).map(|()| FollowUp::Cancel)?),
                _ => (Operation::Refund, FollowUp::Refund { amount: understood(parse_refund(body))? }),
            };
            Ok((asked, operation, wanted))
        });
        match read {
            Ok((asked, operation, wanted)) => {
                let path = settings.path.clone();
                let work = async move { follow_up(&self, settings, asked, id, wanted).await };
                carried_out(&path, operation, &request.request_id, work).await
            }
            Err(problem) => ApiResponse::Problem { problem, headers: Vec::new() },
        }
    }

    /// Who asks with which key, if the request is one that could be read.
    fn asked(&self, request: &ApiRequest) -> Result<Asked, Problem> {
        let key = idempotency_key(&request.headers)?;
        if request.body.len() > MAX_BODY {
            return Err(Problem::new(Code::BodyTooLarge, format!("the body has at most {MAX_BODY} bytes")));
        }
        if !is_json(&request.headers) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send the body as application/json in UTF-8, with one Content-Type",
            ));
        }
        Ok(Asked {
            client: self.keyring.client(&request.client),
            key: self.keyring.client_key(&request.client, key),
            begun: Instant::now(),
            request_id: request.request_id.clone(),
        })
    }

    /// Nobody is authenticated here: the signature stands for the provider.
    async fn receive_webhook(&self, settings: &Settings, provider: &str, request: &ApiRequest) -> ApiResponse {
        let delivery = Delivery {
            provider,
            headers: &request.headers,
            body: &request.body,
            now: self.clock.now(),
            wall: self.clock.wall(),
            request_id: &request.request_id,
        };
        let answer = webhooks::receive(&*self.ledger, &*self.observer, settings, delivery).await;
        self.wake.notify_one();
        answer
    }

    async fn get_payment(&self, settings: &Settings, client: &str, id: &str) -> ApiResponse {
        let Some(id) = PaymentId::parse(id) else { return missing() };
        match self.ledger.payment(id).await {
            Ok(Some(payment)) if payment.client == self.keyring.client(client) => show(&settings.path, &payment),
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

/// In a task of its own: a client that hangs up must not stop a payment between intent and outcome.
async fn carried_out(
    path: &str,
    operation: Operation,
    request_id: &str,
    work: impl Future<Output = Told> + Send + 'static,
) -> ApiResponse {
    match tokio::spawn(work).await {
        Ok(told) => tell(path, operation, told),
        Err(error) => {
            tracing::error!(error = %error, request.id = %request_id, "A payment's task ended early");
            refuse(Code::Internal, "the outcome is not known here; ask again with the same key")
        }
    }
}

fn understood<T>(read: Result<T, RequestError>) -> Result<T, Problem> {
    read.map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))
}

fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let bad = |detail: &str| Problem::new(Code::InvalidRequest, detail);
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_client_key(key.as_bytes()) => Ok(key.to_str().expect("a client key is visible ASCII")),
        (Some(_), None) => Err(bad("Idempotency-Key must be 1 to 255 visible ASCII characters without spaces")),
        (None, _) => {
            Err(bad("Idempotency-Key is missing; send a value that is unique to this request, such as a UUID"))
        }
        (Some(_), Some(_)) => Err(bad("Idempotency-Key stands in the request more than once; send it once")),
    }
}

/// A missing media type is taken for JSON; a body that is none is found out by the parser. JSON is UTF-8
/// (RFC 8259, section 8.1), so a body of another charset would be read as something else than was meant.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (value, None) = (values.next(), values.next()) else { return false };
    let Some(value) = value else { return true };
    let mut parts = value.to_str().unwrap_or("").split(';').map(str::trim);
    let is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) => {
            !name.trim_end().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        None => parameter.is_empty(),
    };
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) && parts.all(is_utf8)
}

fn not_allowed(allow: &str) -> ApiResponse {
    let problem = Problem::new(Code::MethodNotAllowed, format!("use {allow} here"));
    ApiResponse::Problem { problem, headers: vec![("allow", allow.into())] }
}
