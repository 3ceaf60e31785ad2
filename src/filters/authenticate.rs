//! Authentication: a route's demand, met by a verified bearer token (RFC 6750).
//!
//! Runs on every method and on upgrades: there is no way around it but `auth: none`.

use std::sync::Arc;

use super::{Answer, Filter, FilterRequest, Verdict};
use crate::auth::{self, AuthError, Authenticator};
use crate::problem::{Code, Problem};
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

    fn refuse(error: Option<&AuthError>, detail: String) -> Verdict {
        let code = if error.is_none() { Code::TokenMissing } else { Code::TokenInvalid };
        let challenge = vec![("www-authenticate", auth::challenge("figway", error))];
        Verdict::Answer(Box::new(Answer::Problem(Problem::new(code, detail), challenge)))
    }
}

impl Filter for Authenticate {
    fn on_request(&self, request: &mut FilterRequest<'_>) -> Verdict {
        if self.mode == AuthMode::None {
            return Verdict::Continue;
        }
        let mut credentials = request.fields.get_all(Known::Authorization);
        let first = credentials.next();
        if credentials.next().is_some() {
            let error = AuthError::Invalid("more than one Authorization header");
            return Self::refuse(Some(&error), "send exactly one Authorization header".into());
        }
        let token = match first.map_or(Ok(None), auth::bearer) {
            Ok(Some(token)) => token,
            Ok(None) if self.mode == AuthMode::Optional => return Verdict::Continue,
            Ok(None) => return Self::refuse(None, "send a token as Authorization: Bearer".into()),
            Err(error) => return Self::refuse(Some(&error), error.to_string()),
        };
        match self.authenticator.verify(token, request.now) {
            Ok(identity) => {
                request.identity = Some(identity);
                Verdict::Continue
            }
            Err(AuthError::UnknownKey { keys, kid }) if request.waits == 0 => Verdict::Wait(Box::pin(async move {
                keys.refetch(kid.as_deref()).await;
            })),
            Err(error @ AuthError::KeysUnavailable(_)) => {
                tracing::warn!(%error, "a token can't be verified");
                let problem = Problem::new(Code::KeysUnavailable, "the token's issuer has not published its keys yet");
                Verdict::Answer(Box::new(Answer::Problem(problem, vec![("retry-after", "5".into())])))
            }
            Err(error) => Self::refuse(Some(&error), error.to_string()),
        }
    }
}
