use std::path::PathBuf;

use super::*;
use crate::auth::Algorithm;
use crate::auth::fixture::{empty_store, key, store, union};

fn old() -> String {
    key(Algorithm::EdDsa).public_jwks(Some("old"))
}

fn both() -> String {
    union(&[old(), key(Algorithm::Es256).public_jwks(Some("new"))])
}

/// A fetcher that answers each wish after `delay`, and counts.
fn fetcher(store: &Arc<KeyStore>, delay: Duration, answer: Result<String, String>) -> watch::Receiver<usize> {
    let store = Arc::clone(store);
    let (count, fetches) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            store.wanted().await;
            count.send_modify(|count| *count += 1);
            tokio::time::sleep(delay).await;
            let outcome = answer.clone().and_then(|document| store.install(&document).map(drop));
            store.fetch_ended(outcome.err());
        }
    });
    fetches
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_fetched_once_for_everybody_who_asks() {
    let store = store(&old());
    let fetches = fetcher(&store, SECOND, Ok(both()));
    let asks: Vec<_> = (0..20)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.refetch(Some("new")).await })
        })
        .collect();
    for ask in asks {
        assert!(ask.await.expect("an answer"));
    }
    assert_eq!(*fetches.borrow(), 1);
    assert!(store.refetch(Some("new")).await, "known by now");
    assert_eq!(*fetches.borrow(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_fetch_did_not_bring_is_not_asked_for_again_at_once() {
    let store = store(&old());
    let fetches = fetcher(&store, SECOND, Ok(old()));
    let start = Instant::now();
    assert!(!store.refetch(Some("invented")).await);
    assert_eq!(start.elapsed(), SECOND);
    assert!(!store.refetch(Some("invented")).await);
    assert!(!store.refetch(Some("another")).await);
    assert_eq!(start.elapsed(), SECOND, "neither of them waited");
    assert_eq!(*fetches.borrow(), 1);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(!store.refetch(Some("another")).await);
    assert_eq!(*fetches.borrow(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_fetch_at_start_does_not_delay_the_first_rotation() {
    let store = empty_store();
    store.install(&old()).expect("keys");
    store.fetch_ended(None);
    let fetches = fetcher(&store, SECOND, Ok(both()));
    assert!(store.refetch(Some("new")).await);
    assert_eq!(*fetches.borrow(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_five_seconds() {
    let store = store(&old());
    let start = Instant::now();
    assert!(!store.refetch(Some("new")).await, "there is no fetcher");
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert!(!store.refetch(Some("new")).await);
    assert_eq!(start.elapsed(), Duration::from_secs(5), "and the next one does not wait");
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_keeps_the_keys_and_forgets_nothing_about_the_asker() {
    let store = store(&old());
    let fetches = fetcher(&store, SECOND, Err("connection refused".into()));
    assert!(!store.refetch(Some("new")).await);
    assert!(store.is_ready());
    let status = store.status();
    assert_eq!((status.keys, status.generation, status.last_error.as_deref()), (1, 1, Some("connection refused")));
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(!store.refetch(Some("new")).await);
    assert_eq!(*fetches.borrow(), 2, "ten seconds after the first wish, a second fetch");
}

#[tokio::test(start_paused = true)]
async fn a_token_without_key_id_is_worth_another_look_only_if_keys_changed() {
    let store = store(&old());
    let _fetches = fetcher(&store, SECOND, Ok(both()));
    assert!(store.refetch(None).await);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert!(!store.refetch(None).await, "the same keys again");
}

#[tokio::test(start_paused = true)]
async fn a_regular_fetch_answers_those_who_wait() {
    let store = store(&old());
    let asking = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.refetch(Some("new")).await }
    });
    tokio::task::yield_now().await;
    store.install(&both()).expect("keys");
    store.fetch_ended(None);
    assert!(asking.await.expect("an answer"));
    let wish = tokio::time::timeout(Duration::from_secs(60), store.wanted()).await;
    assert!(wish.is_err(), "the wish is fulfilled already");
}

#[tokio::test(start_paused = true)]
async fn keys_from_a_file_wait_for_the_file() {
    let store = KeyStore::new(JwksSource::File(PathBuf::from("jwks.json")));
    store.install(&old()).expect("keys");
    let start = Instant::now();
    assert!(store.refetch(Some("old")).await);
    assert!(!store.refetch(Some("new")).await);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_generation_counts_changes_not_fetches() {
    let store = empty_store();
    assert_eq!((store.generation(), store.is_ready()), (0, false));
    assert_eq!(store.status().age, None);
    for (document, generation) in [(old(), 1), (old(), 1), (both(), 2), (old(), 3)] {
        store.install(&document).expect("keys");
        tokio::time::advance(SECOND).await;
        assert_eq!((store.generation(), store.current().generation), (generation, generation));
        assert_eq!(store.status().age, Some(SECOND));
    }
    assert!(store.install("{}").is_err());
    assert_eq!((store.generation(), store.status().keys), (3, 1));
}

fn every(seconds: u64) -> JwksSource {
    JwksSource::Url { url: "https://issuer.example/jwks.json".into(), refresh: Duration::from_secs(seconds) }
}

#[tokio::test(start_paused = true)]
async fn a_store_for_the_same_document_begins_with_its_keys() {
    let store = store(&old());
    store.fetch_ended(Some("connection refused".into()));
    tokio::time::advance(SECOND).await;
    let continued = KeyStore::continuing(every(10), &store);
    assert_eq!(*continued.source(), every(10));
    assert_eq!(continued.status(), store.status());
    assert_eq!(continued.generation(), continued.current().generation);
    continued.install(&both()).expect("keys");
    assert_eq!((continued.status().keys, store.status().keys), (2, 1), "from then on each has its own");
}

#[test]
fn a_document_is_the_same_however_often_it_is_fetched() {
    assert!(every(10).is_same_document(&every(20)));
    let file = |name: &str| JwksSource::File(PathBuf::from(name));
    assert!(file("a.json").is_same_document(&file("a.json")));
    assert!(!file("a.json").is_same_document(&file("b.json")));
    assert!(!file("https://issuer.example/jwks.json").is_same_document(&every(10)));
}

#[tokio::test(start_paused = true)]
async fn a_first_fetch_is_awaited_until_it_failed() {
    let store = empty_store();
    assert!(store.is_awaited());
    store.fetch_ended(Some("connection refused".into()));
    assert!(!store.is_awaited() && store.is_failing());
    store.install(&old()).expect("keys");
    store.fetch_ended(None);
    assert!(!store.is_awaited() && !store.is_failing());
    assert!(!KeyStore::new(JwksSource::File(PathBuf::from("jwks.json"))).is_awaited(), "nobody fetches a file");
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_does_not_end_is_a_failing_issuer() {
    let store = store(&old());
    assert!(!store.refetch(Some("new")).await, "there is no fetcher");
    assert!(store.is_failing());
}

#[test]
fn a_document_is_checked_without_being_installed() {
    assert_eq!(check_jwks(&both()), Ok(2));
    assert!(check_jwks("{}").expect_err("no keys").contains("\"keys\""));
}
