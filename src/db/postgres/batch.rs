//! Batching: one connection that carries out the requests of many callers by one statement.
//!
//! Here: the task that owns the connection, opens it again when it breaks, prepares its statements anew
//! when they are outdated, runs requests one by one when the server has refused them together, and tries
//! those again that another transaction prevents.
//! Not here: the queue, deadlines and answers, which are in [`crate::db::common::batcher`], and the
//! statements, which each [`Batch`] brings along: see `overview/find.rs` for reads and
//! `overview/create.rs` for writes.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Error;

use super::connection::{CONNECT_TIMEOUT, Connector, FULL};
use super::error::{self, Failure};
use super::idempotency::{self, Claim};
use super::session::PgSession;
use crate::db::common::batcher::{self, Batches, Pending, Queue, Queued, refuse_expired};
use crate::db::common::retry::Backoff;
use crate::db::storage::{IdempotencyKey, StorageError};
use crate::telemetry::logs::LogRateLimiter;

/// Requests that may wait; more are refused at once, before memory grows.
const QUEUE: usize = 8_192;
/// Pauses between attempts to connect. They do not grow: one connection's attempts cost the server
/// little, and a longer pause would delay the first answer after a restart.
const RECONNECT: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_millis(250));
/// Pauses before requests are tried again whose rows another transaction has locked. A try costs little.
const LOCKED: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(10));
/// Plans are made once, and for a table that will be large.
const SETTINGS: [&str; 2] = ["plan_cache_mode = force_generic_plan", "enable_seqscan = off"];

/// The statements of one kind of request.
#[async_trait]
pub(super) trait Batch: Send + Sync + 'static {
    type Request: Send + Sync + 'static;
    type Response: Send + 'static;
    /// What is prepared on a new connection.
    type Statements: Send + Sync;
    /// The most requests in one batch: bounds how long the first waits for the last.
    const LIMIT: usize;

    async fn prepare(&self, client: &PgSession) -> Result<Self::Statements, Error>;

    /// What must be done before a transaction that [`Batch::run`] will be a part of.
    async fn before_transaction(&self, _client: &PgSession) -> Result<(), Error> {
        Ok(())
    }

    /// Carries the requests out. Each response is put into its place once the database has
    /// committed what it says; an error is the outcome of the requests without a response, and
    /// nothing is stored for them unless the connection broke. So what is stored is never run twice.
    /// Without an error, those without a response found a row that another transaction has locked, and
    /// are run again a moment later.
    ///
    /// A transaction may be open: then responses count once it is committed. A single request that is
    /// refused may take the transaction back.
    async fn run(
        &self,
        client: &PgSession,
        statements: &Self::Statements,
        requests: &[&Self::Request],
        responses: &mut [Option<Self::Response>],
    ) -> Result<(), Error>;

    /// What is stored of a response with the key of its request, as
    /// [`Recorded`](crate::db::storage::Recorded) says. Requests that read have no key.
    fn record(_response: &Self::Response) -> Option<String> {
        None
    }

    /// The response to a repeat.
    fn replay(_record: &str) -> Option<Self::Response> {
        None
    }

    /// The response to another request under the same key.
    fn key_reused() -> Option<Self::Response> {
        None
    }
}

/// Implements the last three methods of [`Batch`] for a response that is [`Recorded`].
///
/// [`Recorded`]: crate::db::storage::Recorded
macro_rules! recorded {
    () => {
        fn record(response: &Self::Response) -> Option<String> {
            $crate::db::storage::Recorded::record(response)
        }

        fn replay(record: &str) -> Option<Self::Response> {
            $crate::db::storage::Recorded::replay(record)
        }

        fn key_reused() -> Option<Self::Response> {
            Some($crate::db::storage::Recorded::key_reused())
        }
    };
}
pub(super) use recorded;

type Item<B> = Pending<<B as Batch>::Request, <B as Batch>::Response>;

/// The queue of a [`BatchWorker`], which ends when this is dropped and all requests are answered.
pub(super) type Batcher<B> = Queue<Item<B>>;

/// Starts the worker of one connection.
pub(super) fn start<B: Batch>(connector: &Connector, batch: B) -> Batcher<B> {
    let (queue, batches) = batcher::queue(QUEUE);
    let log_rate = LogRateLimiter::default();
    let mut worker = BatchWorker { connector: connector.clone(), batch, batches, log_rate };
    let supervisor = connector.supervisor();
    let work = async move || worker.run().await;
    tokio::spawn(supervisor.supervise("batches for PostgreSQL", work));
    queue
}

/// Puts all responses of a batch into their places.
pub(super) fn fill<T>(responses: &mut [Option<T>], all: impl IntoIterator<Item = T>) {
    responses.iter_mut().zip(all).for_each(|(response, one)| *response = Some(one));
}

/// A connection in use.
struct Session<B: Batch> {
    client: PgSession,
    statements: B::Statements,
    ended: JoinHandle<()>,
}

