//! The pools: connections for operations that are one statement, or few.
//!
//! Here: waiting for a connection, and the deadline of an operation. Not here: how a connection is
//! made ([`super::connection`]) and runs statements ([`super::session`]).

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Error;

use super::connection::{Connector, FULL};
use super::error::{self, Failure};
use super::session::PgSession;
use crate::db::storage::{ActContext, ErrorKind, StorageError};

/// Connections for requests, at most as many as it was made for.
#[derive(Clone)]
pub(super) struct Pool {
    connections: managed::Pool<Manager>,
    /// How long an operation may take.
    limit: Duration,
}

/// Makes the connections of a pool.
struct Manager {
    connector: Connector,
    /// Sessions that were opened before are not used again.
    opened_after: Mutex<Option<Instant>>,
}

impl Manager {
    /// No session that is open now is used again, also none that is in use at this moment.
    fn discard_all(&self) {
        *self.opened_after.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_discarded(&self, opened: std::time::Instant) -> bool {
        let opened_after = *self.opened_after.lock().unwrap_or_else(PoisonError::into_inner);
        opened_after.is_some_and(|after| opened <= after.into_std())
    }
}

impl managed::Manager for Manager {
    type Type = PgSession;
    type Error = Failure;

    async fn create(&self) -> Result<PgSession, Failure> {
        self.connector.connect_for_requests(&[]).await.map(|(session, _)| session)
    }

    async fn recycle(&self, session: &mut PgSession, metrics: &Metrics) -> RecycleResult<Failure> {
        if self.is_discarded(metrics.created) {
            return Err(RecycleError::message(
                "the session was opened in another state of the server",
            ));
        }
        if session.is_closed() {
            return Err(RecycleError::message("the connection has ended"));
        }
        if session.is_open() {
            return Err(RecycleError::message("a transaction was left open"));
        }
        Ok(())
    }
}

impl Pool {
    /// A pool of at most `size` connections, which are made when they are needed.
    pub(super) fn new(connector: &Connector, size: usize) -> Result<Self, StorageError> {
        let manager = Manager { connector: connector.clone(), opened_after: Mutex::default() };
        let pool = managed::Pool::builder(manager).max_size(size).build();
        let connections = pool.map_err(|e| {
            StorageError::with_source(ErrorKind::Internal, "the pool cannot be built", e)
        })?;
        Ok(Self { connections, limit: connector.statement_timeout() })
    }

    /// Waits for a connection. While the server has none to give, another operation may give one
    /// back, so the pool is asked again.
    async fn get(&self) -> Result<Object<Manager>, StorageError> {
        let mut backoff = FULL;
        loop {
            match self.connections.get().await {
                Ok(connection) => return Ok(connection),
                Err(PoolError::Backend(failure)) if failure.is_full() => {
                    tracing::debug!("PostgreSQL has no connection to give, an operation waits");
                    backoff.wait().await;
                }
                Err(PoolError::Backend(failure)) => return Err(error::storage(failure)),
                Err(other) => {
                    let text = format!("the connections cannot be used: {other:?}");
                    return Err(StorageError::new(ErrorKind::Internal, text));
                }
            }
        }
    }
}

/// Runs statements on a connection of the pool, in a task that a caller who goes away does not end.
/// One limit of time covers all of it, the wait for a connection included.
pub(super) async fn with_client<T, F>(
    pool: &Pool,
    context: ActContext,
    statements: impl FnOnce(PooledClient) -> F + Send + 'static,
) -> Result<T, StorageError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send,
{
    let pool = pool.clone();
    let task = async move {
        // Owned by this task, so its permit is held until the statements have ended.
        let context = context;
        let end = Instant::now() + pool.limit;
        let Ok(connection) = timeout_at(context.deadline().min(end), pool.get()).await else {
            return Err(error::no_connection());
        };
        let connection = Arc::new(connection?);
        let client = PooledClient(Arc::clone(&connection));
        let outcome = timeout_at(end, statements(client)).await;
        match outcome {
            Ok(Ok(value)) => Ok(value),
            // The session does not recover by itself, and nor do those that were opened beside it.
            Ok(Err(error)) if error::is_of_the_session(&error) => {
                close(connection);
                pool.connections.manager().discard_all();
                Err(error::storage(error))
            }
            Ok(Err(error)) => Err(error::storage(error)),
            // Its statement may still run, and the next user would wait for that.
            Err(_) => {
                close(connection);
                Err(error::timeout())
            }
        }
    };
    let ended = tokio::spawn(task).await;
    ended.map_err(|e| {
        StorageError::with_source(ErrorKind::Internal, "statements on PostgreSQL panicked", e)
    })?
}

/// A connection of the pool, which [`with_client`] gives back or closes when the statements have ended.
pub(super) struct PooledClient(Arc<Object<Manager>>);

impl Deref for PooledClient {
    type Target = PgSession;

    fn deref(&self) -> &PgSession {
        &self.0
    }
}

/// Closes a connection instead of giving it back.
fn close(connection: Arc<Object<Manager>>) {
    if let Some(connection) = Arc::into_inner(connection) {
        drop(Object::take(connection));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::database::postgres::parse;
    use crate::telemetry::Supervisor;

    /// Accepts one client, and closes the connection at its first statement.
    async fn accept_and_close(listener: TcpListener) {
        let (mut client, _) = listener.accept().await.unwrap();
        let length = client.read_u32().await.unwrap();
        let mut startup = vec![0; length as usize - 4];
        client.read_exact(&mut startup).await.unwrap();
        client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.unwrap();
        client.read_u8().await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_breaks_while_it_is_new_is_unavailable_and_no_defect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(accept_and_close(listener));
        let url = format!("postgres://u@127.0.0.1:{port}/d?sslmode=disable");
        let connector = Connector::new(&parse(&url).unwrap(), Supervisor::default()).unwrap();
        let pool = Pool::new(&connector, 1).unwrap();
        let error = with_client(&pool, ActContext::new(), |_| async { Ok(()) }).await.unwrap_err();
        server.await.unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
}
