//! Server-sent events: `revision` (a snapshot was published), `flag` (one flag differs from the last revision),
//! `reload-failed` (the files are bad, with every problem).
//!
//! The stream looks at the published snapshot four times a second and tells the difference, so it also sees
//! changes that an editor made; two revisions within one look are told as one. It begins with the current
//! revision, and ends when the caller's token no longer holds.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::access::{self, Call, Ends};
use super::answer::Refusal;
use super::serve::Ending;
use super::{AdminState, request, snapshot};
use crate::problem::Code;
use crate::snapshot::{ReloadStatus, Role, Snapshot};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks without news after which a comment is sent, so that dead callers and idle proxies are noticed (15 s).
const QUIET_LOOKS: u32 = 60;

pub(super) async fn stream(
    State(state): State<AdminState>,
    Extension(ends): Extension<Ends>,
    Extension(streams): Extension<Streams>,
    ending: Option<Extension<Ending>>,
    request: Request,
) -> Result<Response, Refusal> {
    request::query(request.uri(), &[])?;
    let permit = streams.0.try_acquire_owned().map_err(|_| {
        let most = state.limits.event_streams;
        Refusal::new(Code::Unavailable, format!("{most} event streams are open already; close one and try again"))
    })?;
    let (sender, receiver) = mpsc::channel(16);
    let watcher = Watcher::new(state, request, ends);
    tokio::spawn(async move {
        let ended = async {
            match ending {
                Some(Extension(mut ending)) => ending.wait().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = watcher.run(&sender) => {}
            () = ended => {}
            () = sender.closed() => {}
        }
    });
    let body = Body::new(EventBody { receiver, _permit: permit });
    Ok(([(CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// How many streams may still begin.
#[derive(Debug, Clone)]
pub(super) struct Streams(Arc<Semaphore>);

impl Streams {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }
}

/// Sends what changes until the caller is gone or may no longer listen.
struct Watcher {
    state: AdminState,
    request: http::request::Parts,
    ends: Ends,
    seen: Arc<Snapshot>,
    status: Arc<ReloadStatus>,
}

impl Watcher {
    fn new(state: AdminState, request: Request, ends: Ends) -> Self {
        let (seen, status) = (state.handle.load(), state.handle.status());
        Self { state, request: request.into_parts().0, ends, seen, status }
    }

    async fn run(mut self, sender: &mpsc::Sender<Bytes>) {
        let mut news = revision_event(&self.seen);
        if !self.status.success {
            news.push_str(&failure_event(&self.status));
        }
        let mut quiet = 0;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if quiet >= QUIET_LOOKS {
                news.push_str(": still here\n\n");
            }
            quiet += 1;
            if !news.is_empty() {
                quiet = 0;
                if sender.send(std::mem::take(&mut news).into()).await.is_err() {
                    return;
                }
            }
            looks.tick().await;
            if !self.may_listen() {
                return;
            }
            news = self.look();
        }
    }

    fn may_listen(&self) -> bool {
        let Self { request, ends, .. } = self;
        let call = Call { method: &request.method, uri: &request.uri, headers: &request.headers, ends: *ends };
        access::admit(&self.state.handle.load().admin, call, Role::Viewer).is_ok()
    }

    fn look(&mut self) -> String {
        let mut news = String::new();
        let current = self.state.handle.load();
        if !Arc::ptr_eq(&current, &self.seen) {
            news.push_str(&revision_event(&current));
            news.push_str(&flag_events(&self.seen, &current));
            self.seen = current;
        }
        let status = self.state.handle.status();
        if !status.success && (self.status.success || status.problems != self.status.problems) {
            news.push_str(&failure_event(&status));
        }
        self.status = status;
        news
    }
}

fn revision_event(snapshot: &Snapshot) -> String {
    let data = json!({
        "revision": snapshot.revision,
        "hash": snapshot.hash,
        "created": snapshot.created.rfc3339(),
        "stale": snapshot.stale,
    });
    format!("id: {}\n{}", snapshot.revision, event("revision", &data))
}

/// One event for each flag that is new, gone or different.
fn flag_events(before: &Snapshot, after: &Snapshot) -> String {
    let (old, new) = (&before.flags.flags, &after.flags.flags);
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let mut text = String::new();
    for key in new.keys().chain(gone) {
        let (was, is) = (old.get(key), new.get(key));
        if was == is {
            continue;
        }
        let data = json!({
            "key": key,
            "revision": after.revision,
            "before": was.map(|flag| flag.to_json()),
            "after": is.map(|flag| flag.to_json()),
        });
        text.push_str(&event("flag", &data));
    }
    text
}

fn failure_event(status: &ReloadStatus) -> String {
    let data = json!({
        "attempted": status.last_attempt.rfc3339(),
        "revision": status.revision,
        "problems": snapshot::diagnostics(&status.problems),
    });
    event("reload-failed", &data)
}

/// JSON has no line break outside its strings' escapes, so one `data` line holds it.
fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

struct EventBody {
    receiver: mpsc::Receiver<Bytes>,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.receiver.poll_recv(cx).map(|news| news.map(|news| Ok(Frame::data(news))))
    }
}
