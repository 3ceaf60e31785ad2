//! A snapshot to show, and stand-ins for what the control plane asks.

use std::sync::{Arc, Mutex, PoisonError};

use figway::admin::{ExplainRequest, Explainer, FlagChanges, Future, PaymentRecords};
use figway::auth::Authenticator;
use figway::clock::Timestamp;
use figway::filters::AuthMode;
use figway::flags::{Attribute, Condition, Flag, FlagSet, Kind, Rule, Split, Stage, StickyBy};
use figway::payments::{Decision, Filter, Settings};
use figway::problem::{Code, Problem};
use figway::reload::{ChangeError, Changed, HistoryEntry, Wish};
use figway::routing::RouteTable;
use figway::snapshot::{
    AccessLog, Admin, AdminToken, AnonymousAccess, Backend, ClientTimeouts, Diagnostic, Drain, EndpointAddress, Limits,
    Policy, Protocol, Role, Route, Server, Severity, Snapshot, SnapshotHandle, Startup, Target, Terms,
    TimeoutOverrides, Timeouts,
};
use figway::types::{FlagKey, ProviderName, Revision};
use serde_json::{Map, Value, json};

pub(crate) const OPERATOR: &str = "operator-secret";
pub(crate) const VIEWER: &str = "viewer-secret";

/// Revision 12: a migration at `percent`, a switch and a split; one route that the migration directs.
pub(crate) fn snapshot(revision: u64, percent: u16, anonymous: AnonymousAccess) -> Snapshot {
    let flags = [migration(percent), switch(), split()].map(|flag| (flag.key.clone(), Arc::new(flag)));
    let backends = vec![backend("monolith", 7001), backend("member", 7002)];
    let flags = FlagSet { flags: flags.into(), stale: false };
    Snapshot {
        revision: Revision(revision),
        hash: "5f".repeat(32),
        created: Timestamp(1_795_291_200_000),
        stale: false,
        startup: Startup {
            listen: Vec::new(),
            threads: 1,
            admin_listen: None,
            state_dir: "/nonexistent".into(),
            ledger: None,
        },
        server: server(),
        admin: Admin { anonymous, tokens: tokens() },
        auth: Arc::new(Authenticator::new(Vec::new(), Vec::new())),
        routes: vec![route(&flags, &backends)],
        table: RouteTable::default(),
        flags,
        backends,
        payments: None,
        warnings: vec![diagnostic(Severity::Warning, "routes[0].auth: weaker than the route above")],
    }
}

fn migration(percent: u16) -> Flag {
    let rule = Rule {
        when: vec![Condition { attribute: Attribute::Claim("role".into()), any_of: vec!["staff".into()] }],
        serve: 1,
    };
    Flag {
        description: Some("<script>alert(1)</script> Member lookups leave the monolith".into()),
        owner: Some("member-team".into()),
        expires: Some("2020-01-31".into()),
        rules: vec![rule],
        ..flag("member-api", Kind::Migration { stage: Stage::Canary, percent })
    }
}

fn switch() -> Flag {
    flag("reviews-offline", Kind::Switch { on: false })
}

fn split() -> Flag {
    let split = Split::new(vec![("plain".into(), 50), ("bold".into(), 50)]).expect("a split");
    flag("checkout-button", Kind::Split(split))
}

fn flag(key: &str, kind: Kind) -> Flag {
    Flag {
        key: key.into(),
        kind,
        description: None,
        owner: None,
        expires: None,
        sticky_by: StickyBy::User,
        salt: key.into(),
        rules: Vec::new(),
        killed: false,
        file: "flags/member.yaml".into(),
    }
}

fn backend(name: &str, port: u16) -> Arc<Backend> {
    Arc::new(Backend {
        name: name.into(),
        endpoints: vec![EndpointAddress { host: "127.0.0.1".into(), port }],
        timeouts: Timeouts::default(),
        protocol: Protocol::Http1,
        tls: None,
        max_in_flight: 1_024,
    })
}

fn route(flags: &FlagSet, backends: &[Arc<Backend>]) -> Route {
    let flag = Arc::clone(&flags.flags["member-api"]);
    let terms = Terms {
        auth: AuthMode::Required,
        cors: None,
        allow_encoded_slash: false,
        max_body: Some(1 << 20),
        retries: 0,
        timeouts: TimeoutOverrides::default(),
    };
    Route {
        policy: Arc::new(Policy { terms, filters: Vec::new() }),
        target: Target::Flagged { flag, backends: backends.iter().cloned().map(Some).collect() },
        name: "member-detail".into(),
        path: "/api/v1/members/{id}".into(),
        methods: vec!["GET".into()],
        host: None,
    }
}