async fn open<B: Batch>(connector: &Connector, batch: &B) -> Result<Session<B>, Failure> {
    let opening = async {
        let (client, ended) = connector.connect_for_requests(&SETTINGS).await?;
        let statements = batch.prepare(&client).await?;
        Ok(Session { client, statements, ended })
    };
    timeout(CONNECT_TIMEOUT, opening).await.unwrap_or(Err(Failure::Timeout))
}

async fn prepare<B: Batch>(batch: &B, client: &PgSession) -> Result<B::Statements, Failure> {
    client.forget_prepared();
    match timeout(CONNECT_TIMEOUT, batch.prepare(client)).await {
        Ok(statements) => Ok(statements?),
        Err(_) => Err(Failure::Timeout),
    }
}

/// Why a connection is not used any more.
enum End {
    /// It broke, or may never answer.
    Broken,
    /// The server takes no writes on it: it was opened when the server was read-only, and stays so.
    Useless(StorageError),
}

impl End {
    /// The end that a failure means, if it does. After a fatal error the connection closes in a moment.
    fn of<B: Batch>(session: &Session<B>, failure: &Failure) -> Option<Self> {
        match failure {
            Failure::Timeout => Some(Self::Broken),
            Failure::Driver(e) if session.client.is_closed() || error::is_fatal(e) => {
                Some(Self::Broken)
            }
            Failure::Driver(e) if error::is_read_only(e) => Some(Self::Useless(error::read_only())),
            Failure::Driver(_) => None,
        }
    }
}

struct BatchWorker<B: Batch> {
    connector: Connector,
    batch: B,
    batches: Batches<Item<B>>,
    log_rate: LogRateLimiter,
}

impl<B: Batch> BatchWorker<B> {
    async fn run(&mut self) {
        // Requests that come before the first connection wait for it instead of being refused.
        let mut opened = match open(&self.connector, &self.batch).await {
            Ok(session) => Some(session),
            Err(failure) => self.reopen(Some(failure)).await,
        };
        while let Some(session) = opened {
            let Some(end) = self.serve(session).await else { return };
            if let End::Useless(failure) = end
                && self.pause(&failure).await.is_none()
            {
                return;
            }
            opened = self.reopen(None).await;
        }
    }

    /// Connects again and refuses all requests meanwhile; `None` when no further one can come.
    /// While the server has no connection to give, requests wait instead, as they do in a pool.
    async fn reopen(&mut self, mut last: Option<Failure>) -> Option<Session<B>> {
        let Self { connector, batch, batches, log_rate } = self;
        let (mut reconnect, mut full) = (RECONNECT, FULL);
        loop {
            let is_full = last.as_ref().is_some_and(Failure::is_full);
            let next_attempt = match &last {
                None => Instant::now(),
                Some(_) if is_full => full.next(),
                Some(_) => reconnect.next(),
            };
            let attempt = async {
                sleep_until(next_attempt).await;
                open(connector, batch).await
            };
            let opened = if is_full {
                tracing::debug!("PostgreSQL has no connection to give, requests wait");
                batches.hold_until(attempt).await?
            } else {
                let failure = last.map_or_else(error::unreachable_now, error::storage);
                let log = |refused| log_refused(log_rate, &failure, refused);
                batches.refuse_until(&failure, log, attempt).await?
            };
            match opened {
                Ok(session) => return Some(session),
                Err(failure) => last = Some(failure),
            }
        }
    }

    /// Refuses all requests for a moment, so that a server that takes no writes does not get a new
    /// connection for each; `None` when no further request can come.
    async fn pause(&mut self, failure: &StorageError) -> Option<()> {
        let Self { batches, log_rate, .. } = self;
        let log = |refused| log_refused(log_rate, failure, refused);
        batches.refuse_until(failure, log, sleep_until(RECONNECT.clone().next())).await
    }

    /// Carries batches out until the connection ends; `None` when no further request can come.
    async fn serve(&mut self, mut session: Session<B>) -> Option<End> {
        loop {
            let batch = tokio::select! {
                // The connection first: requests sent on one that has ended would all fail.
                biased;
                _ = &mut session.ended => return Some(End::Broken),
                batch = self.batches.next(B::LIMIT) => batch?,
            };
            if let Err(end) = self.carry_out(&mut session, batch).await {
                return Some(end);
            }
        }
    }

    /// Answers all requests of a batch; an error if the connection can no longer be used.
    async fn carry_out(
        &mut self,
        session: &mut Session<B>,
        batch: Vec<Item<B>>,
    ) -> Result<(), End> {
        let mut batches = VecDeque::from([batch]);
        let mut prepared_anew = false;
        while let Some(mut batch) = batches.pop_front() {
            // A deadline may have passed while other requests were run alone.
            refuse_expired(&mut batch);
            let (left, result) = self.attempt(session, batch).await;
            let Err(failure) = result else {
                self.put_back(left);
                continue;
            };
            if let Some(end) = End::of(session, &failure) {
                let all = left.into_iter().chain(batches.into_iter().flatten());
                self.refuse(all, &error::storage(failure));
                return Err(end);
            }
            let Failure::Driver(error) = &failure else { continue };
            if error::is_outdated(error) && !prepared_anew {
                prepared_anew = true;
                match prepare(&self.batch, &session.client).await {
                    Ok(statements) => {
                        session.statements = statements;
                        batches.push_front(left);
                    }
                    Err(failure) => self.refuse(left, &error::storage(failure)),
                }
            } else if error.code().is_some() && left.len() > 1 {
                // One request may be the cause of the error of all, so each is run alone.
                batches.extend(left.into_iter().map(|item| vec![item]));
            } else {
                self.refuse(left, &error::storage(failure));
            }
        }
        Ok(())
    }

