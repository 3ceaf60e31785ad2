//! The `Authorization` field: basic (RFC 7617) or bearer (RFC 6750).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Value;

use super::expression::Failed;
use super::template::Template;

/// Who asks.
#[derive(Debug)]
pub(super) enum Authorization {
    Basic { user: Template, password: Template },
    Bearer(Template),
}

impl Authorization {
    /// The field's text; `None` to leave it out, for want of an optional credential.
    ///
    /// # Errors
    /// [`Failed`] if a template has no value.
    pub(super) fn field(&self, variables: &Value) -> Result<Option<String>, Failed> {
        match self {
            Self::Basic { user, password } => {
                let Some(user) = user.plain(variables)? else { return Ok(None) };
                if user.contains(':') {
                    return Err(Failed("a user name can't hold a colon".into()));
                }
                let password = password.plain(variables)?.unwrap_or_default();
                Ok(Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))))
            }
            Self::Bearer(token) => Ok(token.plain(variables)?.map(|token| format!("Bearer {token}"))),
        }
    }
}
