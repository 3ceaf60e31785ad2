//! Which variables an expression may use: those of the call, of the answer, of the request being signed.

/// What a look leaves for a void.
const FOUND: &[&str] = &["class", "provider_ref", "refunded"];

/// Of every call.
const CALL: &[&str] = &[
    "amount",
    "capture",
    "currency",
    "found",
    "lookup",
    "metadata",
    "method",
    "operation",
    "order_reference",
    "provider_key",
    "provider_ref",
    "refund_reference",
    "token",
];
/// Of these, what the ledger never keeps: what a client sends to pay with, and its notes.
const NEVER_KEPT: &[&str] = &["metadata", "token"];
/// Of requests: secrets, and what differs each time.
const REQUEST: &[&str] = &["credentials", "nonce", "timestamp", "timestamp_iso", "timestamp_ms"];
/// Of the request that is signed.
const SIGNED: &[&str] = &["http_method", "path", "target", "body"];
/// Of answers.
const ANSWER: &[&str] = &["body", "headers", "status"];

/// The variables of one place.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    names: Vec<String>,
    credentials: Vec<String>,
    place: &'static str,
}

impl Scope {
    /// Of a request that is being written.
    pub(super) fn request<'a>(credentials: impl Iterator<Item = &'a String>) -> Self {
        Self::new("a request", &[CALL, REQUEST], credentials.cloned().collect())
    }

    /// Of what is signed.
    pub(super) fn signed<'a>(credentials: impl Iterator<Item = &'a String>) -> Self {
        Self::new("what is signed", &[CALL, REQUEST, SIGNED], credentials.cloned().collect())
    }

    /// Of the field that carries a signature.
    pub(super) fn signature<'a>(credentials: impl Iterator<Item = &'a String>) -> Self {
        Self::new("a signature", &[CALL, REQUEST, SIGNED, &["signature"]], credentials.cloned().collect())
    }

    /// Of an answer.
    pub(super) fn answer() -> Self {
        Self::new("an answer", &[CALL, ANSWER], Vec::new())
    }

    /// Of a call before there is a request: what to look for later, what the customer's device needs.
    pub(super) fn call() -> Self {
        Self::new("a call", &[CALL], Vec::new())
    }

    /// Of a lookup handle, which stays in the ledger.
    pub(super) fn handle() -> Self {
        let mut scope = Self::new("a handle", &[CALL], Vec::new());
        scope.names.retain(|name| !NEVER_KEPT.contains(&name.as_str()));
        scope
    }

    fn new(place: &'static str, groups: &[&[&str]], credentials: Vec<String>) -> Self {
        let names = groups.iter().flat_map(|group| group.iter().map(|name| (*name).to_owned())).collect();
        Self { names, credentials, place }
    }

    /// Adds a name.
    pub(super) fn add(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// Whether a variable of this name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Why `path`, such as `body.error.code`, can't be read here.
    pub(super) fn objection(&self, path: &str) -> Option<String> {
        let mut parts = path.split('.');
        let first = parts.next().unwrap_or_default();
        let second = parts.next();
        if !self.has(first) {
            let mut known: Vec<&str> = self.names.iter().map(String::as_str).collect();
            known.sort_unstable();
            if NEVER_KEPT.contains(&first) {
                return Some(format!(
                    "{} stays in the ledger, where no {first} of a client is kept; name the attempt by order_reference or \
                     provider_ref",
                    self.place
                ));
            }
            return Some(format!("there is no variable {first:?} in {}; there are {}", self.place, known.join(", ")));
        }
        match (first, second) {
            ("credentials", None) => Some("name one of the credentials, such as `credentials.api_key`".into()),
            ("credentials", Some(name)) if !self.credentials.iter().any(|known| known == name) => {
                Some(format!("the credential {name:?} is not listed; add it under `credentials`"))
            }
            ("found", Some(name)) if !FOUND.contains(&name) => {
                Some(format!("a look leaves no {name:?}; it leaves {}", FOUND.join(", ")))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_declared_credentials_and_known_variables_can_be_read() {
        let names = ["api_key".to_owned()];
        let scope = Scope::request(names.iter());
        for path in ["amount", "metadata.cart", "credentials.api_key", "found.class", "timestamp"] {
            assert_eq!(scope.objection(path), None, "{path}");
        }
        for path in ["amonut", "credentials", "credentials.other", "found.amount", "status", "body.x"] {
            assert!(scope.objection(path).is_some(), "{path}");
        }
        let answer = Scope::answer();
        assert_eq!(answer.objection("body.error.code"), None);
        assert!(answer.objection("credentials.api_key").is_some(), "secrets have no place in a judgement");
    }
}
