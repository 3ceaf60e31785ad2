//! `routes`: which requests, who may, and where they go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::backends::{TIMEOUTS, check_timeouts, overrides};
use super::cursor::Cursor;
use super::flags::VARIANT;
use super::formats::{ANY, HEADER, HOST, NAME, ORIGIN};
use super::lowering::Lowering;
use super::quote::{listed, quoted};
use super::report::Spot;
use super::shape::{DAY, Section, Shape, choice, default, list, optional, required, section};
use super::targets::{Targets, target};
use super::validate::check_scalar;
use crate::routing::{RouteSpec, RouteTable};
use crate::snapshot::{AuthMode, Cors, Route, Target, Terms};

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);
/// The registered methods that a gateway forwards; CONNECT opens no tunnel here.
const METHOD: Shape = choice(&[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "QUERY",
    "SEARCH",
    "REPORT",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "PURGE",
]);
pub(super) const AUTH_MODE: Shape = choice(&["required", "optional", "none"]);

pub(super) static ROUTES: Shape = list(&Shape::Section(&ROUTE), 1);

static ROUTE: Section = Section {
    doc: "Which requests, who may, and where they go.",
    fields: &[
        required("name", Shape::Text(&NAME), "unique name, for metrics, logs and explain"),
        required("path", Shape::Text(&ANY), "template: /api/v1/members/{id}, or /api/{*rest} for everything below"),
        optional("methods", list(&METHOD, 1), "methods it takes, GET includes HEAD; any unless set"),
        optional("host", Shape::Text(&HOST), "host without port; any unless set"),
        default("auth", AUTH_MODE, "required", "required, optional (verified if present) or none"),
        optional("backend", Shape::Text(&NAME), "the one backend; or `flag` and `backends`"),
        optional("flag", Shape::Text(&ANY), "the flag that chooses between `backends`"),
        optional(
            "backends",
            Shape::Table { keys: &VARIANT, values: &Shape::Text(&NAME), min: 1 },
            "variant of the flag to backend",
        ),
        optional(
            "cors",
            Shape::Section(&CORS),
            "cross-origin rules; without them preflights are requests like any other",
        ),
        default(
            "allow_encoded_slash",
            Shape::Bool,
            "false",
            "accepts %2F and %5C in the path, and forwards them as they are",
        ),
        optional(
            "max_body",
            Shape::Size { min: 0, max: 1 << 40 },
            "largest request body; server.limits.body unless set",
        ),
        default(
            "retries",
            Shape::Integer { min: 0, max: 5 },
            "0",
            "more tries for idempotent methods after 502, 503, 504 or a lost connection",
        ),
        optional("timeouts", Shape::Section(&TIMEOUTS), "overrides of the backend's timeouts"),
    ],
    exactly_one: &["backend", "flag"],
};

static CORS: Section = section(
    "Cross-origin rules (the Fetch standard).",
    &[
        required("origins", list(&Shape::Text(&ORIGIN), 1), "exact origins such as https://shop.example, or *"),
        optional("methods", list(&METHOD, 1), "methods a preflight is told; the route's own unless set"),
        default("headers", list(&Shape::Text(&HEADER), 0), "[]", "request headers a preflight is told"),
        default("expose", list(&Shape::Text(&HEADER), 0), "[]", "response headers that a page may read"),
        default("credentials", Shape::Bool, "false", "cookies and Authorization may be sent; not together with *"),
        default(
            "max_age",
            Shape::Duration { min: Duration::ZERO, max: DAY },
            "10m",
            "how long a preflight's answer may be kept",
        ),
    ],
);

/// A route that is ready for the table, and where to report about it.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) route: Route,
    pub(super) place: Spot,
}

/// All routes of a configuration.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Those that are sound enough to be built, in the order written.
    pub(super) sound: Vec<Lowered>,
    /// What the others would take, so that their paths are judged all the same, and where these stand.
    unsound: Vec<(RouteSpec, Spot)>,
}

/// Every route, as far as it is sound.
pub(super) fn lower(root: &Cursor<'_>, targets: &mut Targets<'_>, lowering: &mut Lowering<'_>) -> Routes {
    let mut routes = Routes::default();
    let items = root.items_of("routes");
    check_names(&items, "route", lowering);
    for item in items {
        match lower_route(&item, targets, lowering) {
            Some(lowered) => routes.sound.push(lowered),
            None => routes.unsound.extend(requests_of(&item)),
        }
    }
    routes
}

