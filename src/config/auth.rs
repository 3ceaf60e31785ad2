//! `auth`: whose tokens are believed, and what backends are told about the caller.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cursor::Cursor;
use super::formats::{ANY, FILE, HEADER, URL};
use super::lowering::Lowering;
use super::quote::quoted;
use super::shape::{DAY, Section, Shape, choice, default, list, optional, required, section};
use super::tree::ScalarKind;
use crate::auth::{Algorithm, Authenticator, Issuer, JwksSource, KeyStore};

const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
const DEFAULT_ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
const ALGORITHMS: Shape =
    choice(&["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"]);

pub(super) static AUTH: Section = section(
    "Whose tokens are believed, and what backends are told about the caller.",
    &[
        default("issuers", list(&Shape::Section(&ISSUER), 0), "[]", "who may sign tokens"),
        default(
            "identity_headers",
            Shape::Table { keys: &ANY, values: &Shape::Text(&HEADER), min: 0 },
            "{sub: x-user-id}",
            "claim to header; a client's own copies of these headers never reach a backend",
        ),
    ],
);

static ISSUER: Section = section(
    "One issuer of tokens.",
    &[
        required("issuer", Shape::Text(&ANY), "the exact `iss` of its tokens"),
        default(
            "audiences",
            list(&Shape::Text(&ANY), 0),
            "[]",
            "a token must name one of these in `aud`; empty: not checked",
        ),
        default("algorithms", list(&ALGORITHMS, 1), "[RS256, ES256, EdDSA]", "signature algorithms that are accepted"),
        default(
            "leeway",
            Shape::Duration { min: Duration::ZERO, max: Duration::from_secs(300) },
            "30s",
            "tolerance on `exp` and `nbf`; up to 5m",
        ),
        required("jwks", Shape::Section(&JWKS), "where its keys are: {file: …} or {url: …}"),
    ],
);

static JWKS: Section = Section {
    doc: "Where the keys of an issuer are.",
    fields: &[
        optional("file", Shape::Text(&FILE), "a JWKS file, read with the configuration"),
        optional("url", Shape::Text(&URL), "a JWKS document, fetched before ready and then in the background"),
        optional(
            "refresh",
            Shape::Duration { min: Duration::from_secs(10), max: DAY },
            "how often the url is fetched; 5m unless set",
        ),
    ],
    exactly_one: &["file", "url"],
};

/// Headers that the gateway or HTTP itself writes; an identity header of that name would break both.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];
const RESERVED_PREFIXES: &[&str] = &["x-forwarded-", "x-figway-", "sec-", "access-control-"];

/// Keys of JWKS files by path, with the digest of the content they came from. Unchanged content
/// keeps its store, so that verified tokens stay cached; changed content gets a new one, so that a
/// load that fails later disturbs nobody.
pub(super) type KeptFileKeys = Mutex<HashMap<PathBuf, (String, Arc<KeyStore>)>>;

/// The verifier of tokens; `None` if keys are missing.
pub(super) fn lower(auth: Option<&Cursor<'_>>, lowering: &mut Lowering<'_>) -> Option<Arc<Authenticator>> {
    let headers = identity_headers(auth, lowering);
    let mut seen: Vec<&str> = Vec::new();
    let mut issuers = Vec::new();
    let mut complete = true;
    for item in auth.map(|auth| auth.items_of("issuers")).unwrap_or_default() {
        if let Some(name) = item.get("issuer").filter(|name| name.text().is_some_and(|text| seen.contains(&text))) {
            let message =
                format!("{} is configured twice; put all of its settings into one entry", quoted(name.text()?));
            lowering.report.error(&name.spot(), message);
        }
        seen.extend(item.text_of("issuer"));
        match lower_issuer(&item, lowering) {
            Some(issuer) => issuers.push(issuer),
            None => complete = false,
        }
    }
    let previous = lowering.kept.authenticator.lock().unwrap_or_else(PoisonError::into_inner).clone();
    complete.then(|| Authenticator::renew(previous.as_ref(), issuers, headers))
}

