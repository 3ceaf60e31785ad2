//! Fetching keys against a fetcher that answers what it is told, on paused time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const URL: &str = "https://auth.shop.example/jwks.json";
const REFRESH: Duration = Duration::from_secs(300);

/// An Ed25519 key set (RFC 8037, appendix A) under the given key id.
fn key_set(kid: &str) -> String {
    let key = r#""kty":"OKP","crv":"Ed25519","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    format!(r#"{{"keys":[{{{key},"kid":"{kid}"}}]}}"#)
}

/// A fetcher whose answer can be changed, and which counts.
#[derive(Clone)]
struct Issuer {
    answer: Arc<Mutex<Result<String, String>>>,
    fetches: Arc<AtomicUsize>,
}

impl Issuer {
    fn answering(answer: Result<String, String>) -> Self {
        Self { answer: Arc::new(Mutex::new(answer)), fetches: Arc::default() }
    }

    fn answer(&self, answer: Result<String, String>) {
        *self.answer.lock().expect("lock") = answer;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl Fetch for Issuer {
    fn get(&self, url: String) -> Fetched {
        assert_eq!(url, URL);
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().expect("lock").clone();
        Box::pin(async move { answer.map(Bytes::from) })
    }
}

fn kept() -> (Arc<Kept>, Arc<KeyStore>) {
    let source = JwksSource::Url { url: URL.into(), refresh: REFRESH };
    let store = Arc::new(KeyStore::new(source.clone()));
    let kept = Kept::default();
    kept.key_stores.lock().expect("lock").insert(source, Arc::clone(&store));
    (Arc::new(kept), store)
}

fn fetcher(kept: &Arc<Kept>, issuer: &Issuer) -> KeyFetcher {
    KeyFetcher::new(Arc::clone(kept), Arc::new(issuer.clone()), Arc::new(Metrics::new()))
}

/// A fetcher that has fetched once and goes on.
struct Running {
    store: Arc<KeyStore>,
    issuer: Issuer,
    task: tokio::task::JoinHandle<()>,
}

async fn running() -> Running {
    let (kept, store) = kept();
    let issuer = Issuer::answering(Ok(key_set("a")));
    let fetcher = fetcher(&kept, &issuer);
    fetcher.prefetch().await;
    let (publisher, published) = watch::channel(Revision(1));
    let task = tokio::spawn(async move {
        fetcher.run(published, std::future::pending()).await;
        drop(publisher);
    });
    Running { store, issuer, task }
}

/// Lets an hour pass at most until it holds; time is paused, so this takes no time.
async fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..36_000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not happen within an hour");
}

#[tokio::test(start_paused = true)]
async fn keys_are_there_after_the_prefetch() {
    let (kept, store) = kept();
    fetcher(&kept, &Issuer::answering(Ok(key_set("a")))).prefetch().await;
    assert!(store.is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_holds_the_start_up_for_five_seconds_only() {
    let (kept, store) = kept();
    let hangs = |_: String| -> Fetched { Box::pin(std::future::pending()) };
    let start = tokio::time::Instant::now();
    KeyFetcher::new(kept, Arc::new(hangs), Arc::new(Metrics::new())).prefetch().await;
    assert_eq!(start.elapsed().as_secs(), 5);
    assert!(store.status().last_error.is_some_and(|error| error.contains("5 s")));
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_and_a_failure_keeps_the_old_ones() {
    let Running { store, issuer, task } = running().await;
    eventually(|| issuer.fetches() >= 3).await;
    for bad in [Err("connection refused".to_owned()), Ok("<html>".to_owned())] {
        issuer.answer(bad);
        eventually(|| store.status().last_error.is_some()).await;
        assert_eq!((store.is_ready(), store.status().keys), (true, 1));
        issuer.answer(Ok(key_set("b")));
        eventually(|| store.status().last_error.is_none()).await;
    }
    assert_eq!(store.status().generation, 2);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_hurries_the_next_fetch() {
    let Running { store, issuer, task } = running().await;
    issuer.answer(Ok(key_set("b")));
    let start = tokio::time::Instant::now();
    assert!(store.refetch(Some("b")).await, "the issuer rotated its keys");
    assert!(start.elapsed() < Duration::from_secs(1));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_url_that_comes_with_a_reload_is_fetched_and_one_that_goes_is_not() {
    let kept_stores = Arc::new(Kept::default());
    let issuer = Issuer::answering(Ok(key_set("a")));
    let (publisher, published) = watch::channel(Revision(1));
    let task = tokio::spawn(fetcher(&kept_stores, &issuer).run(published, std::future::pending()));
    let (_, store) = kept();
    kept_stores.key_stores.lock().expect("lock").insert(store.source().clone(), Arc::clone(&store));
    publisher.send_replace(Revision(2));
    eventually(|| store.is_ready()).await;

    let weak = Arc::downgrade(&store);
    drop(store);
    publisher.send_replace(Revision(3));
    eventually(|| weak.strong_count() == 0).await;
    assert!(kept_stores.key_stores.lock().expect("lock").is_empty());
    task.abort();
}

#[test]
fn waits_after_failures_double_up_to_a_minute_and_never_exceed_the_refresh() {
    let waits: Vec<u64> = (0..9).map(|failures| after(failures, REFRESH).as_secs()).collect();
    assert_eq!(waits, [300, 1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(after(5, Duration::from_secs(3)), Duration::from_secs(3));
    assert_eq!(jittered(REFRESH, 0.0), Duration::from_secs(270));
    assert_eq!(jittered(REFRESH, 1.0), Duration::from_secs(330));
}
