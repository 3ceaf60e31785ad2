//! One try at one endpoint: a connection, the request, the answer's head, and the time for it.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use super::{Answered, Attempts, TryError};
use crate::proxy::body::{BodyError, RequestBody, ResponseBody};
use crate::proxy::convert;
use crate::proxy::deadline::Deadline;
use crate::proxy::exchange::InterimSink;
use crate::proxy::http1::client::{Http1Exchange, Http1ResponseBody};
use crate::proxy::http2::client::Http2Exchange;
use crate::proxy::message::{RequestHead, ResponseHead};
use crate::proxy::turn::after_others;
use crate::proxy::upstream::{Endpoint, Event, Exchange, ExchangeError, resolve_connect};
use crate::types::fields::Known;

impl Attempts<'_> {
    pub(super) async fn try_http1(
        &mut self,
        endpoint: &Rc<Endpoint>,
        body: &RequestBody,
        deadline: &mut Deadline,
        interim: &mut dyn InterimSink,
    ) -> Result<Answered, TryError> {
        let pooled = if self.resent { None } else { endpoint.take_idle(self.record.started) };
        let mut exchange = match pooled {
            Some(exchange) => exchange,
            None => {
                // Boxed, like everything that is large and rare: every request's future would be as large as the largest.
                let patience = deadline.limit(self.timeouts.connect);
                let stream = Box::pin(resolve_connect(endpoint, patience)).await.map_err(TryError::Connect)?;
                Box::new(Http1Exchange::new(stream, Arc::clone(&endpoint.series)))
            }
        };
        let body = from_its_beginning(body)?;
        exchange.begin(&self.record.head, body.clone());
        let reused = exchange.reused;
        after_others().await;
        let head = self.answer_head(&mut *exchange, reused, &body, deadline, interim).await?;
        if head.status == 101 {
            return Ok(Answered { head, body: ResponseBody::Empty, upgrade: Some(exchange) });
        }
        let answer = Http1ResponseBody::new(exchange, head.body, Rc::clone(endpoint), self.record.started);
        let body = answer.map_or(ResponseBody::Empty, |answer| ResponseBody::http1(answer, self.timeouts.idle, body));
        Ok(Answered { head, body, upgrade: None })
    }

    pub(super) async fn try_h2(
        &mut self,
        endpoint: &Rc<Endpoint>,
        body: &RequestBody,
        deadline: &mut Deadline,
        interim: &mut dyn InterimSink,
    ) -> Result<Answered, TryError> {
        let mut connection = endpoint.h2(deadline.limit(self.timeouts.connect)).await.map_err(TryError::Connect)?;
        let body = from_its_beginning(body)?;
        let request = h2_request(&self.record.head, endpoint).ok_or(TryError::NotForHttp2)?;
        let place = connection.enter(self.record.started);
        let mut exchange = Http2Exchange::begin(connection.sender(), place, request, body.clone())
            .map_err(|_| TryError::Stale { unsent: true })?;
        let reused = connection.is_proven();
        let answered = self.answer_head(&mut exchange, reused, &body, deadline, interim).await;
        match &answered {
            Ok(_) => connection.prove(),
            Err(TryError::Timeout | TryError::RequestTimeout) => connection.retire(),
            Err(_) => {}
        }
        let head = answered?;
        let answer = exchange.into_body();
        let body = answer.map_or(ResponseBody::Empty, |answer| ResponseBody::http2(answer, self.timeouts.idle, body));
        Ok(Answered { head, body, upgrade: None })
    }

    /// The answer's head; interim ones are passed on.
    async fn answer_head(
        &self,
        exchange: &mut impl Exchange,
        reused: bool,
        body: &RequestBody,
        deadline: &mut Deadline,
        interim: &mut dyn InterimSink,
    ) -> Result<ResponseHead, TryError> {
        loop {
            match self.next_event(exchange, reused, body, deadline).await? {
                Event::Interim(head) => interim.interim(&head),
                Event::Final(head) => return Ok(head),
            }
        }
    }

    /// The next head from the backend, within the time for a try. The time runs while the backend is
    /// waited for: not while the client sends its body, and anew with each piece that the backend takes.
    async fn next_event(
        &self,
        exchange: &mut impl Exchange,
        reused: bool,
        body: &RequestBody,
        request: &mut Deadline,
    ) -> Result<Event, TryError> {
        let patience = self.timeouts.response;
        let waits_for_continue = self.record.head.expects_continue;
        exchange.response_deadline().set(patience);
        let mut sent = exchange.sent();
        let mut uploading_since: Option<Instant> = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(event) = exchange.poll_event(cx) {
                return Poll::Ready(event.map_err(|error| classify(error, reused)));
            }
            if exchange.sent() != sent {
                sent = exchange.sent();
                exchange.response_deadline().set(patience);
            }
            let client_is_awaited = exchange.waits_for_body() && !(waits_for_continue && body.taken() == 0);
            if client_is_awaited {
                uploading_since.get_or_insert_with(Instant::now);
                return Poll::Pending; // the body's own deadline watches the client
            }
            if let Some(since) = uploading_since.take() {
                request.extend(since.elapsed());
                exchange.response_deadline().set(patience);
            }
            let response = exchange.response_deadline();
            if response.is_before(request) {
                return response.poll(cx).map(|()| Err(TryError::Timeout));
            }
            request.poll(cx).map(|()| Err(TryError::RequestTimeout))
        })
        .await
    }
}

/// Each try sends the whole body.
fn from_its_beginning(body: &RequestBody) -> Result<RequestBody, TryError> {
    body.replayed().ok_or_else(|| TryError::Client(body.failure().unwrap_or(BodyError::ClientGone)))
}

fn classify(error: ExchangeError, reused: bool) -> TryError {
    match error {
        ExchangeError::ClosedBeforeAnswer { unsent } if reused || unsent => TryError::Stale { unsent },
        ExchangeError::ClosedBeforeAnswer { .. } => TryError::Closed("it closed the connection before it answered"),
        ExchangeError::ClosedWithinHead => TryError::Closed("it closed the connection within the answer's head"),
        ExchangeError::StreamReset => TryError::Closed("it reset the stream before it answered"),
        ExchangeError::Invalid(what) => TryError::Invalid(what),
        ExchangeError::Client(error) => TryError::Client(error),
    }
}

/// The request in HTTP/2's terms, as far as its library knows them: it takes no percent sign in an authority.
fn h2_request(head: &RequestHead, endpoint: &Endpoint) -> Option<http::Request<()>> {
    let scheme = if endpoint.uses_tls() { "https" } else { "http" };
    let authority = head.fields.get_str(Known::Host).filter(|host| !host.is_empty()).unwrap_or(&endpoint.text);
    let uri = http::Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(&*with_plain_query(&head.target))
        .build()
        .ok()?;
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::from_bytes(head.method.as_bytes()).ok()?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = convert::header_map(&head.fields);
    if head.takes_trailers {
        request.headers_mut().insert(http::header::TE, http::HeaderValue::from_static("trailers"));
    }
    Some(request)
}

/// The library takes no quote or angle bracket in a query. Escaped they mean the same, and there they should have been
/// (RFC 3986, section 3.4); in paths they are already.
fn with_plain_query(target: &str) -> Cow<'_, str> {
    if target.contains(['"', '<', '>']) {
        target.replace('"', "%22").replace('<', "%3C").replace('>', "%3E").into()
    } else {
        target.into()
    }
}
