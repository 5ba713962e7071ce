//! Grouping: a connection that answers many who wait by one query.
//!
//! While a query is under way others gather in the queue; then the next takes all of them. Nobody
//! ever joins a query that was sent before, so a read sees every write that had returned when it
//! was asked. The connection is one task's own. When it breaks, those who wait are told at once, and
//! so is everyone who comes before it is mended.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::{Client, Error};

use super::connection::{Connector, PATIENCE};
use super::error::{self, Failure};
use crate::db::storage::{ActContext, ErrorKind, StorageError};
use crate::telemetry::logs::LogRateLimiter;

/// Who may wait; more are refused at once, before memory grows.
const QUEUE: usize = 8_192;
/// Pause between two attempts to reach the server.
const PAUSE: Duration = Duration::from_millis(200);
/// Plans are made once, and for a table that will be large.
const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off";

/// What is grouped.
#[async_trait]
pub(super) trait Batch: Send + Sync + 'static {
    /// One caller's question.
    type Ask: Send + Sync + 'static;
    /// One caller's answer.
    type Answer: Send + 'static;
    /// What is prepared on a new connection.
    type Statements: Send + Sync;
    /// The most in one query: bounds how long the first waits for the last.
    const MOST: usize;

    async fn prepare(&self, client: &Client) -> Result<Self::Statements, Error>;

    /// Answers all, in their order. If this fails nothing has happened to any of them, unless the
    /// connection broke.
    async fn run(
        &self,
        client: &Client,
        statements: &Self::Statements,
        asks: &[Self::Ask],
    ) -> Result<Vec<Self::Answer>, Error>;
}

/// The way to the task that has the connection. The task ends when this is dropped and everyone
/// who asked has been answered.
pub(super) struct Batcher<B: Batch> {
    queue: mpsc::Sender<Waiting<B>>,
}

impl<B: Batch> Batcher<B> {
    pub(super) fn start(connector: &Connector, batch: B) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let log_rate = LogRateLimiter::default();
        let keeper = Keeper { connector: connector.clone(), batch, waiting, log_rate };
        tokio::spawn(keeper.run());
        Self { queue }
    }

    /// Waits for the answer. Once this was polled the question is asked, even if it is dropped.
    pub(super) async fn ask(
        &self,
        context: ActContext,
        ask: B::Ask,
    ) -> Result<B::Answer, StorageError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Waiting { ask, _context: context, answer }).map_err(|_| {
            StorageError::new(ErrorKind::Unavailable, "too many wait for PostgreSQL")
        })?;
        answered.await.unwrap_or_else(|_| {
            Err(StorageError::new(ErrorKind::Internal, "a query to PostgreSQL panicked"))
        })
    }
}

struct Waiting<B: Batch> {
    ask: B::Ask,
    /// Held until the answer is given.
    _context: ActContext,
    answer: oneshot::Sender<Result<B::Answer, StorageError>>,
}

/// A connection in use.
struct Open<B: Batch> {
    client: Client,
    statements: B::Statements,
    ended: JoinHandle<()>,
}

struct Keeper<B: Batch> {
    connector: Connector,
    batch: B,
    waiting: mpsc::Receiver<Waiting<B>>,
    log_rate: LogRateLimiter,
}

/// Nobody can ask any more.
struct Done;

impl<B: Batch> Keeper<B> {
    async fn run(mut self) {
        // Those who come before the first connection wait for it.
        let mut next = self.open().await.ok();
        loop {
            let open = match next.take() {
                Some(open) => open,
                None => match self.reopen().await {
                    Ok(open) => open,
                    Err(Done) => return,
                },
            };
            if let Err(Done) = self.serve(open).await {
                return;
            }
        }
    }

    async fn open(&self) -> Result<Open<B>, Failure> {
        let (client, ended) = self.connector.connect_for_acts(SETTINGS).await?;
        let statements = self.batch.prepare(&client).await?;
        Ok(Open { client, statements, ended })
    }

