//! Authentication: a route's demand, met by a verified bearer token (RFC 6750).
//!
//! Runs on every method and on upgrades: there is no way around it but `auth: none`.

use std::sync::Arc;

use super::{Answer, Filter, FilterRequest, Verdict};
use crate::auth::{self, AuthError, Authenticator, Identity};
use crate::problem::{Code, Problem};
use crate::telemetry::AuthOutcome;
use crate::types::fields::Known;

/// Whether callers must prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// A valid token, else 401.
    Required,
    /// Verified if present; a bad one is 401 all the same.
    Optional,
    /// Not looked at.
    None,
}

/// Verifies the bearer token and leaves the identity with the request.
#[derive(Debug)]
pub struct Authenticate {
    mode: AuthMode,
    authenticator: Arc<Authenticator>,
}

impl Authenticate {
    /// For a route with this demand.
    #[must_use]
    pub fn new(mode: AuthMode, authenticator: Arc<Authenticator>) -> Self {
        Self { mode, authenticator }
    }

    /// The caller behind the request's credentials; `None` without any on a route that takes that.
    fn identify(&self, request: &FilterRequest<'_>) -> Result<Option<Arc<Identity>>, Refusal> {
        let mut credentials = request.fields.get_all(Known::Authorization);
        let first = credentials.next();
        if credentials.next().is_some() {
            return Err(AuthError::Invalid("more than one Authorization header").into());
        }
        match first.map_or(Ok(None), auth::bearer)? {
            Some(token) => Ok(Some(self.authenticator.verify(token, request.now)?)),
            None if self.mode == AuthMode::Optional => Ok(None),
            None => Err(Refusal::Missing),
        }
    }
}

/// Why a request has no caller.
enum Refusal {
    /// No bearer token where one is required.
    Missing,
    /// A token that does not hold, or can't be verified now.
    Token(AuthError),
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self::Token(error)
    }
}

impl Refusal {
    /// Fresh keys may change the answer: what to wait for, once a request.
    fn wait(&self) -> Option<Verdict> {
        let (keys, kid) = match self {
            Self::Token(AuthError::UnknownKey { keys, kid }) => (keys, kid.clone()),
            Self::Token(AuthError::KeysUnavailable { keys, .. }) if keys.is_awaited() => (keys, None),
            _ => return None,
        };
        let keys = Arc::clone(keys);
        Some(Verdict::Wait(Box::pin(async move {
            keys.refetch(kid.as_deref()).await;
        })))
    }

    /// What the client is told, and how it counts.
    fn answer(&self) -> (AuthOutcome, Answer) {
        let unavailable = |detail: &str| {
            let problem = Problem::new(Code::KeysUnavailable, detail);
            (AuthOutcome::Unavailable, Answer::Problem(problem, vec![("retry-after", "5".into())]))
        };
        let refused = |outcome, code, error: Option<&AuthError>, detail: String| {
            let challenge = vec![("www-authenticate", auth::challenge("figway", error))];
            (outcome, Answer::Problem(Problem::new(code, detail), challenge))
        };
        match self {
            Self::Missing => {
                let detail = "send a token as Authorization: Bearer".into();
                refused(AuthOutcome::Missing, Code::TokenMissing, None, detail)
            }
            Self::Token(AuthError::KeysUnavailable { .. }) => {
                unavailable("the token's issuer has not published its keys yet")
            }
            Self::Token(AuthError::UnknownKey { keys, .. }) if keys.is_failing() => {
                unavailable("the token's key is not known, and its issuer can't be asked for it")
            }
            Self::Token(error) => refused(AuthOutcome::Invalid, Code::TokenInvalid, Some(error), error.to_string()),
        }
    }
}

impl Filter for Authenticate {
    fn on_request(&self, request: &mut FilterRequest<'_>) -> Verdict {
        if self.mode == AuthMode::None {
            return Verdict::Continue;
        }
        let refusal = match self.identify(request) {
            Ok(identity) => {
                let outcome = if identity.is_some() { AuthOutcome::Verified } else { AuthOutcome::Anonymous };
                request.auth = Some(outcome);
                request.identity = identity;
                return Verdict::Continue;
            }
            Err(refusal) => refusal,
        };
        if request.waits == 0
            && let Some(wait) = refusal.wait()
        {
            return wait;
        }
        let (outcome, answer) = refusal.answer();
        request.auth = Some(outcome);
        Verdict::Answer(Box::new(answer))
    }
}

#[cfg(test)]
mod tests;
