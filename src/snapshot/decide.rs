//! From a path to a route and from a route to a backend: the one code that requests and `explain` share.

use std::sync::Arc;

use super::{Backend, Route, Snapshot, Target};
use crate::flags::{self, Flag};
use crate::routing::{Lookup, NormalPath};

/// Why a request has no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing matches the path: 404.
    NotFound,
    /// Routes match the path, none takes the method: 405.
    MethodNotAllowed {
        /// What `Allow` says.
        allow: String,
    },
    /// The route does not allow encoded slashes: 400.
    EncodedSlash,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub enum Choice<'a> {
    /// To a backend.
    Backend {
        /// Which one.
        backend: &'a Arc<Backend>,
        /// The flag that said so, and why.
        flag: Option<(&'a Arc<Flag>, flags::Decision)>,
    },
    /// To the payment distributor.
    Payments,
}

impl Snapshot {
    /// Finds the route of a request. `preflight_for` is the method that a CORS preflight asks for:
    /// a route with cross-origin rules that takes *that* method answers it.
    ///
    /// # Errors
    /// [`Refusal`] says why there is none.
    pub fn route(
        &self,
        host: &str,
        path: &NormalPath<'_>,
        method: &str,
        preflight_for: Option<&str>,
    ) -> Result<usize, Refusal> {
        if let Some(wanted) = preflight_for
            && let Lookup::Found { route } = self.table.lookup(host, &path.path, wanted)
            && self.routes[route].policy.terms.cors.is_some()
        {
            return Ok(route);
        }
        match self.table.lookup(host, &path.path, method) {
            Lookup::Found { route }
                if path.has_encoded_slash && !self.routes[route].policy.terms.allow_encoded_slash =>
            {
                Err(Refusal::EncodedSlash)
            }
            Lookup::Found { route } => Ok(route),
            Lookup::MethodNotAllowed { allow } => Err(Refusal::MethodNotAllowed { allow }),
            Lookup::NotFound => Err(Refusal::NotFound),
        }
    }

    /// Chooses where a request on `route` goes, evaluating the route's flag once.
    #[must_use]
    pub fn choose<'a>(&self, route: &'a Route, context: &dyn flags::Context) -> Choice<'a> {
        match &route.target {
            Target::Backend(backend) => Choice::Backend { backend, flag: None },
            Target::Payments => Choice::Payments,
            Target::Flagged { flag, backends } => {
                let decision = flag.evaluate(context, self.flags.stale);
                let backend = backends[decision.variant]
                    .as_ref()
                    .or_else(|| backends.iter().rev().find_map(Option::as_ref))
                    .expect("a flagged route has at least one backend; config checks it");
                Choice::Backend { backend, flag: Some((flag, decision)) }
            }
        }
    }
}