    /// Runs requests together and answers those that have a response; returns the others.
    async fn attempt(
        &self,
        session: &Session<B>,
        batch: Vec<Item<B>>,
    ) -> (Vec<Item<B>>, Result<(), Failure>) {
        if batch.is_empty() {
            return (batch, Ok(()));
        }
        let requests: Vec<_> = batch.iter().map(|item| &item.request).collect();
        let mut responses: Vec<_> = batch.iter().map(|_| None).collect();
        let keys: Vec<_> = batch.iter().map(|item| item.context.key()).collect();
        let running = self.run_once(session, &requests, &keys, &mut responses);
        let result = timeout(self.connector.statement_timeout(), running).await;
        let mut left = Vec::new();
        for (item, response) in batch.into_iter().zip(responses) {
            match response {
                Some(response) => item.answer(Ok(response)),
                None => left.push(item),
            }
        }
        match result {
            Ok(result) => (left, result.map_err(Failure::Driver)),
            Err(_) => (left, Err(Failure::Timeout)),
        }
    }

    /// Carries requests out, once for each key. Those with a key are in one transaction with the others
    /// of the batch.
    async fn run_once(
        &self,
        session: &Session<B>,
        requests: &[&B::Request],
        keys: &[Option<&IdempotencyKey>],
        responses: &mut [Option<B::Response>],
    ) -> Result<(), Error> {
        let Session { client, statements, .. } = session;
        if keys.iter().all(Option::is_none) {
            return self.batch.run(client, statements, requests, responses).await;
        }
        let result = self.run_in_transaction(session, requests, keys, responses).await;
        client.roll_back().await?;
        result
    }

    async fn run_in_transaction(
        &self,
        session: &Session<B>,
        requests: &[&B::Request],
        keys: &[Option<&IdempotencyKey>],
        responses: &mut [Option<B::Response>],
    ) -> Result<(), Error> {
        let Session { client, statements, .. } = session;
        self.batch.before_transaction(client).await?;
        let claims = idempotency::begin_and_claim(client, keys).await?;
        let new: Vec<usize> = (0..keys.len()).filter(|n| claims[*n] == Claim::New).collect();
        let requests: Vec<_> = new.iter().map(|n| requests[*n]).collect();
        let mut made: Vec<_> = new.iter().map(|_| None).collect();
        if !new.is_empty() {
            self.batch.run(client, statements, &requests, &mut made).await?;
        }
        // A refusal by the database has ended the transaction.
        if client.is_open() {
            let record = |made: &Option<B::Response>| made.as_ref().and_then(B::record);
            let records = new.iter().zip(&made);
            let records = records.filter_map(|(n, made)| Some((keys[*n]?, record(made)?)));
            idempotency::record_and_commit(client, records.collect()).await?;
        }
        // Only now it is stored.
        new.into_iter().zip(made).for_each(|(n, made)| responses[n] = made);
        for ((claim, key), response) in claims.into_iter().zip(keys).zip(responses) {
            match (claim, key) {
                (Claim::Recorded(record), Some(key)) => {
                    let replayed = B::replay(&record).inspect(|_| key.set_replayed());
                    // A record that this build cannot read is that of another request.
                    *response = replayed.or_else(B::key_reused);
                }
                (Claim::Reused, _) => *response = B::key_reused(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets requests wait for the locks of others, each until its deadline, and as long as it could wait
    /// in a statement.
    fn put_back(&mut self, locked: Vec<Item<B>>) {
        if locked.is_empty() {
            return;
        }
        let next_try = LOCKED.clone().next();
        let limit = self.connector.statement_timeout();
        let limited = locked.into_iter().map(|mut item| {
            item.context = item.context.with_timeout_at_most(limit);
            item.expires_with(error::row_locked);
            item
        });
        let (waiting, late): (Vec<_>, Vec<_>) =
            limited.partition(|item| item.deadline() > next_try);
        if !late.is_empty() {
            self.refuse(late, &error::row_locked());
        }
        self.batches.put_back(waiting, next_try);
    }

    fn refuse(&self, items: impl IntoIterator<Item = Item<B>>, error: &StorageError) {
        let mut refused = 0;
        for item in items {
            item.refuse(error.shared());
            refused += 1;
        }
        log_refused(&self.log_rate, error, refused);
    }
}

/// The driver's own error goes to the log only, at most a few times a second.
fn log_refused(log_rate: &LogRateLimiter, error: &StorageError, refused: usize) {
    if let Some(suppressed) = log_rate.line() {
        let cause = std::error::Error::source(error);
        tracing::warn!(%error, cause, refused, suppressed, "query failed");
    }
}
