//! Routing: path templates, methods and hosts to a route. Pure.
//!
//! Which route a request takes, in this order:
//! 1. Routes for the request's host come before routes for any host.
//! 2. Segment by segment from the left, a static segment comes before a parameter, and a parameter
//!    before `{*rest}`; a path that ends here comes before a `{*rest}` that is empty.
//! 3. On the same template, a route that names the method comes before one that takes any.
//! 4. The first of them that takes the method wins: a method that only less specific routes take
//!    goes to the next of them ([`RouteTable::fall_throughs`] lists where that can happen).
//!
//! `{id}` is one whole segment and never empty. `{*rest}` is everything that follows and may be empty, so
//! `/api/orders/{*rest}` also takes `/api/orders/` and `/api/orders`: whoever protects a tree protects
//! its root. Otherwise a trailing slash counts: `/a` and `/a/` are two paths. Letter case counts in paths.
//!
//! Deliberately not here: the values of parameters (nothing asks for them), regular expressions, parameters within a segment (`v{n}`), wildcard hosts,
//! routing by header or query. The tree is our own because `matchit` refuses `/members/{id}` beside
//! `/members/{*rest}` (and `/{shop}/items` beside `/{*rest}`), knows no methods, and so could not
//! give rules 2 and 4 in one walk.

mod host;
mod path;
mod reach;
mod table;
mod template;
mod texts;
mod tree;

#[cfg(test)]
mod tests;

pub use path::{NormalPath, PathError, normalise};
pub use reach::FallThrough;
pub use table::RouteTable;

/// A route as the table sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// For messages about conflicts.
    pub name: crate::types::RouteName,
    /// Exact host without port in any letter case, or any host.
    pub host: Option<String>,
    /// Template: `/api/v1/members/{id}`, `/api/{version}/orders/{*rest}`.
    pub path: String,
    /// Upper-case methods; empty means any. `GET` includes `HEAD`.
    pub methods: Vec<String>,
}

/// What a path and method lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The route that takes the request.
    Found {
        /// Index into the specs that the table was built from.
        route: usize,
    },
    /// Routes match the path, none takes the method; what `Allow` says.
    MethodNotAllowed {
        /// Comma-separated methods for `Allow`, sorted.
        allow: String,
    },
    /// Nothing matches the path.
    NotFound,
}

/// A route that can't be meant as it is written, alone or beside another.
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
