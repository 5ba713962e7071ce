//! Connections: single ones, with and without settings for requests.
//!
//! Two kinds: those for requests, which batch workers ([`super::batch`]) and the pools
//! ([`super::pool`]) own, and those without any time limit for loads, migrations and checks
//! ([`Connector::connect`]). Not here: what an error means, which is in [`super::error`].

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::Failure;
use super::pooler::is_pooled;
use super::session::PgSession;
use super::tls::client_config;
use crate::config::database::postgres::Postgres;
use crate::db::common::retry::Backoff;
use crate::db::storage::StorageError;
use crate::telemetry::Supervisor;

/// How long it may take to connect.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses between attempts to connect to a server that has no connection left to give.
pub(super) const FULL: Backoff =
    Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
/// Notices, such as of a table that exists already, would only be sent and thrown away.
const NO_NOTICES: &str = "SET client_min_messages = warning";

/// Knows how to connect to one server.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    redacted: String,
    statement_timeout: Duration,
    supervisor: Supervisor,
}

impl Connector {
    pub(super) fn new(postgres: &Postgres, supervisor: Supervisor) -> Result<Self, StorageError> {
        let tls = MakeRustlsConnect::new(client_config(&postgres.tls)?);
        Ok(Self {
            config: postgres.config.clone(),
            tls,
            redacted: postgres.to_string(),
            statement_timeout: postgres.limits.statement_timeout,
            supervisor,
        })
    }

    /// The supervisor of the tasks that own connections.
    pub(super) fn supervisor(&self) -> Supervisor {
        self.supervisor.clone()
    }

    /// The database's URL without its password.
    pub(super) fn redacted(&self) -> &str {
        &self.redacted
    }

    /// How long a statement may take before its caller is told that the outcome is unknown.
    pub(super) fn statement_timeout(&self) -> Duration {
        self.statement_timeout
    }

    /// One connection without a limit on the time of a statement. Statements that are prepared under
    /// a name fail through a pooler: send them by `query_typed`, or inside a transaction. Waits for a
    /// moment if the server has no connection to give.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let end = Instant::now() + CONNECT_TIMEOUT;
        let mut backoff = FULL;
        loop {
            match self.handshake(None).await {
                Ok(Connected { client, .. }) => return Ok(client),
                Err(failure) if failure.is_full() && Instant::now() < end => backoff.wait().await,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// One connection for requests with settings of its own, and a task that ends when it does.
    pub(super) async fn connect_for_requests(
        &self,
        settings: &[&str],
    ) -> Result<(PgSession, JoinHandle<()>), Failure> {
        // The server ends a statement whose caller has given up, so that it holds no locks any longer.
        // And the transaction of a program that was stopped or cut off between two statements.
        let limit = self.statement_timeout.as_millis().max(1);
        let limits = ["statement_timeout", "idle_in_transaction_session_timeout"];
        let limits = limits.iter().map(|name| format!("{name} = {limit}"));
        let settings: Vec<_> = limits.chain(settings.iter().map(|set| (*set).to_owned())).collect();
        self.connect_with(&settings).await
    }

    /// One connection with these settings only, and a task that ends when it does.
    pub(super) async fn connect_with(
        &self,
        settings: &[String],
    ) -> Result<(PgSession, JoinHandle<()>), Failure> {
        let Connected { client, ended, is_pooled } = self.handshake(None).await?;
        let session = timeout(CONNECT_TIMEOUT, PgSession::new(client, is_pooled, settings)).await;
        Ok((session.map_err(|_| Failure::Timeout)??, ended))
    }

    /// One connection that listens to a channel, and a task that ends when it does. `notified` is woken by
    /// each message whose payload is that text. `None` through a pooler, where nothing can listen.
    pub(super) async fn listen(
        &self,
        channel: &str,
        payload: String,
        notified: Arc<Notify>,
    ) -> Result<Option<(Client, JoinHandle<()>)>, Failure> {
        let Connected { client, ended, is_pooled } =
            self.handshake(Some((payload, notified))).await?;
        if is_pooled {
            return Ok(None);
        }
        client.batch_execute(&format!("LISTEN {channel}")).await?;
        Ok(Some((client, ended)))
    }

    async fn handshake(
        &self,
        listener: Option<(String, Arc<Notify>)>,
    ) -> Result<Connected, Failure> {
        let connecting = async {
            let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
            let ended = tokio::spawn(async move {
                loop {
                    match poll_fn(|cx| connection.poll_message(cx)).await {
                        Some(Ok(AsyncMessage::Notification(message))) => {
                            if let Some((payload, notified)) = &listener
                                && message.payload() == payload
                            {
                                notified.notify_one();
                            }
                        }
                        Some(Ok(_)) => {}
                        // The statements in flight fail with the same error, so it is not logged again.
                        Some(Err(error)) => {
                            tracing::debug!(%error, "a connection to PostgreSQL ended");
                            return;
                        }
                        None => return,
                    }
                }
            });
            let is_pooled = is_pooled(&client).await?;
            if !is_pooled {
                client.batch_execute(NO_NOTICES).await?;
            }
            Ok(Connected { client, ended, is_pooled })
        };
        timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(Failure::Timeout))
    }
}

/// A new connection.
struct Connected {
    client: Client,
    /// Ends when the connection does.
    ended: JoinHandle<()>,
    is_pooled: bool,
}