    /// Tries until the server is there; tells everyone who asks meanwhile that it is not.
    async fn reopen(&mut self) -> Result<Open<B>, Done> {
        let mut failure = StorageError::new(ErrorKind::Unavailable, "PostgreSQL is away");
        let mut waiting = Vec::new();
        loop {
            let again = Instant::now() + PAUSE;
            // Apart from `self`, so that the queue can be read meanwhile.
            let Self { connector, batch, waiting: queue, log_rate } = self;
            let attempt = async {
                let (client, ended) = connector.connect_for_acts(SETTINGS).await?;
                let statements = batch.prepare(&client).await?;
                Ok::<_, Failure>(Open { client, statements, ended })
            };
            match refusing(queue, log_rate, &mut waiting, &failure, timeout(PATIENCE, attempt))
                .await?
            {
                Ok(Ok(open)) => return Ok(open),
                Ok(Err(error)) => failure = error::storage(error),
                Err(_) => failure = error::late(),
            }
            refusing(queue, log_rate, &mut waiting, &failure, sleep_until(again)).await?;
        }
    }

    /// Answers until the connection breaks.
    async fn serve(&mut self, mut open: Open<B>) -> Result<(), Done> {
        let mut group = Vec::with_capacity(B::MOST);
        loop {
            tokio::select! {
                // A query on a broken connection fails; but one that is known to be broken is not
                // used at all.
                biased;
                _ = &mut open.ended => return Ok(()),
                count = self.waiting.recv_many(&mut group, B::MOST) => {
                    if count == 0 {
                        return Err(Done);
                    }
                }
            }
            if !self.answer(&open, &mut group).await {
                return Ok(());
            }
        }
    }

    /// Whether the connection can still be used.
    async fn answer(&self, open: &Open<B>, group: &mut Vec<Waiting<B>>) -> bool {
        let (asks, answers): (Vec<_>, Vec<_>) =
            group.drain(..).map(|waiting| (waiting.ask, waiting.answer)).unzip();
        let running = self.batch.run(&open.client, &open.statements, &asks);
        match timeout(PATIENCE, running).await {
            Ok(Ok(outcomes)) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    // The client may be gone.
                    drop(answer.send(Ok(outcome)));
                }
            }
            Ok(Err(error)) if is_of_one(&error) && asks.len() > 1 => {
                self.one_by_one(open, asks, answers).await;
            }
            Ok(Err(error)) => refuse(&self.log_rate, answers, &error::storage(error)),
            Err(_) => {
                refuse(&self.log_rate, answers, &error::late());
                return false;
            }
        }
        !open.client.is_closed()
    }

    /// One of the group fails the query of all; the others shall not suffer.
    async fn one_by_one(
        &self,
        open: &Open<B>,
        asks: Vec<B::Ask>,
        answers: Vec<oneshot::Sender<Result<B::Answer, StorageError>>>,
    ) {
        for (ask, answer) in asks.into_iter().zip(answers) {
            let alone = self.batch.run(&open.client, &open.statements, std::slice::from_ref(&ask));
            let outcome = match timeout(PATIENCE, alone).await {
                Ok(Ok(mut outcomes)) => outcomes.pop().ok_or_else(unanswered),
                Ok(Err(error)) => Err(error::storage(error)),
                Err(_) => Err(error::late()),
            };
            drop(answer.send(outcome));
        }
    }
}

/// Whether an error may be due to a single question: the server refused data, class 22 or 23.
fn is_of_one(error: &Error) -> bool {
    error.code().is_some_and(|code| matches!(code.code().get(..2), Some("22" | "23")))
}

fn unanswered() -> StorageError {
    StorageError::new(ErrorKind::Internal, "a query to PostgreSQL gave too few answers")
}

/// Tells everyone of a failure, and the log a few times a second.
fn refuse<T>(
    log_rate: &LogRateLimiter,
    answers: Vec<oneshot::Sender<Result<T, StorageError>>>,
    error: &StorageError,
) {
    if let Some(suppressed) = log_rate.line() {
        let cause = std::error::Error::source(error);
        tracing::warn!(%error, cause, waiting = answers.len(), suppressed, "query failed");
    }
    for answer in answers {
        drop(answer.send(Err(error.shared())));
    }
}

/// Waits for `event`; whoever asks meanwhile gets the failure.
async fn refusing<B: Batch, T>(
    queue: &mut mpsc::Receiver<Waiting<B>>,
    log_rate: &LogRateLimiter,
    group: &mut Vec<Waiting<B>>,
    failure: &StorageError,
    event: impl Future<Output = T>,
) -> Result<T, Done> {
    let mut event = std::pin::pin!(event);
    loop {
        tokio::select! {
            outcome = &mut event => return Ok(outcome),
            count = queue.recv_many(group, B::MOST) => {
                if count == 0 {
                    return Err(Done);
                }
                let answers = group.drain(..).map(|waiting| waiting.answer).collect();
                refuse(log_rate, answers, failure);
            }
        }
    }
}