/// Which requests a route would take, if that much of it can be read.
fn requests_of(item: &Cursor<'_>) -> Option<(RouteSpec, Spot)> {
    let path = item.get("path")?;
    let methods = item.items_of("methods");
    let known: Vec<String> =
        methods.iter().filter(|one| is_method(one)).filter_map(|one| one.text()).map(str::to_owned).collect();
    // Without a method that is known, it would seem to take all.
    if known.is_empty() && !methods.is_empty() {
        return None;
    }
    let host = item.text_of("host").filter(|host| (HOST.check)(host).is_ok());
    let spec = RouteSpec {
        name: item.text_of("name").unwrap_or("without a name").into(),
        host: host.map(str::to_ascii_lowercase),
        path: path.text().filter(|path| !path.is_empty())?.to_owned(),
        methods: known,
    };
    Some((spec, path.spot()))
}

fn lower_route(item: &Cursor<'_>, targets: &mut Targets<'_>, lowering: &mut Lowering<'_>) -> Option<Lowered> {
    let auth = auth_mode(item);
    auth.into_iter().for_each(|auth| check_issuers(item, auth, targets, lowering));
    let methods = lower_methods(item, lowering);
    let cors = item.get("cors").map(|cors| lower_cors(&cors, methods.as_deref().unwrap_or_default(), auth, lowering));
    let timeouts = overrides(item);
    let target = target(item, targets, lowering)?;
    // Several backends may differ in what they allow; the first stands for them, so that a warning comes once.
    if let Some(backend) = backends_of(&target).first() {
        check_timeouts(item, &timeouts.over(&backend.timeouts), lowering);
    }
    let path = item.get("path")?;
    check_spelling(&path, lowering);
    let terms = Terms {
        auth: auth?,
        cors,
        allow_encoded_slash: item.bool_of("allow_encoded_slash").unwrap_or(false),
        max_body: item.size_of("max_body"),
        retries: item.integer_of("retries").unwrap_or(0),
        timeouts,
    };
    let route = Route {
        policy: targets.policy(terms),
        target,
        name: item.text_of("name")?.into(),
        path: path.text()?.to_owned(),
        methods: methods?,
        host: item.text_of("host").map(str::to_ascii_lowercase),
    };
    Some(Lowered { route, place: path.spot() })
}

