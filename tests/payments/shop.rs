//! A distributor with its ledger in a folder of its own, and a client that pays.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use figway::payments::adapter::built_in;
use figway::payments::{
    ApiRequest, ApiResponse, BaseUrl, Capacity, Distributor, HttpTransport, LedgerPlace, NoObserver, OnUnknown,
    Provider as Settled, ProviderTimeouts, Settings,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::provider::Provider;

/// A charge that any provider takes.
pub(crate) const CHARGE: &str =
    r#"{"order_id":"o-1","amount":1234,"currency":"EUR","method":"card","token":"tok_visa"}"#;

/// The path of the client API.
pub(crate) const PATH: &str = "/api/v1/payments";

/// An answer of the client API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<&'static str, String>,
    /// The document, or the problem's detail as text.
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_default()
    }
}

/// See the module's text.
pub(crate) struct Shop {
    folder: TempDir,
    settings: Arc<Settings>,
    distributor: Arc<Distributor>,
}

impl Shop {
    /// With these providers and weights.
    pub(crate) async fn open(providers: &[(&str, u32, &Provider)]) -> Self {
        capture_logs();
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            path: PATH.into(),
            deadline: Settings::DEADLINE,
            max_attempts: Settings::MAX_ATTEMPTS,
            retention: Settings::RETENTION,
            weights: None,
            demote: None,
            providers: providers.iter().map(|(name, weight, at)| Arc::new(settled(name, *weight, at))).collect(),
        };
        assert_eq!(settings.check(), []);
        let distributor = open(&folder).await;
        Self { folder, settings: Arc::new(settings), distributor }
    }

    /// As after the end of the process and a new start.
    pub(crate) async fn open_again(self) -> Self {
        let Self { folder, settings, distributor } = self;
        drop(distributor);
        let distributor = open(&folder).await;
        Self { folder, settings, distributor }
    }

    pub(crate) fn distributor(&self) -> &Arc<Distributor> {
        &self.distributor
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.path().join("payments.db")
    }

    /// Everything that the ledger has on disk.
    pub(crate) fn ledger_bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).expect("a folder");
        files.flat_map(|file| std::fs::read(file.expect("an entry").path()).expect("readable")).collect()
    }

    pub(crate) async fn pay(&self, key: &str) -> Reply {
        self.post(key, CHARGE).await
    }

    pub(crate) async fn post(&self, key: &str, body: &str) -> Reply {
        self.call(request("POST", "", "shop", &[("idempotency-key", key)], body)).await
    }

    pub(crate) async fn get(&self, client: &str, id: &str) -> Reply {
        self.call(request("GET", &format!("/{id}"), client, &[], "")).await
    }

    pub(crate) async fn call(&self, request: ApiRequest) -> Reply {
        call(Arc::clone(&self.distributor), Arc::clone(&self.settings), request).await
    }

    /// Begins a payment in a task of its own, as a client whose connection may go away.
    pub(crate) fn begin(&self, key: &str) -> tokio::task::JoinHandle<Reply> {
        let request = request("POST", "", "shop", &[("idempotency-key", key)], CHARGE);
        tokio::spawn(call(Arc::clone(&self.distributor), Arc::clone(&self.settings), request))
    }
}

/// A request as the data plane hands it on.
pub(crate) fn request(
    method: &str,
    subpath: &str,
    client: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> ApiRequest {
    let mut map = http::HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    ApiRequest {
        method: method.into(),
        subpath: subpath.into(),
        client: client.into(),
        headers: map,
        body: Bytes::copy_from_slice(body.as_bytes()),
        request_id: "request-1".into(),
    }
}

async fn call(distributor: Arc<Distributor>, settings: Arc<Settings>, request: ApiRequest) -> Reply {
    match distributor.handle(settings, request).await {
        ApiResponse::Json { status, headers, body } => {
            Reply { status, headers: headers.into_iter().collect(), body: serde_json::from_str(&body).expect("JSON") }
        }
        ApiResponse::Problem { problem, headers } => {
            Reply { status: problem.code.status(), headers: headers.into_iter().collect(), body: problem.detail.into() }
        }
    }
}

async fn open(folder: &TempDir) -> Arc<Distributor> {
    let place = LedgerPlace::Embedded(folder.path().join("payments.db"));
    let ledger = place.open().await.expect("opens");
    Distributor::start(ledger, Arc::new(HttpTransport::default()), Arc::new(NoObserver))
}

fn settled(name: &str, weight: u32, at: &Provider) -> Settled {
    Settled {
        name: name.into(),
        adapter: built_in("canonical").expect("built in"),
        base_url: BaseUrl::parse(&at.base_url()).expect("valid"),
        tls: None,
        weight,
        timeouts: ProviderTimeouts { connect: Duration::from_secs(1), response: Duration::from_millis(500) },
        quiesce: Settled::QUIESCE,
        on_unknown: OnUnknown::Hold,
        resolve_for: Settled::RESOLVE_FOR,
        prepared_for: Settled::PREPARED_FOR,
        currencies: vec![],
        methods: vec![],
        maintenance: vec![],
        capacity: Capacity::default(),
        webhook: None,
    }
}

/// Everything that any test of this file logged, at the finest level.
pub(crate) fn logs() -> String {
    String::from_utf8_lossy(&capture_logs().lock().expect("free")).into_owned()
}

fn capture_logs() -> &'static Mutex<Vec<u8>> {
    static LOGS: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();
    static BEGUN: OnceLock<()> = OnceLock::new();
    let logs = LOGS.get_or_init(Mutex::default);
    BEGUN.get_or_init(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Captured);
        tracing::subscriber::set_global_default(subscriber.finish()).expect("no other subscriber");
    });
    logs
}

struct Captured;

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        capture_logs().lock().expect("free").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
