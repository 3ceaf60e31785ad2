//! Going out: connections to named hosts, with or without TLS, and a small HTTP client for documents such as key sets.
//!
//! The data plane's own pools and the payment transport build on [`connect`] and hyper; [`HttpClient`] is for the control
//! plane's rare fetches. Deliberately absent: redirects, retries, proxies from the environment, cookies, decompression.

mod connect;
mod http_client;
mod stream;

pub(crate) use connect::first_open;
pub use connect::{ConnectError, connect};
pub use http_client::{ClientError, HttpClient};
pub use stream::Stream;
