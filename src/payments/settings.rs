//! Settings of the distributor, compiled by `config` from the `payments` section.
//!
//! What a single value may be is judged where it is parsed ([`BaseUrl::parse`], [`Currency::parse`]);
//! what only the whole can show (two providers of one name, no weight at all) by [`Settings::check`].
//! The ledger's place is not here: it can't change without a restart, so it is handed to
//! whoever opens it.

#[cfg(test)]
mod sample;

use std::sync::Arc;
use std::time::Duration;

use super::adapter::{Ability, Adapter};
use super::capacity::Capacity;
use super::demotion::Demotion;
use super::maintenance::Maintenance;
use super::money::Currency;
use super::record::Operation;
use super::webhooks::Webhook;
use crate::tls::ClientTls;
use crate::types::{FlagKey, ProviderName};

/// Settings of the distributor, compiled from the `payments` section.
#[derive(Debug)]
pub struct Settings {
    /// Path of the client API, e.g. `/api/v1/payments`; no trailing slash.
    pub path: String,
    /// How long one request of a client may take, all attempts together (15 s).
    pub deadline: Duration,
    /// Providers that one request may try, the first included (2).
    pub max_attempts: u32,
    /// How long settled payments are kept, and their keys known (400 days).
    pub retention: Duration,
    /// The flag whose variants' weights are the providers'; `None`: they stand in the config file.
    pub weights: Option<FlagKey>,
    /// When a provider that succeeds less often than others gets fewer payments; `None`: never.
    pub demote: Option<Demotion>,
    /// Those that payments are distributed over, in the order written; at least one.
    pub providers: Vec<Arc<Provider>>,
}

impl Settings {
    /// Default of [`Self::deadline`].
    pub const DEADLINE: Duration = Duration::from_secs(15);
    /// Default of [`Self::max_attempts`].
    pub const MAX_ATTEMPTS: u32 = 2;
    /// Default of [`Self::retention`].
    pub const RETENTION: Duration = Duration::from_secs(400 * 86_400);

    /// The provider of this name.
    #[must_use]
    pub fn provider(&self, name: &ProviderName) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.name == *name)
    }

    /// Everything wrong with the settings as a whole: the path below `payments`, and what to mend.
    #[must_use]
    pub fn check(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut wrong = |path: String, message: &str| found.push((path, message.to_owned()));
        if self.providers.is_empty() {
            wrong("providers".into(), "must name at least one provider");
        } else if self.providers.iter().all(|provider| provider.weight == 0) {
            wrong("providers".into(), "all weights are 0, so no payment could go anywhere; give one a weight");
        }
        for (index, provider) in self.providers.iter().enumerate() {
            if provider.base_url.is_https() && provider.tls.is_none() {
                wrong(format!("providers[{index}].base_url"), "https needs trust roots; none could be loaded");
            }
            if provider.on_unknown == OnUnknown::Resolve && !can_look(&*provider.adapter) {
                let message = "the adapter has no lookup, so nothing can be found out; write \"hold\" or leave it out";
                wrong(format!("providers[{index}].on_unknown"), message);
            }
            if provider.timeouts.connect.is_zero() || provider.timeouts.response.is_zero() {
                wrong(format!("providers[{index}].timeouts"), "must be longer than 0ms");
            }
        }
        found
    }

    /// What is legal and will be missed: the path below `payments`, and what will not work.
    #[must_use]
    pub fn concerns(&self) -> Vec<(String, String)> {
        let of = |(index, provider): (usize, &Arc<Provider>)| {
            let name = provider.adapter.name().to_owned();
            let missing = provider.lacks().into_iter();
            missing
                .map(move |what| (format!("providers[{index}].adapter"), format!("{name} {what}")))
                .collect::<Vec<_>>()
        };
        self.providers.iter().enumerate().flat_map(of).collect()
    }
}

/// One payment provider.
#[derive(Debug)]
pub struct Provider {
    /// Its name: `[a-z0-9-]+`, stored in the ledger with each attempt, so never reused for another.
    pub name: ProviderName,
    /// What it speaks; see [`super::adapter::built_in`].
    pub adapter: Arc<dyn Adapter>,
    /// Where it listens.
    pub base_url: BaseUrl,
    /// Trust roots; present if and only if [`BaseUrl::is_https`].
    pub tls: Option<ClientTls>,
    /// Share of new payments, relative to the other weights; 0 takes no new payments.
    pub weight: u32,
    /// How long to wait for it.
    pub timeouts: ProviderTimeouts,
    /// How long after an attempt "not found" proves nothing (5 s).
    pub quiesce: Duration,
    /// What becomes of an attempt whose outcome is unknown.
    pub on_unknown: OnUnknown,
    /// How long to go on finding out what became of an attempt, before a person has to (24 h).
    pub resolve_for: Duration,
    /// How long a prepared attempt waits for its confirmation, before it is given up (30 min).
    pub prepared_for: Duration,
    /// Currencies that it takes; empty means any.
    pub currencies: Vec<Currency>,
    /// Payment methods that it takes (`card`, `transfer`, …); empty means any.
    pub methods: Vec<String>,
    /// When it takes no new payments because it said so beforehand.
    pub maintenance: Vec<Maintenance>,
    /// What it takes by contract.
    pub capacity: Capacity,
    /// How its webhooks are known and read; `None`: it sends none.
    pub webhook: Option<Webhook>,
}

