//! What a request's credentials come to, and when they are worth waiting for.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::auth::{Algorithm, Issuer, JwksSource, KeyStore, SigningKey, mint};
use crate::clock::Timestamp;
use crate::types::fields::Fields;

const NOW: Timestamp = Timestamp(1_795_291_200_000);

/// An issuer whose keys are fetched, and a key of it.
struct Fixture {
    keys: Arc<KeyStore>,
    key: SigningKey,
}

impl Fixture {
    fn new() -> Self {
        let source =
            JwksSource::Url { url: "https://issuer.example/jwks.json".into(), refresh: Duration::from_secs(300) };
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
        Self { keys: Arc::new(KeyStore::new(source)), key }
    }

    /// The issuer's document has arrived.
    fn fetched(self) -> Self {
        self.keys.install(&self.key.public_jwks(None)).expect("keys");
        self.keys.fetch_ended(None);
        self
    }

    fn token(&self, kid: Option<&str>) -> String {
        let claims = json!({"iss": "https://issuer.example", "sub": "alice"});
        let claims = claims.as_object().expect("an object").clone();
        mint(&self.key, kid, claims, NOW, Duration::from_secs(60)).expect("a token")
    }

    /// What the filter says to these `Authorization` values after so many waits, and how it counts.
    fn ask(&self, mode: AuthMode, credentials: &[String], waits: u32) -> (Verdict, Option<AuthOutcome>) {
        let issuer = Issuer {
            issuer: "https://issuer.example".into(),
            audiences: Vec::new(),
            algorithms: vec![Algorithm::EdDsa],
            leeway: Duration::ZERO,
            keys: Arc::clone(&self.keys),
        };
        let filter = Authenticate::new(mode, Arc::new(Authenticator::new(vec![issuer], Vec::new())));
        let mut fields = Fields::new();
        for value in credentials {
            fields.push("Authorization", value.as_bytes());
        }
        let mut request = FilterRequest { method: "GET", fields: &fields, now: NOW, identity: None, auth: None, waits };
        let verdict = filter.on_request(&mut request);
        assert_eq!(request.identity.is_some(), request.auth == Some(AuthOutcome::Verified));
        (verdict, request.auth)
    }

    /// Expects a problem with this code.
    #[track_caller]
    fn refuses(&self, mode: AuthMode, credentials: &[String], waits: u32, code: Code, outcome: AuthOutcome) {
        let (verdict, counted) = self.ask(mode, credentials, waits);
        let Verdict::Answer(answer) = verdict else { panic!("{verdict:?}") };
        let Answer::Problem(problem, headers) = *answer else { panic!("{answer:?}") };
        assert_eq!((problem.code, counted), (code, Some(outcome)));
        let expected = if problem.code.status() == 401 { "www-authenticate" } else { "retry-after" };
        assert_eq!(headers[0].0, expected);
    }
}

fn bearer(token: &str) -> [String; 1] {
    [format!("Bearer {token}")]
}

#[test]
fn each_demand_takes_what_it_says() {
    let fixture = Fixture::new().fetched();
    let good = bearer(&fixture.token(None));
    for (mode, credentials, outcome) in [
        (AuthMode::Required, &good[..], Some(AuthOutcome::Verified)),
        (AuthMode::Optional, &good, Some(AuthOutcome::Verified)),
        (AuthMode::Optional, &[], Some(AuthOutcome::Anonymous)),
        (AuthMode::None, &good, None),
        (AuthMode::None, &bearer("nonsense"), None),
    ] {
        let (verdict, counted) = fixture.ask(mode, credentials, 0);
        assert!(matches!(verdict, Verdict::Continue), "{mode:?}: {verdict:?}");
        assert_eq!(counted, outcome, "{mode:?}");
    }
}

#[test]
fn what_does_not_hold_is_refused_where_anything_is_looked_at() {
    let fixture = Fixture::new().fetched();
    let good = fixture.token(None);
    fixture.refuses(AuthMode::Required, &[], 0, Code::TokenMissing, AuthOutcome::Missing);
    for mode in [AuthMode::Required, AuthMode::Optional] {
        let twice = [bearer(&good), bearer(&good)].concat();
        for credentials in [&bearer("nonsense")[..], &bearer(""), &twice] {
            fixture.refuses(mode, credentials, 0, Code::TokenInvalid, AuthOutcome::Invalid);
        }
    }
}

#[test]
fn an_unknown_key_is_waited_for_once() {
    let fixture = Fixture::new().fetched();
    let token = bearer(&fixture.token(Some("unknown")));
    let (verdict, counted) = fixture.ask(AuthMode::Required, &token, 0);
    assert!(matches!(verdict, Verdict::Wait(_)) && counted.is_none(), "{verdict:?}");
    fixture.refuses(AuthMode::Required, &token, 1, Code::TokenInvalid, AuthOutcome::Invalid);
}

#[test]
fn an_unknown_key_of_an_issuer_that_fails_is_not_the_client_s_fault() {
    let fixture = Fixture::new().fetched();
    fixture.keys.fetch_ended(Some("connection refused".into()));
    let unknown = bearer(&fixture.token(Some("unknown")));
    fixture.refuses(AuthMode::Required, &unknown, 1, Code::KeysUnavailable, AuthOutcome::Unavailable);
    let (verdict, _) = fixture.ask(AuthMode::Required, &bearer(&fixture.token(None)), 0);
    assert!(matches!(verdict, Verdict::Continue), "known keys go on serving: {verdict:?}");
    let forged = bearer(&format!("{}AAAA", fixture.token(None)));
    fixture.refuses(AuthMode::Required, &forged, 0, Code::TokenInvalid, AuthOutcome::Invalid);
}

#[tokio::test(start_paused = true)]
async fn the_first_keys_are_waited_for_unless_they_can_not_be_had() {
    let fixture = Fixture::new();
    let token = bearer(&fixture.token(None));
    let (verdict, _) = fixture.ask(AuthMode::Required, &token, 0);
    let Verdict::Wait(first_fetch) = verdict else { panic!("{verdict:?}") };
    let waiting = tokio::spawn(first_fetch);
    tokio::task::yield_now().await;
    let fixture = fixture.fetched();
    waiting.await.expect("woken");
    assert_eq!(fixture.ask(AuthMode::Required, &token, 1).1, Some(AuthOutcome::Verified));

    let fixture = Fixture::new();
    fixture.refuses(AuthMode::Required, &token, 1, Code::KeysUnavailable, AuthOutcome::Unavailable);
    fixture.keys.fetch_ended(Some("connection refused".into()));
    fixture.refuses(AuthMode::Required, &token, 0, Code::KeysUnavailable, AuthOutcome::Unavailable);
}