fn server() -> Server {
    Server {
        tls: None,
        trusted_proxies: Vec::new(),
        debug_headers: false,
        limits: Limits::default(),
        timeouts: ClientTimeouts::default(),
        max_connections: 100,
        drain: Drain::default(),
        access_log: AccessLog::Off,
    }
}

fn tokens() -> Vec<AdminToken> {
    vec![
        AdminToken { name: "alice".into(), role: Role::Operator, secret: OPERATOR.into() },
        AdminToken { name: "vera".into(), role: Role::Viewer, secret: VIEWER.into() },
    ]
}

/// A problem in the file that every test's gateway is said to come from.
pub(crate) fn diagnostic(severity: Severity, message: &str) -> Diagnostic {
    Diagnostic {
        severity,
        file: "config/gateway.yaml".into(),
        line: 14,
        column: 12,
        path: "routes[0]".into(),
        message: message.into(),
    }
}

/// Publishes what it is asked for as the next revision, unless told to fail.
pub(crate) struct Changes {
    pub(crate) handle: Arc<SnapshotHandle>,
    pub(crate) made: Mutex<Vec<HistoryEntry>>,
    pub(crate) failure: Mutex<Option<ChangeError>>,
}

impl Changes {
    fn make(&self, wish: Wish, percent: u16, undoes: Option<Revision>) -> Result<Changed, ChangeError> {
        let Wish { key, reason, actor, .. } = wish;
        if let Some(failure) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(failure);
        }
        let before = self.handle.load();
        let revision = before.revision.next();
        self.handle.publish(Arc::new(snapshot(revision.0, percent, before.admin.anonymous)));
        let flag = |snapshot: &Snapshot| snapshot.flags.flags[&key].to_json();
        let (was, is) = (flag(&before), flag(&self.handle.load()));
        let entry =
            HistoryEntry { at: Timestamp(0), actor, reason, key, revision, before: was, after: is.clone(), undoes };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(0, entry);
        Ok(Changed { revision, flag: is })
    }
}

impl FlagChanges for Changes {
    fn change(self: Arc<Self>, wish: Wish, changes: Map<String, Value>) -> Future<Result<Changed, ChangeError>> {
        Box::pin(async move {
            let percent = changes["percent"].as_u64().and_then(|percent| u16::try_from(percent * 100).ok());
            let percent = percent.ok_or_else(|| ChangeError::Invalid(vec!["percent: write 0 to 100".into()]))?;
            self.make(wish, percent, None)
        })
    }

    fn undo(self: Arc<Self>, wish: Wish) -> Future<Result<Changed, ChangeError>> {
        Box::pin(async move { self.make(wish, 1_000, Some(Revision(13))) })
    }

    fn history(&self, key: &FlagKey) -> Vec<HistoryEntry> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().filter(|entry| entry.key == *key).cloned().collect()
    }
}

/// Repeats what it was asked.
pub(crate) struct Echo;

impl Explainer for Echo {
    fn explain(&self, request: &ExplainRequest) -> Value {
        json!({
            "method": request.method,
            "path": request.path,
            "host": request.host,
            "headers": request.headers,
            "subject": request.subject,
        })
    }
}

/// Knows one payment.
pub(crate) struct OnePayment;

impl PaymentRecords for OnePayment {
    fn list(&self, filter: Filter) -> Future<Result<Value, Problem>> {
        // One provider that is not configured has never had a payment, one has had some until November.
        let none = match filter.provider.as_ref().map(ProviderName::as_str) {
            Some("nobody") => true,
            Some("gone") => filter.from.is_some(),
            _ => false,
        };
        let one = json!({ "id": "p1", "asked": format!("{filter:?}") });
        Box::pin(async move { Ok(if none { json!([]) } else { json!([one]) }) })
    }

    fn providers(&self, settings: &Settings) -> Result<Value, Problem> {
        Ok(settings.providers.iter().map(|provider| json!({ "provider": provider.name })).collect())
    }

    fn resolve(&self, id: String, decision: Decision) -> Future<Result<Value, Problem>> {
        Box::pin(async move {
            match &*id {
                "p1" => Ok(json!({ "id": id, "asked": format!("{decision:?}") })),
                _ => Err(Problem::new(Code::Conflict, "nothing about it is open")),
            }
        })
    }

    fn get(&self, id: String) -> Future<Result<Option<Value>, Problem>> {
        Box::pin(async move { Ok((id == "p1").then(|| json!({ "id": "p1", "attempts": [] }))) })
    }
}
