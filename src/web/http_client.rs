//! The client for HTTP services beside this one.

use std::time::Duration;

use reqwest::Client;

/// A client that waits so long for an answer.
///
/// # Errors
/// The TLS of the system cannot be used.
pub fn client(timeout: Duration) -> reqwest::Result<Client> {
    // reqwest brings no provider of its own. A second call fails and changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    // Proxies of the environment are meant for the internet, not for a service beside this one.
    Client::builder().timeout(timeout).no_proxy().build()
}
