//! How signing keys are fetched: the outbound client, with the system's trust roots.

use std::sync::Arc;
use std::time::Duration;

use crate::client::HttpClient;
use crate::reload::{Fetch, Fetched};
use crate::tls::ClientTls;

/// A key set is small; more than this is not one.
const LARGEST: usize = 1 << 20;
/// For one fetch.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A fetcher of key sets. On a machine without trust roots, `http` URLs can still be fetched.
pub(super) fn fetcher() -> Arc<dyn Fetch> {
    let tls = ClientTls::from_system().map_err(|error| tracing::debug!(%error, "https key URLs can't be fetched")).ok();
    let client = Arc::new(HttpClient::new(tls));
    Arc::new(move |url: String| -> Fetched {
        let client = Arc::clone(&client);
        Box::pin(async move { client.get(&url, TIMEOUT, LARGEST).await.map_err(|error| error.to_string()) })
    })
}
