//! What flags may look at, of a request: the same for requests that are served and for those that are only explained.

use std::net::IpAddr;

use crate::auth::Identity;
use crate::flags;
use crate::types::fields::Fields;

/// A request as flags see it.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext<'a> {
    /// The client's header fields.
    pub fields: &'a Fields,
    /// The verified caller, if there is one.
    pub identity: Option<&'a Identity>,
    /// The client's address.
    pub ip: IpAddr,
}

impl flags::Context for RequestContext<'_> {
    fn user(&self) -> Option<&str> {
        self.identity.map(|identity| &*identity.subject)
    }

    fn claim(&self, name: &str, visit: &mut dyn FnMut(&str)) {
        if let Some(value) = self.identity.and_then(|identity| identity.claims.get(name)) {
            flags::visit_claim(value, visit);
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.fields.find(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        self.fields.cookie(name)
    }

    fn ip(&self) -> IpAddr {
        self.ip
    }
}
