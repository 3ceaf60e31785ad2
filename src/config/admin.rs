//! `admin`: the control plane's listener and who may use it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::cursor::Cursor;
use super::formats::{FILE, NAME, listen};
use super::lowering::Lowering;
use super::quote::quoted;
use super::shape::{Format, Section, Shape, choice, default, list, required, section};
use crate::snapshot::{Admin, AdminToken, AnonymousAccess, Role};

const DEFAULT_LISTEN: &str = "127.0.0.1:9901";
const OFF: &str = "off";
/// Shorter secrets can be guessed through the network.
const SHORTEST_SECRET: usize = 16;

static LISTEN_OR_OFF: Format =
    Format { name: "an address and port such as 127.0.0.1:9901, or off", pattern: None, check: listen_or_off };

pub(super) static ADMIN: Section = section(
    "The control plane: API, health, metrics.",
    &[
        default(
            "listen",
            Shape::Text(&LISTEN_OR_OFF),
            DEFAULT_LISTEN,
            "address of the control plane, or off; needs a restart",
        ),
        default(
            "anonymous",
            choice(&["none", "read", "operate"]),
            "read",
            "what a caller without a token may do; operate only on a loopback address",
        ),
        default("tokens", list(&Shape::Section(&TOKEN), 0), "[]", "known callers"),
    ],
);

static TOKEN: Section = section(
    "A known caller of the control plane.",
    &[
        required("name", Shape::Text(&NAME), "who it is, for the history"),
        required("role", choice(&["viewer", "operator"]), "viewer reads, operator changes"),
        required("secret_file", Shape::Text(&FILE), "file with the bearer token, at least 16 characters"),
    ],
);

fn listen_or_off(text: &str) -> Result<(), String> {
    if text == OFF {
        Ok(())
    } else {
        listen(text).map(drop).map_err(|message| format!("{message}, or off for no control plane"))
    }
}

/// `admin.listen`; `None` if it is off.
pub(super) fn address(admin: Option<&Cursor<'_>>) -> Option<SocketAddr> {
    let text = admin.and_then(|admin| admin.text_of("listen")).unwrap_or(DEFAULT_LISTEN);
    listen(text).ok()
}

/// Everything of `admin` that a reload may change.
pub(super) fn lower(admin: Option<&Cursor<'_>>, lowering: &mut Lowering<'_>) -> Admin {
    let Some(admin) = admin else { return Admin { anonymous: AnonymousAccess::default(), tokens: Vec::new() } };
    let anonymous = match admin.text_of("anonymous") {
        Some("none") => AnonymousAccess::None,
        Some("operate") => AnonymousAccess::Operate,
        _ => AnonymousAccess::Read,
    };
    check_exposure(admin, anonymous, lowering);
    Admin { anonymous, tokens: lower_tokens(admin, lowering) }
}

fn check_exposure(admin: &Cursor<'_>, anonymous: AnonymousAccess, lowering: &mut Lowering<'_>) {
    let Some(address) = address(Some(admin)).filter(|address| !address.ip().is_loopback()) else { return };
    let spot = admin.get("anonymous").or_else(|| admin.get("listen")).unwrap_or_else(|| admin.clone()).spot();
    let shown = quoted(&address.to_string());
    match anonymous {
        AnonymousAccess::None => {}
        AnonymousAccess::Read => lowering.report.warning(
            &spot,
            format!(
                "{shown} can be reached from other machines, and \"read\" lets anybody there read flags and routes; \
                     write `anonymous: none` and give out tokens"
            ),
        ),
        AnonymousAccess::Operate => lowering.report.error(
            &spot,
            format!(
                "\"operate\" lets anybody change flags, and {shown} can be reached from other machines; \
                     listen on 127.0.0.1 or write `anonymous: read` or `none`"
            ),
        ),
    }
}

fn lower_tokens(admin: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Vec<AdminToken> {
    let mut tokens: Vec<AdminToken> = Vec::new();
    let mut names = Vec::new();
    for item in admin.items_of("tokens") {
        let (Some(name), Some(file)) = (item.text_of("name"), item.get("secret_file")) else { continue };
        if [AdminToken::ANONYMOUS, AdminToken::BY_HAND].contains(&name) {
            let message = format!("the history calls somebody else {}; rename this caller", quoted(name));
            lowering.report.error(&item.get("name").unwrap_or_else(|| item.clone()).spot(), message);
        }
        if names.contains(&name) {
            let message =
                format!("{} names two tokens, and the history could not tell them apart; rename one", quoted(name));
            lowering.report.error(&item.spot(), message);
        }
        names.push(name);
        let role = if item.text_of("role") == Some("operator") { Role::Operator } else { Role::Viewer };
        let Some(secret) = lower_secret(&file, lowering) else { continue };
        if let Some(other) = tokens.iter().find(|token| token.secret == secret) {
            let message = format!(
                "{} holds the same secret as the token {:?}; make a new one",
                quoted(file.text().unwrap_or_default()),
                other.name
            );
            lowering.report.error(&file.spot(), message);
        }
        tokens.push(AdminToken { name: name.to_owned(), role, secret });
    }
    tokens
}

fn lower_secret(file: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Arc<str>> {
    let content = lowering.private_file(file)?;
    let shown = quoted(file.text().unwrap_or_default());
    let text = content.text().map(str::trim).unwrap_or_default();
    let well_formed = text.len() >= SHORTEST_SECRET && text.bytes().all(|b| b.is_ascii_graphic());
    if !well_formed {
        let message = format!(
            "{shown} must hold one secret of at least {SHORTEST_SECRET} printable ASCII characters without spaces; \
             make one with `openssl rand -hex 32`"
        );
        lowering.report.error(&file.spot(), message);
        return None;
    }
    Some(text.into())
}
