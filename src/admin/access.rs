//! Who may call: tokens, the anonymous caller, and browsers that only look like one.
//!
//! A browser on an operator's machine can reach a loopback listener on behalf of any web site. A site can
//! bend its own name to 127.0.0.1 (DNS rebinding), so an anonymous call must name this machine in `Host`; and it
//! can send requests across sites, so an anonymous call must not carry another site's `Origin` or
//! `Sec-Fetch-Site`. A caller with a token is exempt: no site has the secret.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::{constant_time, digest};
use http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::answer::Refusal;
use crate::problem::Code;
use crate::snapshot::{Admin, AdminToken, AnonymousAccess, Role};

/// Both ends of the connection that a request came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The listener's side.
    pub local: SocketAddr,
    /// The caller's side.
    pub peer: SocketAddr,
}

/// What the decision looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) ends: Ends,
}

/// Who calls, once admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// For the history: the token's name, or `anonymous`.
    pub(super) actor: String,
    /// What they may do.
    pub(super) role: Role,
}

/// Decides who calls and whether they may do what needs `needed`.
pub(super) fn admit(admin: &Admin, call: Call<'_>, needed: Role) -> Result<Caller, Refusal> {
    let caller = match credentials(call.headers)? {
        Some(secret) => known(&admin.tokens, secret)
            .map(|token| Caller { actor: token.name.clone(), role: token.role })
            .ok_or_else(|| invalid("the token is not one of admin.tokens"))?,
        None => anonymous(admin.anonymous, call, needed)?,
    };
    if caller.role < needed {
        return Err(Refusal::new(
            Code::Forbidden,
            format!("{} is a viewer and may only read; use the token of an operator", caller.actor),
        ));
    }
    Ok(caller)
}

fn anonymous(access: AnonymousAccess, call: Call<'_>, needed: Role) -> Result<Caller, Refusal> {
    let role = match access {
        AnonymousAccess::None => return Err(missing("send \"Authorization: Bearer <secret>\"")),
        AnonymousAccess::Read => Role::Viewer,
        AnonymousAccess::Operate if on_loopback(call.ends) => Role::Operator,
        AnonymousAccess::Operate => Role::Viewer,
    };
    no_browser_in_disguise(call)?;
    if role < needed {
        return Err(missing("a caller without a token may only read; send \"Authorization: Bearer <secret>\""));
    }
    Ok(Caller { actor: AdminToken::ANONYMOUS.into(), role })
}

/// The bearer secret, if the request carries credentials at all.
fn credentials(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("there is more than one Authorization header"));
    }
    let (scheme, secret) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || secret.trim().is_empty() {
        return Err(invalid("the Authorization header is not \"Bearer <secret>\""));
    }
    Ok(Some(secret.trim()))
}

/// Compares with every token, so that time tells neither which one matched nor how much of it.
fn known<'a>(tokens: &'a [AdminToken], secret: &str) -> Option<&'a AdminToken> {
    // Digests have one length: comparing the secrets themselves would tell theirs.
    let given = digest::digest(&digest::SHA256, secret.as_bytes());
    let mut found = None;
    for token in tokens.iter().filter(|token| !token.secret.is_empty()) {
        let expected = digest::digest(&digest::SHA256, token.secret.as_bytes());
        if constant_time::verify_slices_are_equal(expected.as_ref(), given.as_ref()).is_ok() {
            found = found.or(Some(token));
        }
    }
    found
}

fn no_browser_in_disguise(call: Call<'_>) -> Result<(), Refusal> {
    let host = host(call.uri, call.headers)?;
    if !names_this_machine(&host, call.ends.local.ip()) {
        return Err(Refusal::new(
            Code::Forbidden,
            format!(
                "a caller without a token must address this machine as localhost or {}, not as {:?}",
                call.ends.local.ip(),
                host.as_str()
            ),
        ));
    }
    let same_origin = call.headers.get_all(ORIGIN).iter().all(|origin| is_origin_of(origin, &host));
    // Someone who follows a link in a runbook comes "cross-site" too; the linking page can't read the answer.
    let same_site = is_followed_link(call) || call.headers.get_all("sec-fetch-site").iter().all(is_own_site);
    if same_origin && same_site {
        Ok(())
    } else {
        Err(Refusal::new(Code::Forbidden, "a web page of another origin may not call without a token"))
    }
}

/// Host of the request; an absolute-form target wins over the header (RFC 9112, 3.2.2).
fn host(uri: &Uri, headers: &HeaderMap) -> Result<http::uri::Authority, Refusal> {
    if let Some(authority) = uri.authority() {
        return Ok(authority.clone());
    }
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            http::uri::Authority::try_from(value.as_bytes()).map_err(|_| bad_host("the Host header is not a host"))
        }
        (None, _) => Err(bad_host("the request has no Host header")),
        (Some(_), Some(_)) => Err(bad_host("there is more than one Host header")),
    }
}

fn names_this_machine(host: &http::uri::Authority, local: IpAddr) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback() || address.to_canonical() == local.to_canonical(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

fn is_origin_of(origin: &HeaderValue, host: &http::uri::Authority) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
}

fn is_own_site(value: &HeaderValue) -> bool {
    value == "same-origin" || value == "none"
}

fn is_followed_link(call: Call<'_>) -> bool {
    let says = |name: &str, value: &str| call.headers.get(name).is_some_and(|found| found == value);
    call.method == Method::GET && says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document")
}

fn on_loopback(ends: Ends) -> bool {
    ends.local.ip().to_canonical().is_loopback() && ends.peer.ip().to_canonical().is_loopback()
}

fn missing(detail: &str) -> Refusal {
    Refusal::new(Code::TokenMissing, detail).with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"figway\""))
}

fn invalid(detail: &str) -> Refusal {
    let challenge = HeaderValue::from_static("Bearer realm=\"figway\", error=\"invalid_token\"");
    Refusal::new(Code::TokenInvalid, detail).with(WWW_AUTHENTICATE, challenge)
}

fn bad_host(detail: &str) -> Refusal {
    Refusal::new(Code::InvalidHost, detail)
}

#[cfg(test)]
mod tests;