/// Items of a list have names of their own, also those with other mistakes.
pub(super) fn check_names(items: &[Cursor<'_>], what: &str, lowering: &mut Lowering<'_>) {
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for name in items.iter().filter_map(|item| item.get("name")) {
        let Some(text) = name.text() else { continue };
        if let Some(line) = lines.get(text) {
            let message = format!("{} is also the name of the {what} on line {line}; names are unique", quoted(text));
            lowering.report.error(&name.spot(), message);
        }
        lines.entry(text).or_insert(name.spot().at.line);
    }
}

/// Other routers write parameters as `:id` and the rest as `*`; here both are plain text.
fn check_spelling(path: &Cursor<'_>, lowering: &mut Lowering<'_>) {
    for segment in path.text().unwrap_or_default().split('/') {
        let meant = match segment.strip_prefix(':') {
            Some(name) => format!("{{{name}}}"),
            None if segment.starts_with('*') => "{*rest}".to_owned(),
            None => continue,
        };
        let message = format!(
            "{} has {segment:?}, which means these very characters; a parameter is written {meant}",
            quoted(path.text().unwrap_or_default())
        );
        lowering.report.warning(&path.spot(), message);
    }
}

fn backends_of(target: &Target) -> Vec<&Arc<crate::snapshot::Backend>> {
    match target {
        Target::Backend(backend) => vec![backend],
        Target::Flagged { backends, .. } => backends.iter().flatten().collect(),
        Target::Payments => Vec::new(),
    }
}

/// `auth` of a route or of the payments section; `None` if another word stands there.
pub(super) fn auth_mode(item: &Cursor<'_>) -> Option<AuthMode> {
    match item.text_of("auth") {
        Some("optional") => Some(AuthMode::Optional),
        Some("none") => Some(AuthMode::None),
        Some("required") | None => Some(AuthMode::Required),
        Some(_) => None,
    }
}

/// A route that demands tokens needs somebody who signs them.
pub(super) fn check_issuers(item: &Cursor<'_>, auth: AuthMode, targets: &Targets<'_>, lowering: &mut Lowering<'_>) {
    if targets.has_issuers || auth == AuthMode::None {
        return;
    }
    let place = item.get("auth").unwrap_or_else(|| item.clone()).spot();
    match auth {
        AuthMode::Required => {
            let message = "\"auth: required\" (the default) without any `auth.issuers`: nobody could ever get in; \
                           configure an issuer or write `auth: none`";
            lowering.report.error(&place, message);
        }
        AuthMode::Optional => {
            let message = "\"auth: optional\" without any `auth.issuers`: every token is refused; \
                           configure an issuer or write `auth: none`";
            lowering.report.warning(&place, message);
        }
        AuthMode::None => {}
    }
}

/// `None` if one is not known: fewer methods than written would make another route of it.
fn lower_methods(item: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<Vec<String>> {
    let mut seen = HashSet::new();
    for method in item.items_of("methods") {
        if let Some(text) = method.text().filter(|text| !seen.insert(*text)) {
            lowering.report.error(&method.spot(), format!("{} stands here twice; remove one", quoted(text)));
        }
    }
    item.items_of("methods").iter().all(is_method).then(|| item.texts_of("methods"))
}

fn is_method(method: &Cursor<'_>) -> bool {
    method.scalar().is_some_and(|scalar| check_scalar(scalar, &METHOD).is_ok())
}

fn lower_cors(cors: &Cursor<'_>, of_route: &[String], auth: Option<AuthMode>, lowering: &mut Lowering<'_>) -> Cors {
    let lower_case = |key| cors.texts_of(key).iter().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>();
    let methods = if cors.get("methods").is_some() { cors.texts_of("methods") } else { of_route.to_vec() };
    let origins = cors.texts_of("origins");
    let credentials = cors.bool_of("credentials").unwrap_or(false);
    let any = origins.iter().any(|origin| origin == "*");
    if any && credentials {
        let place = cors.get("credentials").unwrap_or_else(|| cors.clone()).spot();
        let message = "\"credentials: true\" does not go with the origin \"*\": browsers refuse it; list the origins";
        lowering.report.error(&place, message);
    }
    if any && origins.len() > 1 {
        let place = cors.get("origins").unwrap_or_else(|| cors.clone()).spot();
        lowering.report.error(&place, "\"*\" includes every other origin in this list; write it alone, or remove it");
    }
    let headers = lower_case("headers");
    if auth == Some(AuthMode::Required) && !headers.iter().any(|name| name == "authorization") {
        let place = cors.get("headers").unwrap_or_else(|| cors.clone()).spot();
        let message = "\"auth: required\" demands a token that browsers may not send; add authorization to `headers`";
        lowering.report.warning(&place, message);
    }
    Cors {
        origins,
        methods,
        headers,
        expose: lower_case("expose"),
        credentials,
        max_age: cors.duration_of("max_age").unwrap_or(DEFAULT_MAX_AGE),
    }
}

/// Compiles the routes; every conflict is reported where the path stands.
pub(super) fn table(routes: &Routes, lowering: &mut Lowering<'_>) -> Option<RouteTable> {
    let sound = routes.sound.iter().map(|one| (spec(&one.route), one.place.clone()));
    let (specs, places): (Vec<_>, Vec<_>) = sound.chain(routes.unsound.iter().cloned()).unzip();
    let build = RouteTable::build(&specs);
    build
        .map_err(|conflicts| {
            for conflict in conflicts {
                if let Some(place) = places.get(conflict.route) {
                    lowering.report.error(place, conflict.message);
                }
            }
        })
        .ok()
}

/// Warns where a method that a route does not take reaches a route that asks for less.
pub(super) fn warn_of_weaker_auth(table: &RouteTable, lowered: &[Lowered], lowering: &mut Lowering<'_>) {
    for fall in table.fall_throughs() {
        let (Some(from), Some(to)) = (lowered.get(fall.route), lowered.get(fall.next)) else { continue };
        if strictness(to.route.policy.terms.auth) >= strictness(from.route.policy.terms.auth) {
            continue;
        }
        let methods = match fall.methods.as_slice() {
            [] => "every method that no other route takes".to_owned(),
            methods => listed(methods.iter().map(String::as_str)),
        };
        let message = format!(
            "on paths of {}, {methods} goes to the route {:?} (line {}), whose auth is weaker; \
             add a route for these methods, or protect that one as well",
            quoted(&from.route.path),
            to.route.name.as_str(),
            to.place.at.line
        );
        lowering.report.warning(&from.place, message);
    }
}

fn strictness(auth: AuthMode) -> u8 {
    match auth {
        AuthMode::None => 0,
        AuthMode::Optional => 1,
        AuthMode::Required => 2,
    }
}

fn spec(route: &Route) -> RouteSpec {
    RouteSpec {
        name: route.name.clone(),
        host: route.host.clone(),
        path: route.path.clone(),
        methods: route.methods.clone(),
    }
}
