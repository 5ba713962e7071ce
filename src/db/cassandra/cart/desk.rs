//! One desk for each account that somebody of this process wants to change.
//!
//! The moves that wait at a desk become one conditional batch, so that many checkouts of one item
//! cost one round of Paxos and not one each, against each other. A desk is there while somebody
//! waits. It begins with what it believes (the head that this process wrote last, no row of a new
//! act), then reads, then reads for certain: whoever is refused is refused by what was certain at
//! one moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::accounts::{Accounts, Change, Key, Page};
use super::ledger::{Expected, Head, Move, Row, RowState, Verdict, decide};
use super::pause::Pause;
use super::saga::{Moved, Short};
use super::seen::Seen;
use crate::db::storage::{Kind, StorageError};

/// Moves in one batch.
const MOST: usize = 100;

/// Somebody who waits.
pub(super) struct Ask {
    pub(super) act: Uuid,
    pub(super) wanted: Move,
    pub(super) expected: Option<Expected>,
    pub(super) until: Instant,
}

struct Waiting {
    ask: Ask,
    answer: oneshot::Sender<Result<Moved, StorageError>>,
}

pub(super) struct Desks {
    accounts: Accounts,
    open: Mutex<HashMap<Key, mpsc::UnboundedSender<Waiting>>>,
    seen: Seen,
}

/// How sure a desk is of what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    /// Somebody else has changed it, or nobody knows.
    Some,
}

struct Desk {
    desks: Arc<Desks>,
    key: Key,
    inbox: mpsc::UnboundedReceiver<Waiting>,
    waiting: Vec<Waiting>,
    doubt: Doubt,
    pause: Pause,
    /// Whether a batch may have been written whose answer is lost.
    lost: Option<StorageError>,
}

/// What a desk decides from.
struct View {
    page: Page,
    certain: bool,
}

/// What comes of the moves that were looked at.
struct Plan {
    change: Option<Change>,
    /// For each of them in turn; `None`: it waits on.
    outcomes: Vec<Option<Moved>>,
    /// Whether one of them can only be decided about for certain.
    in_doubt: bool,
}

impl Desks {
    pub(super) fn new(accounts: Accounts) -> Arc<Self> {
        Arc::new(Self { accounts, open: Mutex::default(), seen: Seen::default() })
    }

    pub(super) const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Has a move made, or tells why not.
    pub(super) async fn ask(self: &Arc<Self>, key: Key, ask: Ask) -> Result<Moved, StorageError> {
        let (answer, answered) = oneshot::channel();
        self.queue(key, Waiting { ask, answer });
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn queue(self: &Arc<Self>, key: Key, waiting: Waiting) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = match open.get(&key) {
            Some(desk) => match desk.send(waiting) {
                Ok(()) => return,
                // Its task has panicked.
                Err(mpsc::error::SendError(waiting)) => waiting,
            },
            None => waiting,
        };
        let (sender, inbox) = mpsc::unbounded_channel();
        open.insert(key.clone(), sender);
        tokio::spawn(Desk::new(Arc::clone(self), key, inbox, waiting).work());
    }

    /// Closes a desk, unless somebody has come.
    fn close(&self, key: &Key, inbox: &mpsc::UnboundedReceiver<Waiting>) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let closes = inbox.is_empty();
        if closes {
            open.remove(key);
        }
        closes
    }
}

impl Desk {
    fn new(
        desks: Arc<Desks>,
        key: Key,
        inbox: mpsc::UnboundedReceiver<Waiting>,
        first: Waiting,
    ) -> Self {
        let (waiting, doubt, pause) = (vec![first], Doubt::None, Pause::new());
        Self { desks, key, inbox, waiting, doubt, pause, lost: None }
    }

    async fn work(mut self) {
        loop {
            while let Ok(waiting) = self.inbox.try_recv() {
                self.waiting.push(waiting);
            }
            self.turn_away();
            if self.waiting.is_empty() {
                if self.desks.close(&self.key, &self.inbox) {
                    return;
                }
            } else if let Err(error) = self.round().await {
                self.fail(error).await;
            }
        }
    }

    /// Whoever has waited too long goes.
    fn turn_away(&mut self) {
        let now = Instant::now();
        for waiting in self.waiting.extract_if(.., |waiting| waiting.ask.until <= now) {
            let outcome = self.lost.as_ref().map_or(Ok(Moved::GaveUp), |error| {
                Err(StorageError::new(error.kind(), error.to_string()))
            });
            drop(waiting.answer.send(outcome));
        }
    }

    async fn round(&mut self) -> Result<(), StorageError> {
        // Stable: first come, first served.
        self.waiting.sort_by_key(|waiting| !waiting.ask.wanted.gives());
        let count = self.waiting.len().min(MOST);
        let view = self.view(count).await?;
        let plan = plan(&view, self.waiting[..count].iter().map(|waiting| &waiting.ask));
        let waits = plan.outcomes.iter().all(Option::is_none) && !plan.in_doubt;
        match &plan.change {
            Some(change) => {
                if !self.desks.accounts.write(&self.key, change).await? {
                    self.desks.seen.is_contested(&self.key);
                    self.doubt = Doubt::Some;
                    self.pause.wait().await;
                    return Ok(());
                }
                self.desks.seen.head(&self.key, change.head);
                self.settle(&plan);
            }
            None if !view.certain => self.doubt = Doubt::Some,
            None => self.settle(&plan),
        }
        if plan.in_doubt {
            self.doubt = Doubt::Some;
        }
        if waits {
            self.doubt = Doubt::Some;
            self.wait().await;
        }
        Ok(())
    }

