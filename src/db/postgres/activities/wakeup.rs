//! Telling the worker that a message may have been queued.
//!
//! A connection of its own listens to what accepting a message notifies. While there is none, and through
//! a pooler, where nothing can listen, the queue is looked at again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::Client;

use super::query;
use crate::db::postgres::connection::Connector;
use crate::db::postgres::pool::Pool;
use crate::db::postgres::session::Sql;

/// The channel, and its messages: the name of the store's schema.
const CHANNEL: &str = "storefront_activities";
const SCHEMA: Sql<'_> = Sql { text: "SELECT current_schema()::text", types: &[] };
/// By the index: see [`super::low_water`].
const HAS_MESSAGES: Sql<'_> = Sql {
    text: "SELECT (SELECT position FROM activity_queue \
                   WHERE position >= (SELECT queue_from FROM activity_worker) \
                   ORDER BY position LIMIT 1) IS NOT NULL",
    types: &[],
};
/// How often the queue is looked at while nothing listens.
const POLL: Duration = Duration::from_millis(150);
/// Between attempts to listen.
const RECONNECT: Duration = Duration::from_secs(1);

pub(super) struct Wakeup {
    connector: Connector,
    pool: Pool,
    /// Keeps one notification that comes while no worker waits.
    notified: Arc<Notify>,
    listener: Mutex<Listener>,
}

enum Listener {
    Listening {
        /// Ends the connection when it is dropped.
        _client: Client,
        ended: JoinHandle<()>,
    },
    /// Not before that time; `None`: never, through a pooler.
    Retry(Option<Instant>),
}

impl Wakeup {
    /// The connection is made at the first wait.
    pub(super) fn new(connector: &Connector, pool: Pool) -> Self {
        let listener = Mutex::new(Listener::Retry(Some(Instant::now())));
        Self { connector: connector.clone(), pool, notified: Arc::default(), listener }
    }

    /// Waits until a message may have been queued, at most so long.
    pub(super) async fn wait(&self, at_most: Duration) {
        let end = Instant::now() + at_most;
        let mut listener = self.listener.lock().await;
        loop {
            let is_new = self.listen(&mut listener).await;
            // One that came before, or while nothing listened.
            if is_new && self.has_messages().await {
                return;
            }
            if let Listener::Listening { ended, .. } = &mut *listener {
                tokio::select! {
                    () = self.notified.notified() => return,
                    () = sleep_until(end) => return,
                    _ = ended => *listener = Listener::Retry(Some(Instant::now())),
                }
            } else {
                let next = Instant::now() + POLL;
                sleep_until(next.min(end)).await;
                if next >= end || self.has_messages().await {
                    return;
                }
            }
        }
    }

    /// Begins to listen if it is time for an attempt; whether it has begun.
    async fn listen(&self, listener: &mut Listener) -> bool {
        if !matches!(listener, Listener::Retry(Some(at)) if *at <= Instant::now()) {
            return false;
        }
        *listener = Listener::Retry(Some(Instant::now() + RECONNECT));
        let Some(schema) = self.schema().await else { return false };
        match self.connector.listen(CHANNEL, schema, self.notified.clone()).await {
            Ok(Some((_client, ended))) => *listener = Listener::Listening { _client, ended },
            Ok(None) => *listener = Listener::Retry(None),
            Err(failure) => {
                tracing::debug!(?failure, "cannot listen for messages");
                return false;
            }
        }
        true
    }

    async fn schema(&self) -> Option<String> {
        query(&self.pool, SCHEMA, Vec::new()).await.ok()?.first()?.try_get(0).ok()
    }

    /// Whether any message is queued; not, if that cannot be found out.
    async fn has_messages(&self) -> bool {
        let found = query(&self.pool, HAS_MESSAGES, Vec::new()).await;
        found.is_ok_and(|rows| rows.first().is_some_and(|row| row.try_get(0).unwrap_or(false)))
    }
}
