//! What one request was: collected along its way, written as one access line and metrics at its end,
//! also when it ends because the client left.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;

use super::core::{Core, View};
use super::deadline::Deadline;
use super::forwarded::Origin;
use super::message::RequestHead;
use super::worker::Peer;
use crate::clock::Timestamp;
use crate::flags::Reason;
use crate::payments::mask_card_number;
use crate::problem::Code;
use crate::telemetry::{AccessLine, RequestId};

/// Which target a request went to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen {
    pub(crate) variant: usize,
    pub(crate) reason: Option<Reason>,
}

/// What one request leaves to the next of its connection: memory, and a timer that runs already.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    pub(crate) head: RequestHead,
    pub(crate) deadline: Deadline,
}

/// One request's story; a handle, since it goes through many hands.
#[derive(Debug)]
pub(crate) struct Record(Box<Story>);

impl std::ops::Deref for Record {
    type Target = Story;

    fn deref(&self) -> &Story {
        &self.0
    }
}

impl std::ops::DerefMut for Record {
    fn deref_mut(&mut self) -> &mut Story {
        &mut self.0
    }
}

/// What is known of a request so far.
#[derive(Debug)]
pub(crate) struct Story {
    core: Rc<Core>,
    pub(crate) view: Rc<View>,
    pub(crate) head: RequestHead,
    /// When the whole exchange must be over.
    pub(crate) deadline: Deadline,
    pub(crate) origin: Origin,
    pub(crate) id: RequestId,
    pub(crate) started: Instant,
    pub(crate) now: Timestamp,
    pub(crate) route: Option<usize>,
    pub(crate) chosen: Option<Chosen>,
    pub(crate) endpoint: Option<Rc<super::upstream::Endpoint>>,
    pub(crate) tries: u32,
    pub(crate) status: u16,
    pub(crate) error: Option<Code>,
    pub(crate) aborted: &'static str,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    written: bool,
}

impl Record {
    /// Begins with a head, under the snapshot that is pinned by `view`.
    pub(crate) fn begin(core: &Rc<Core>, view: Rc<View>, spare: Spare, peer: &Peer) -> Self {
        let Spare { head, deadline } = spare;
        let origin = Origin::of(&head, peer, |ip| view.trusts(ip));
        let id = super::forwarded::request_id(&head, &origin, &mut core.ids.borrow_mut());
        core.metrics.own.in_flight.inc();
        let (started, now) = core.now();
        Self(Box::new(Story {
            core: Rc::clone(core),
            view,
            head,
            deadline,
            origin,
            id,
            started,
            now,
            route: None,
            chosen: None,
            endpoint: None,
            tries: 0,
            status: 0,
            error: None,
            aborted: "",
            received: 0,
            sent: 0,
            written: false,
        }))
    }

    /// Writes the record and gives back what the next request can use.
    pub(crate) fn finish(mut self) -> Spare {
        self.write();
        self.written = true;
        self.deadline.clear();
        Spare { head: std::mem::take(&mut self.head), deadline: std::mem::take(&mut self.deadline) }
    }
}

impl Story {
    /// How long an upgraded connection may be silent.
    pub(crate) fn idle_timeout(&self) -> std::time::Duration {
        let reached = self.route.zip(self.chosen).and_then(|(index, chosen)| {
            let target = self.view.route_view(index, &self.core.metrics).reached(chosen.variant)?;
            Some(self.view.route(index).policy.terms.timeouts.over(&target.upstream.backend.timeouts).idle)
        });
        reached.unwrap_or_else(|| crate::snapshot::Timeouts::default().idle)
    }

    pub(crate) fn core(&self) -> &Rc<Core> {
        &self.core
    }

    /// The path as it may be logged: a card number in a path of payments is not, whether it found a route or not.
    fn loggable_path(&self) -> Cow<'_, str> {
        let path = self.head.path();
        let payments = self.view.snapshot.payments.as_ref();
        let Some((settings, rest)) =
            payments.and_then(|settings| Some((settings, path.strip_prefix(&*settings.path)?)))
        else {
            return Cow::Borrowed(path);
        };
        if rest.starts_with(|next: char| next.is_ascii_alphanumeric()) {
            return Cow::Borrowed(path);
        }
        match mask_card_number(rest) {
            Cow::Borrowed(_) => Cow::Borrowed(path),
            Cow::Owned(masked) => Cow::Owned(format!("{}{masked}", settings.path)),
        }
    }

    fn write(&mut self) {
        let duration = self.started.elapsed();
        let snapshot = &self.view.snapshot;
        let (mut route_name, mut backend, mut flag, mut variant, mut reason) = ("-", "-", "", "", "");
        if let Some(index) = self.route {
            let route = self.view.route(index);
            route_name = route.name.as_str();
            let views = self.view.route_view(index, &self.core.metrics);
            let mut series = &views.own;
            if let Some(chosen) = self.chosen {
                if let (Some(decided), crate::snapshot::Target::Flagged { flag: definition, .. }) =
                    (chosen.reason, &route.target)
                {
                    flag = definition.key.as_str();
                    variant = definition.variants()[chosen.variant].as_str();
                    reason = decided.as_str();
                }
                if let Some(target) = views.reached(chosen.variant) {
                    backend = target.upstream.backend.name.as_str();
                    series = &target.series;
                }
            }
            series.observe(self.status, duration);
        }
        if let Some(code) = self.error {
            self.core.metrics().rejected.with_label_values(&[code.as_str()]).inc();
        }
        if snapshot.server.access_log != crate::snapshot::AccessLog::Off {
            let line = AccessLine {
                request_id: self.id.as_str(),
                client: self.origin.client,
                protocol: self.head.version.as_str(),
                method: &self.head.method,
                host: &self.head.authority,
                path: &self.loggable_path(),
                status: self.status,
                received_bytes: self.received,
                sent_bytes: self.sent,
                duration,
                route: route_name,
                backend,
                endpoint: self.endpoint.as_ref().map_or("-", |endpoint| endpoint.text.as_str()),
                flag,
                variant,
                reason,
                revision: snapshot.revision.0,
                tries: self.tries,
                error: self.error.map_or("", Code::as_str),
                aborted: self.aborted,
            };
            self.core.log.borrow_mut().push(self.now, &line);
        }
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if !self.written {
            if self.status == 0 {
                // Dropped before an answer: the client left, and its connection or stream took the request along.
                self.status = 499;
                self.aborted = "client-gone";
            }
            self.write();
            self.deadline.clear();
            let spare = Spare { head: std::mem::take(&mut self.head), deadline: std::mem::take(&mut self.deadline) };
            self.core.keep_spare(spare);
        }
        self.core.metrics.own.in_flight.dec();
    }
}