    /// What is known, read no more thoroughly than is necessary.
    async fn view(&self, count: usize) -> Result<View, StorageError> {
        let asks = self.waiting[..count].iter().map(|waiting| &waiting.ask);
        let certain = self.doubt == Doubt::Some;
        if !certain && let Some(page) = believed(self.desks.seen.get(&self.key), asks.clone()) {
            return Ok(View { page, certain });
        }
        let acts = asks.map(|ask| ask.act);
        let page = self.desks.accounts.read(&self.key, acts, certain).await?;
        Ok(View { page, certain })
    }

    /// Answers whoever was decided about.
    fn settle(&mut self, plan: &Plan) {
        (self.doubt, self.pause, self.lost) = (Doubt::None, Pause::new(), None);
        let mut outcomes = plan.outcomes.iter();
        let decided = |_: &mut Waiting| outcomes.next().is_some_and(Option::is_some);
        let decided: Vec<_> = self.waiting.extract_if(..plan.outcomes.len(), decided).collect();
        for (waiting, moved) in decided.into_iter().zip(plan.outcomes.iter().flatten()) {
            drop(waiting.answer.send(Ok(*moved)));
        }
    }

    /// Until something may have changed.
    async fn wait(&mut self) {
        let until = self.pause.next();
        if let Ok(Some(waiting)) = timeout_at(until, self.inbox.recv()).await {
            self.waiting.push(waiting);
        }
    }

    /// What passes is tried again; everything else is everybody's failure.
    async fn fail(&mut self, error: StorageError) {
        self.doubt = Doubt::Some;
        if matches!(error.kind(), Kind::Unavailable | Kind::Timeout) {
            self.lost = Some(error);
            return self.wait().await;
        }
        for waiting in self.waiting.drain(..) {
            let again = StorageError::new(error.kind(), error.to_string());
            drop(waiting.answer.send(Err(again)));
        }
    }
}

/// What the moves would find if all is as it is believed to be.
fn believed<'a>(
    head: Option<Head>,
    mut asks: impl Iterator<Item = &'a Ask> + Clone,
) -> Option<Page> {
    let new = asks.clone().all(|ask| ask.expected == Some(Expected::NoPartition));
    if head.is_none() && !new || !asks.all(|ask| ask.expected.is_some()) {
        return None;
    }
    let reserved = asks.filter_map(|ask| match ask.expected {
        Some(Expected::Reserved(amount)) => {
            Some((ask.act, Row { state: RowState::Reserved, amount }))
        }
        _ => None,
    });
    Some(Page { head, began: Uuid::nil(), rows: reserved.collect() })
}

/// Decides about moves one after the other, each finding what those before it leave.
fn plan<'a>(View { page, certain }: &View, asks: impl Iterator<Item = &'a Ask>) -> Plan {
    let (mut now, mut changed, mut in_doubt) = (page.clone(), Vec::new(), false);
    let outcomes = asks.map(|ask| {
        let row = now.row(ask);
        // No condition of the batch would notice a row that was overlooked.
        if !certain && row.is_none() && ask.wanted == Move::Settle {
            in_doubt = true;
            return None;
        }
        let moved = outcome(decide(now.head, row, ask.wanted), |head, row| {
            now.head = Some(head);
            match ask.wanted {
                Move::Begin { .. } => now.began = ask.act,
                _ => {
                    now.rows.insert(ask.act, row);
                    changed.push(ask.act);
                }
            }
        });
        moved.map(|moved| match moved {
            Moved::Done { .. } => Moved::Done { epoch: now.head.map_or(0, |head| head.epoch) },
            other => other,
        })
    });
    let outcomes: Vec<_> = outcomes.collect();
    changed.sort_unstable();
    changed.dedup();
    let rows = changed.iter().map(|act| {
        let before = page.rows.get(act).map(|row| row.state);
        (*act, before, now.rows[act])
    });
    let rows: Vec<_> = rows.collect();
    let head = now.head.filter(|_| now.head != page.head);
    let if_version = page.head.map(|head| head.version);
    let change = head.map(|head| Change { if_version, head, began: now.began, rows });
    Plan { change, outcomes, in_doubt }
}

/// What becomes of a move; `None`: it waits.
fn outcome(verdict: Verdict, change: impl FnOnce(Head, Row)) -> Option<Moved> {
    Some(match verdict {
        Verdict::Change(head, row) => {
            change(head, row);
            Moved::Done { epoch: head.epoch }
        }
        Verdict::Done => Moved::Done { epoch: 0 },
        Verdict::Wait => return None,
        Verdict::Missing => Moved::Refused(Short::Missing),
        Verdict::TooLittle => Moved::Refused(Short::TooLittle),
        Verdict::TooMuch => Moved::Refused(Short::TooMuch),
        Verdict::Fenced => Moved::Fenced,
    })
}

impl Page {
    /// The row of an act. Whoever began the account is noted in its head.
    fn row(&self, ask: &Ask) -> Option<Row> {
        let began = matches!(ask.wanted, Move::Begin { .. }) && self.began == ask.act;
        let done = Row { state: RowState::Done, amount: 0 };
        if began { Some(done) } else { self.rows.get(&ask.act).copied() }
    }
}

fn stopped() -> StorageError {
    StorageError::new(Kind::Internal, "the task that changes an account has stopped")
}
