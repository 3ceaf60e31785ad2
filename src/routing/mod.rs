//! Routing: path templates, methods and hosts to a route. Pure.

/// A route as the table sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// For messages about conflicts.
    pub name: crate::types::RouteName,
    /// Exact host without port in lower case, or any.
    pub host: Option<String>,
    /// Template: `/api/v1/members/{id}`, `/api/{version}/orders/{*rest}`.
    pub path: String,
    /// Upper-case methods; empty means any. `GET` includes `HEAD`.
    pub methods: Vec<String>,
}

/// What a path and method lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// Index into the specs the table was built from, and the template's parameters.
    Found {
        /// Index into the specs.
        route: usize,
        /// Parameters in template order.
        parameters: smallvec::SmallVec<[(&'a str, &'a str); 4]>,
    },
    /// Routes match the path, none takes the method; what `Allow` says.
    MethodNotAllowed {
        /// Comma-separated methods for `Allow`.
        allow: String,
    },
    /// Nothing matches the path.
    NotFound,
}

/// Two routes that can't both be meant, or one that can never be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Conflict {
    /// Index of the offending spec.
    pub route: usize,
    /// Index of the route it conflicts with, if any.
    pub with: Option<usize>,
    /// Names both and says the mend.
    pub message: String,
}

/// All routes, compiled.
#[derive(Debug, Default)]
pub struct RouteTable {}

impl RouteTable {
    /// Compiles the specs.
    ///
    /// # Errors
    /// Every malformed template, conflict and unreachable route.
    pub fn build(specs: &[RouteSpec]) -> Result<Self, Vec<Conflict>> {
        let _ = specs;
        todo!()
    }

    /// Finds the most specific route that takes the method.
    #[must_use]
    pub fn lookup<'a>(&'a self, host: &str, path: &'a str, method: &str) -> Lookup<'a> {
        let _ = (host, path, method);
        todo!()
    }
}

/// Why a request's path can't be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `%00` or a raw NUL.
    #[error("the path contains a NUL byte")]
    Nul,
    /// `%` without two hexadecimal digits.
    #[error("the path contains a percent sign that is not followed by two hexadecimal digits")]
    BadEscape,
    /// `%2F` or `%5C` (or a raw backslash) where the route does not allow it.
    #[error("the path contains an encoded slash or a backslash")]
    EncodedSlash,
    /// A control character, a space, a fragment.
    #[error("the path contains a character that must be percent-encoded")]
    BadCharacter,
    /// Not starting with a slash.
    #[error("the path does not start with a slash")]
    NotAbsolute,
}

/// A path in the one spelling that is matched and forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath<'a> {
    /// The path, without the query.
    pub path: std::borrow::Cow<'a, str>,
    /// Contains `%2F` or `%5C`: acceptable only on routes that allow it.
    pub has_encoded_slash: bool,
}

/// Normalises a raw path (no query): decodes unreserved characters, upper-cases hex, encodes bytes outside ASCII, resolves dot segments (also encoded ones), merges slashes.
///
/// Borrows when the path is already normal, the usual case.
///
/// # Errors
/// [`PathError`] names what is wrong.
pub fn normalise(raw: &[u8]) -> Result<NormalPath<'_>, PathError> {
    let _ = raw;
    todo!()
}
