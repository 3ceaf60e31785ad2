//! Cross-origin rules of a route (the Fetch standard, section 3.2).
//!
//! A preflight is answered here, before authentication, since browsers send it without a token.
//! A route without `cors` has no rule, and its preflights need a token like any request.

use std::time::Duration;

use super::{Answer, Filter, FilterRequest, Verdict};
use crate::types::fields::{Fields, Known};

/// Cross-origin rules of a route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cors {
    /// Exact origins, or `*`.
    pub origins: Vec<String>,
    /// Methods a preflight is told; empty: any, so it is told the one that it asks for.
    pub methods: Vec<String>,
    /// Request headers a preflight is told (lower case).
    pub headers: Vec<String>,
    /// Response headers a page may read.
    pub expose: Vec<String>,
    /// Cookies and Authorization may be sent; not together with `*`.
    pub credentials: bool,
    /// How long a preflight's answer may be kept (10 min).
    pub max_age: Duration,
}

/// Whether a request is a preflight: OPTIONS that asks for a method on behalf of an origin.
#[must_use]
pub fn is_preflight(method: &str, fields: &Fields) -> bool {
    method == "OPTIONS" && fields.may_have(Known::Origin) && fields.may_have(Known::AccessControlRequestMethod)
}

impl Cors {
    /// What `Access-Control-Allow-Origin` says to this origin, if it is allowed.
    fn allow_origin<'a>(&self, origin: Option<&'a str>) -> Option<&'a str> {
        let origin = origin?;
        if self.origins.iter().any(|allowed| allowed == "*") {
            return Some("*");
        }
        self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)).then_some(origin)
    }

    fn preflight(&self, fields: &Fields) -> Answer {
        let origin = fields.get_str(Known::Origin);
        let mut headers =
            vec![("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers".into())];
        if let Some(allowed) = self.allow_origin(origin) {
            headers.push(("access-control-allow-origin", allowed.into()));
            let asked = || fields.get_str(Known::AccessControlRequestMethod).unwrap_or_default().to_owned();
            let methods = if self.methods.is_empty() { asked() } else { self.methods.join(", ") };
            headers.push(("access-control-allow-methods", methods));
            if !self.headers.is_empty() {
                headers.push(("access-control-allow-headers", self.headers.join(", ")));
            }
            if self.credentials {
                headers.push(("access-control-allow-credentials", "true".into()));
            }
            headers.push(("access-control-max-age", self.max_age.as_secs().to_string()));
        }
        Answer::NoContent(headers)
    }
}

impl Filter for Cors {
    fn on_request(&self, request: &mut FilterRequest<'_>) -> Verdict {
        if !is_preflight(request.method, request.fields) {
            return Verdict::Continue;
        }
        Verdict::Answer(Box::new(self.preflight(request.fields)))
    }

    fn on_response(&self, request: &Fields, response: &mut Fields) {
        response.remove_if(|field| {
            field.name().eq_ignore_ascii_case("access-control-allow-origin")
                || field.name().eq_ignore_ascii_case("access-control-allow-credentials")
                || field.name().eq_ignore_ascii_case("access-control-expose-headers")
        });
        if !self.origins.iter().any(|allowed| allowed == "*") {
            response.push("vary", b"Origin");
        }
        let Some(allowed) = self.allow_origin(request.get_str(Known::Origin)) else { return };
        response.push("access-control-allow-origin", allowed.as_bytes());
        if self.credentials {
            response.push("access-control-allow-credentials", b"true");
        }
        if !self.expose.is_empty() {
            response.push("access-control-expose-headers", self.expose.join(", ").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn rules() -> Cors {
        Cors {
            origins: vec!["https://shop.example".into()],
            methods: vec!["GET".into()],
            headers: vec!["authorization".into()],
            credentials: true,
            max_age: Duration::from_secs(600),
            ..Cors::default()
        }
    }

    fn ask(method: &str, origin: &str) -> Verdict {
        ask_for("GET", &rules(), method, origin)
    }

    fn ask_for(wanted: &str, rules: &Cors, method: &str, origin: &str) -> Verdict {
        let mut fields = Fields::new();
        fields.push("Origin", origin.as_bytes());
        fields.push("Access-Control-Request-Method", wanted.as_bytes());
        let mut request =
            FilterRequest { method, fields: &fields, now: Timestamp(0), identity: None, auth: None, waits: 0 };
        rules.on_request(&mut request)
    }

    #[test]
    fn a_preflight_from_an_allowed_origin_is_told_the_rules() {
        let Verdict::Answer(answer) = ask("OPTIONS", "https://shop.example") else { panic!("no answer") };
        let Answer::NoContent(headers) = *answer else { panic!("a problem") };
        assert!(headers.contains(&("access-control-allow-origin", "https://shop.example".into())));
        assert!(headers.contains(&("access-control-max-age", "600".into())));
    }

    #[test]
    fn a_route_that_takes_any_method_allows_the_one_that_is_asked_for() {
        let any = Cors { methods: Vec::new(), ..rules() };
        let Verdict::Answer(answer) = ask_for("PUT", &any, "OPTIONS", "https://shop.example") else { panic!("none") };
        let Answer::NoContent(headers) = *answer else { panic!("a problem") };
        assert!(headers.contains(&("access-control-allow-methods", "PUT".into())), "{headers:?}");
    }

    #[test]
    fn a_preflight_from_elsewhere_is_told_nothing() {
        let Verdict::Answer(answer) = ask("OPTIONS", "https://evil.example") else { panic!("no answer") };
        let Answer::NoContent(headers) = *answer else { panic!("a problem") };
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn other_methods_pass() {
        assert!(matches!(ask("GET", "https://shop.example"), Verdict::Continue));
    }

    #[test]
    fn the_answer_carries_one_origin_whatever_the_backend_said() {
        let mut request = Fields::new();
        request.push("Origin", b"https://shop.example");
        let mut response = Fields::new();
        response.push("Access-Control-Allow-Origin", b"*");
        rules().on_response(&request, &mut response);
        let origins: Vec<_> =
            response.iter().filter(|field| field.name().starts_with("access-control-allow-origin")).collect();
        assert_eq!(origins.len(), 1);
        assert_eq!(response.find("Access-Control-Allow-Origin"), Some(&b"https://shop.example"[..]));
    }
}