impl Provider {
    /// Default of [`Self::quiesce`].
    pub const QUIESCE: Duration = Duration::from_secs(5);
    /// Default of [`Self::resolve_for`].
    pub const RESOLVE_FOR: Duration = Duration::from_secs(24 * 3_600);
    /// Default of [`Self::prepared_for`].
    pub const PREPARED_FOR: Duration = Duration::from_secs(30 * 60);

    /// What its adapter can't do, and what follows.
    fn lacks(&self) -> Vec<&'static str> {
        let lacks = |operation| self.adapter.ability(operation) == Ability::None;
        let missing = [
            (Operation::Lookup, "has no lookup: an attempt with an unknown outcome waits for a person"),
            (Operation::Void, "has no void: an attempt that is not found can't be taken back, and waits for a person"),
            (Operation::Refund, "has no refund: refunds of its payments are refused"),
            (Operation::Confirm, "has no prepare and confirm: it takes no payments with capture: false"),
        ];
        missing.into_iter().filter(|(operation, _)| lacks(*operation)).map(|(_, what)| what).collect()
    }
}

/// How long to wait for a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderTimeouts {
    /// To a connection, name lookup and TLS included (1 s).
    pub connect: Duration,
    /// From the first byte of the request to the last byte of the answer (5 s).
    pub response: Duration,
}

impl Default for ProviderTimeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(1), response: Duration::from_secs(5) }
    }
}

/// What becomes of an attempt whose outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknown {
    /// The provider is asked until it says, or a person has to.
    Resolve,
    /// It is left to a person at once; never tried elsewhere.
    Hold,
}

impl OnUnknown {
    /// What it is unless set: [`Self::Resolve`] wherever the adapter has a lookup.
    #[must_use]
    pub fn usual(adapter: &dyn Adapter) -> Self {
        if can_look(adapter) { Self::Resolve } else { Self::Hold }
    }
}

fn can_look(adapter: &dyn Adapter) -> bool {
    adapter.ability(Operation::Lookup) == Ability::Call
}

/// Where a provider listens: scheme, host, port and a path that every request starts with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    https: bool,
    host: String,
    port: u16,
    prefix: String,
}

/// Why a text is no base URL; the text ends with the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// Not a URL at all.
    #[error("{0:?} is not a URL; write something like \"https://pay.example/v1\"")]
    NotAUrl(String),
    /// Another scheme, or none.
    #[error("{0:?} must start with http:// or https://")]
    Scheme(String),
    /// Credentials, a query or a fragment.
    #[error("{0:?} has {1}; write scheme, host, port and path only")]
    Extra(String, &'static str),
}

impl BaseUrl {
    /// Reads a base URL.
    ///
    /// # Errors
    /// [`BaseUrlError`] says what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        if text.contains('#') {
            return Err(BaseUrlError::Extra(text.into(), "a fragment"));
        }
        let uri: http::Uri = text.parse().map_err(|_| BaseUrlError::NotAUrl(text.into()))?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(BaseUrlError::Scheme(text.into())),
        };
        let authority = uri.authority().ok_or_else(|| BaseUrlError::NotAUrl(text.into()))?;
        if authority.as_str().contains('@') {
            // The text is not repeated: what stands before the `@` is a secret.
            return Err(BaseUrlError::Extra(format!("…@{}", authority.host()), "credentials"));
        }
        if uri.query().is_some() {
            return Err(BaseUrlError::Extra(text.into(), "a query"));
        }
        let host = authority.host();
        // The `http` crate takes a port over 65,535 for no port at all.
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => Some(if https { 443 } else { 80 }),
            Some(rest) => rest.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|port| *port != 0),
            None => None,
        };
        let (false, Some(port)) = (host.is_empty(), port) else {
            return Err(BaseUrlError::NotAUrl(text.into()));
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Self { https, host: host.into(), port, prefix: uri.path().trim_end_matches('/').into() })
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Name or address; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port, the scheme's own unless written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `Host` says: the port only where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let own = if self.https { 443 } else { 80 };
        if self.port == own { host } else { format!("{host}:{}", self.port) }
    }

    /// The request target of `path` (which starts with a slash) at this provider.
    #[must_use]
    pub fn target(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", if self.https { "https" } else { "http" }, self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_keeps_host_port_and_path() {
        let url = BaseUrl::parse("http://127.0.0.1:7101").expect("valid");
        assert_eq!((url.is_https(), url.host(), url.port()), (false, "127.0.0.1", 7101));
        assert_eq!(url.target("/charges"), "/charges");
        let url = BaseUrl::parse("https://pay.example/v1/").expect("valid");
        assert_eq!((url.is_https(), url.port(), url.authority().as_str()), (true, 443, "pay.example"));
        assert_eq!(url.target("/charges"), "/v1/charges");
        assert_eq!(url.to_string(), "https://pay.example/v1");
        assert_eq!(BaseUrl::parse("http://[::1]:8080").expect("valid").authority(), "[::1]:8080");
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in ["", "pay.example", "/v1", "ftp://pay.example", "http://", "http://pay.example:99999", "http://a b"]
        {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
        for text in ["http://pay.example?x=1", "http://pay.example#top"] {
            assert!(matches!(BaseUrl::parse(text), Err(BaseUrlError::Extra(..))), "{text}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        let error = BaseUrl::parse("https://user:hunter2@pay.example").expect_err("credentials");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
