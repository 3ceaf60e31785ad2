//! Request policies, one a file. Each looks at a request before it is forwarded and may answer it.
//!
//! To add one: a file here with its settings and behaviour, a line in [`chain`], and a config key.
//! Filters run in the order of [`chain`], once a request: the attempt loop lies below them.

mod authenticate;
mod cors;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use authenticate::{AuthMode, Authenticate};
pub use cors::{Cors, is_preflight};

use crate::auth::{Authenticator, Identity};
use crate::clock::Timestamp;
use crate::problem::Problem;
use crate::telemetry::AuthOutcome;
use crate::types::fields::Fields;

/// A request as filters see it.
#[derive(Debug)]
pub struct FilterRequest<'a> {
    /// As the client sent it (upper case by convention, any token in fact).
    pub method: &'a str,
    /// The client's header fields.
    pub fields: &'a Fields,
    /// Wall-clock time of the request.
    pub now: Timestamp,
    /// Who is calling, once a filter has proved it.
    pub identity: Option<Arc<Identity>>,
    /// What came of the caller's credentials, if a filter has looked at them.
    pub auth: Option<AuthOutcome>,
    /// How often the running filter has waited for this request.
    pub waits: u32,
}

/// What a filter says.
pub enum Verdict {
    /// On to the next filter.
    Continue,
    /// The request ends here.
    Answer(Box<Answer>),
    /// Run this filter again when the future is done.
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Continue => f.write_str("Continue"),
            Self::Answer(answer) => answer.fmt(f),
            Self::Wait(_) => f.write_str("Wait"),
        }
    }
}

/// An answer that a filter gives in the backend's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 204 with these header fields.
    NoContent(Vec<(&'static str, String)>),
    /// A problem, with further header fields.
    Problem(Problem, Vec<(&'static str, String)>),
}

/// A request policy.
pub trait Filter: Send + Sync + std::fmt::Debug {
    /// Looks at a request.
    fn on_request(&self, request: &mut FilterRequest<'_>) -> Verdict;

    /// Looks at the answer's header fields before they leave; `request` are the client's.
    fn on_response(&self, request: &Fields, response: &mut Fields) {
        let _ = (request, response);
    }
}

/// The filters of a route, in the order in which they run.
#[must_use]
pub fn chain(auth: AuthMode, authenticator: &Arc<Authenticator>, cors: Option<&Cors>) -> Vec<Box<dyn Filter>> {
    let mut filters: Vec<Box<dyn Filter>> = Vec::new();
    if let Some(cors) = cors {
        filters.push(Box::new(cors.clone())); // before authentication: a preflight carries no token
    }
    filters.push(Box::new(Authenticate::new(auth, Arc::clone(authenticator))));
    filters
}