fn lower_issuer(item: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Issuer> {
    let audiences = item.texts_of("audiences");
    let names_none = item.get("audiences").is_none_or(|audiences| audiences.is_empty());
    if names_none && item.text_of("issuer").is_some() {
        let message = format!(
            "{} has no `audiences`: a token that it signed for another service is accepted here too; name this service's audience",
            quoted(item.text_of("issuer")?)
        );
        lowering.report.warning(&item.spot(), message);
    }
    let algorithms: Vec<_> = item.texts_of("algorithms").iter().filter_map(|name| Algorithm::from_name(name)).collect();
    let keys = lower_keys(&item.get("jwks")?, lowering)?;
    Some(Issuer {
        issuer: item.text_of("issuer")?.to_owned(),
        audiences,
        algorithms: if algorithms.is_empty() { DEFAULT_ALGORITHMS.to_vec() } else { algorithms },
        leeway: item.duration_of("leeway").unwrap_or(DEFAULT_LEEWAY),
        keys,
    })
}

fn lower_keys(jwks: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Arc<KeyStore>> {
    if let Some(file) = jwks.get("file") {
        if let Some(refresh) = jwks.get("refresh") {
            let message = "\"refresh\" belongs to `url`; a file is read again whenever it changes: remove the key";
            lowering.report.error(&refresh.spot(), message);
        }
        return file_keys(&file, lowering);
    }
    let url = jwks.get("url")?;
    let text = url.text()?;
    let host = text.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    if text.starts_with("http://") && !local {
        let message =
            format!("{} is fetched without TLS: whoever sits in between can sign tokens; use https", quoted(text));
        lowering.report.warning(&url.spot(), message);
    }
    let refresh = jwks.duration_of("refresh").unwrap_or(DEFAULT_REFRESH);
    let source = JwksSource::Url { url: text.to_owned(), refresh };
    let mut stores = lowering.kept.key_stores.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = stores.get(&source) {
        return Some(Arc::clone(store));
    }
    let fetched = stores.values().find(|store| store.is_ready() && store.source().is_same_document(&source));
    let store = Arc::new(match fetched {
        Some(fetched) => KeyStore::continuing(source.clone(), fetched),
        None => KeyStore::new(source.clone()),
    });
    stores.insert(source, Arc::clone(&store));
    Some(store)
}

fn file_keys(file: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Arc<KeyStore>> {
    let content = lowering.file(file)?;
    let path = lowering.sources.resolve(file.text()?);
    let mut kept = lowering.kept.file_keys.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((digest, store)) = kept.get(&path)
        && *digest == content.digest
    {
        return Some(Arc::clone(store));
    }
    let store = Arc::new(KeyStore::new(JwksSource::File(path.clone())));
    let installed = content.text().map_err(|mistake| mistake.message).and_then(|text| store.install(text));
    if let Err(reason) = installed {
        let message = format!("{} is not a usable JWKS: {reason}", quoted(file.text()?));
        lowering.report.error(&file.spot(), message);
        return None;
    }
    kept.insert(path, (content.digest, Arc::clone(&store)));
    Some(store)
}

fn identity_headers(auth: Option<&Cursor<'_>>, lowering: &mut Lowering<'_>) -> Vec<(String, String)> {
    let Some(table) = auth.and_then(|auth| auth.get("identity_headers")) else {
        return vec![("sub".into(), "x-user-id".into())];
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    for (entry, value) in table.entries() {
        let Some(scalar) = value.scalar().filter(|scalar| matches!(scalar.kind, ScalarKind::Text | ScalarKind::Any))
        else {
            continue;
        };
        let header = scalar.text.to_ascii_lowercase();
        let reserved =
            RESERVED.contains(&header.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| header.starts_with(prefix));
        if reserved {
            let message = format!(
                "{} is written by HTTP or by the gateway itself; choose another name, such as x-user-{}",
                quoted(&scalar.text),
                entry.key.to_ascii_lowercase()
            );
            lowering.report.error(&value.spot(), message);
        } else if let Some((claim, _)) = headers.iter().find(|(_, known)| *known == header) {
            let message = format!("{} already carries the claim {claim:?}; choose another name", quoted(&scalar.text));
            lowering.report.error(&value.spot(), message);
        }
        headers.push((entry.key.clone(), header));
    }
    headers
}
