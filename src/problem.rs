//! The problem document (RFC 9457) and the one table of everything the gateway itself may answer.

use serde_json::json;

/// Media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// A gateway-made answer's stable code; each has one status and one title.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it stands in `x-figway-error` and in `type`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that goes with the code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// A short sentence that never changes between occurrences.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    /// The message breaks HTTP's grammar or framing.
    MalformedRequest = "malformed-request", 400, "The request is not well-formed HTTP";
    /// Host is missing, doubled or not a host.
    InvalidHost = "invalid-host", 400, "The request's host is missing or not valid";
    /// The path can't be normalised safely.
    InvalidPath = "invalid-path", 400, "The request's path is not acceptable";
    /// A field that the gateway must understand is not valid.
    InvalidRequest = "invalid-request", 400, "The request is not valid";
    /// No credentials where some are required.
    TokenMissing = "token-missing", 401, "Authentication is required";
    /// Credentials that do not hold.
    TokenInvalid = "token-invalid", 401, "The access token is not valid";
    /// A webhook that is not signed as its provider signs.
    WebhookRejected = "webhook-rejected", 401, "The webhook's signature does not hold";
    /// The caller is known and may not.
    Forbidden = "forbidden", 403, "The caller may not do this";
    /// Nothing is configured for this path.
    NoRoute = "no-route", 404, "No route matches this path";
    /// A thing the API names does not exist.
    NotFound = "not-found", 404, "There is no such resource";
    /// The path exists, the method doesn't.
    MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here";
    /// The client did not send what it announced in time.
    RequestTimeout = "request-timeout", 408, "The request did not arrive in time";
    /// The resource is in a state that does not admit this.
    Conflict = "conflict", 409, "The request conflicts with the current state";
    /// If-Match named another revision.
    PreconditionFailed = "precondition-failed", 412, "Somebody else changed this first";
    /// The body is over the limit.
    BodyTooLarge = "body-too-large", 413, "The request body is too large";
    /// The request target is over the limit.
    UriTooLong = "uri-too-long", 414, "The request target is too long";
    /// A body in a format that the API does not take.
    UnsupportedMediaType = "unsupported-media-type", 415, "The body's media type is not supported";
    /// An expectation other than 100-continue.
    ExpectationFailed = "expectation-failed", 417, "The expectation cannot be met";
    /// Understood, and wrong.
    Unprocessable = "unprocessable", 422, "The request's content is not acceptable";
    /// If-Match is needed.
    PreconditionRequired = "precondition-required", 428, "The request must be conditional";
    /// The header section is over a limit.
    HeadersTooLarge = "headers-too-large", 431, "The request's header fields are too large";
    /// A defect of the gateway.
    Internal = "internal", 500, "The gateway failed";
    /// A transfer coding that is not implemented.
    NotImplemented = "not-implemented", 501, "The request needs something that is not implemented";
    /// No connection to the backend.
    UpstreamUnreachable = "upstream-unreachable", 502, "The backend could not be reached";
    /// The backend closed before it answered.
    UpstreamClosed = "upstream-closed", 502, "The backend closed the connection before it answered";
    /// The backend's answer is not acceptable HTTP.
    UpstreamInvalid = "upstream-invalid", 502, "The backend's answer is not well-formed HTTP";
    /// The backend has as many requests as it may.
    UpstreamBusy = "upstream-busy", 503, "The backend is at its limit of concurrent requests";
    /// Keys to verify tokens can't be had.
    KeysUnavailable = "keys-unavailable", 503, "Tokens cannot be verified at the moment";
    /// No payment provider or no ledger.
    PaymentsUnavailable = "payments-unavailable", 503, "Payments cannot be taken at the moment";
    /// No service.
    Unavailable = "unavailable", 503, "The service is not available at the moment";
    /// The backend did not answer in time.
    UpstreamTimeout = "upstream-timeout", 504, "The backend did not answer in time";
    /// An HTTP version the gateway does not speak.
    VersionNotSupported = "version-not-supported", 505, "The HTTP version is not supported";
}

/// One problem: a code from the table and what is particular to this occurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which problem it is.
    pub code: Code,
    /// What happened here and how to mend it; safe to show to the client.
    pub detail: String,
}

impl Problem {
    /// A problem with its detail.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The document as JSON text, a whole line for whoever reads it in a terminal.
    #[must_use]
    pub fn to_json(&self, request_id: &str) -> String {
        let document = json!({
            "type": format!("urn:figway:error:{}", self.code.as_str()),
            "title": self.code.title(),
            "status": self.code.status(),
            "code": self.code.as_str(),
            "detail": self.detail,
            "request_id": request_id,
        });
        format!("{document}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_statuses_are_errors() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn document_carries_the_fixed_members() {
        let text = Problem::new(Code::NoRoute, "nothing at /x").to_json("abc");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["type"], "urn:figway:error:no-route");
        assert_eq!(document["status"], 404);
        assert_eq!(document["request_id"], "abc");
        assert!(text.ends_with("}\n"), "the shell's prompt stands on a line of its own");
    }
}
