//! SIGTERM and SIGINT, counted: the first asks to stop, the second to stop at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How many signals came so far; clones share the count.
#[derive(Debug, Clone)]
pub(super) struct Signals(watch::Receiver<u32>);

impl Signals {
    /// Catches signals from now on.
    pub(super) fn watch() -> io::Result<Self> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (count, counted) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
                count.send_modify(|n| *n += 1);
            }
        });
        Ok(Self(counted))
    }

    /// Ends when that many signals have come.
    pub(super) async fn nth(mut self, n: u32) {
        if self.0.wait_for(|count| *count >= n).await.is_err() {
            std::future::pending().await
        }
    }
}
