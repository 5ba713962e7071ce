//! The one row that tells what the whole store is about, changed by LWT only: whatever must change
//! together is in it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlValue;

use super::connection::{Cluster, StatementKind};
use super::error::shape;
use super::lwt::{applied, refused};
use crate::db::storage::{ErrorKind, NewLoad, StorageError};

/// The end of all ids, itself exclusive.
pub(super) const IDS: i64 = i32::MAX as i64 + 1;
/// How often one act tries to change what others change as well.
const ATTEMPTS: usize = 50;

const READ: &str = "SELECT next, load, state, seed, wanted, spans, demo, demo_sum FROM $.stores \
                    WHERE name = 'games'";
const REPLACE: &str = "UPDATE $.stores SET next = ?, load = ?, state = ?, seed = ?, wanted = ?, \
                       spans = ?, demo = ?, demo_sum = ? \
                       WHERE name = 'games' IF next = ? AND load = ? AND state = ?";
const MOVE: &str = "UPDATE $.stores SET next = ? WHERE name = 'games' IF next = ?";

/// The row's statements.
pub(super) struct Metadata {
    cluster: Arc<Cluster>,
    read: PreparedStatement,
    replace: PreparedStatement,
    advance: PreparedStatement,
    /// The counter as it was last seen, which saves a read: a wrong guess is refused and corrected.
    seen: AtomicI64,
}

/// The row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoreState {
    /// The next id that the counter assigns.
    pub(super) next: i64,
    /// Number of the last load, also the timestamp of its rows.
    pub(super) load: i64,
    pub(super) phase: Phase,
    pub(super) seed: u64,
    pub(super) wanted: u64,
    /// Ids reserved for the load.
    pub(super) spans: Vec<Range<i64>>,
    /// The demo games that are there, or, while a load is open, that are still to be removed.
    pub(super) demo: Option<Demo>,
}

/// What the last load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    Idle,
    /// A load is open.
    Open,
    /// A load is about to be opened in a store that is being emptied.
    Emptying,
    /// Demo games are being put in.
    Stocking,
    /// The demo games are in.
    Demo,
}

const PHASES: [(Phase, &str); 5] = [
    (Phase::Idle, "none"),
    (Phase::Open, "open"),
    (Phase::Emptying, "emptying"),
    (Phase::Stocking, "stocking"),
    (Phase::Demo, "demo"),
];

/// Demo games as they were put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demo {
    pub(super) ids: Range<i64>,
    /// The load number that they were written under.
    pub(super) load: i64,
    pub(super) sum: u128,
}

type Columns = (
    i64,
    i64,
    String,
    Option<i64>,
    Option<i64>,
    Option<Vec<i64>>,
    Option<Vec<i64>>,
    Option<Vec<u8>>,
);

impl Metadata {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Arc<Self>, StorageError> {
        Ok(Arc::new(Self {
            cluster: Arc::clone(cluster),
            read: cluster.prepare(READ, StatementKind::SerialRead).await?,
            replace: cluster.prepare(REPLACE, StatementKind::Conditional).await?,
            advance: cluster.prepare(MOVE, StatementKind::Conditional).await?,
            seen: AtomicI64::new(1),
        }))
    }

    /// The row as the last write has left it.
    pub(super) async fn read(&self) -> Result<StoreState, StorageError> {
        let result = self.cluster.execute(&self.read, ()).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        StoreState::try_from(rows.first_row::<Columns>().map_err(shape)?)
    }

    /// Puts `new` in the place of `old`; `false` if it is not `old` any more.
    pub(super) async fn replace(
        &self,
        old: &StoreState,
        new: &StoreState,
    ) -> Result<bool, StorageError> {
        let demo = new.demo.as_ref();
        let values = (
            new.next,
            new.load,
            new.phase.name(),
            new.seed.cast_signed(),
            new.wanted.cast_signed(),
            new.spans.iter().flat_map(|span| [span.start, span.end]).collect::<Vec<_>>(),
            demo.map(|demo| vec![demo.ids.start, demo.ids.end, demo.load]),
            demo.map(|demo| demo.sum.to_be_bytes().to_vec()),
            old.next,
            old.load,
            old.phase.name(),
        );
        applied(self.cluster.execute(&self.replace, values).await?)
    }

    /// Changes the row as `change` says, again on what others have made of it until it succeeds;
    /// `None` from it ends this without a change.
    pub(super) async fn change(
        &self,
        change: impl Fn(&StoreState) -> Option<StoreState>,
    ) -> Result<Option<StoreState>, StorageError> {
        for _ in 0..ATTEMPTS {
            let old = self.read().await?;
            let Some(new) = change(&old) else { return Ok(None) };
            if self.replace(&old, &new).await? {
                return Ok(Some(new));
            }
        }
        Err(contended())
    }

    /// Takes up to `count` ids from the counter, none when it is exhausted.
    pub(super) async fn take(&self, count: i64) -> Result<Range<i64>, StorageError> {
        let mut seen = self.seen.load(Ordering::Relaxed);
        for _ in 0..ATTEMPTS {
            if seen >= IDS {
                // Unless the store has been emptied since.
                seen = self.read().await?.next;
            }
            let taken = seen..(seen + count).min(IDS);
            match self.advance(seen, taken.end).await? {
                None => return Ok(taken),
                Some(next) => seen = next,
            }
        }
        Err(contended())
    }

    /// Moves the counter up to `next`, never down.
    pub(super) async fn advance_counter(&self, next: i64) -> Result<(), StorageError> {
        let mut seen = self.read().await?.next;
        for _ in 0..ATTEMPTS {
            if seen >= next {
                return Ok(());
            }
            match self.advance(seen, next).await? {
                None => return Ok(()),
                Some(found) => seen = found,
            }
        }
        Err(contended())
    }

    /// Moves the counter if it stands where it should; where it stands if not.
    async fn advance(&self, from: i64, to: i64) -> Result<Option<i64>, StorageError> {
        let result = self.cluster.execute(&self.advance, (to, from)).await?;
        let found = refused(result)?;
        let next = match found.as_deref() {
            None => to,
            Some([Some(CqlValue::BigInt(next))]) => *next,
            Some(_) => return Err(shape("the counter is not where it should be")),
        };
        self.seen.store(next, Ordering::Relaxed);
        Ok(found.map(|_| next))
    }
}

impl StoreState {
    /// The same store with a new load open, whose ids begin at `first`; `None` if there are not
    /// that many.
    pub(super) fn opened(&self, load: NewLoad, first: i64) -> Option<Self> {
        let rows = i64::try_from(load.rows).ok().filter(|rows| *rows <= IDS - first)?;
        let ids = first..first + rows;
        Some(Self {
            next: ids.end,
            load: self.load + 1,
            phase: Phase::Open,
            seed: load.seed,
            wanted: load.rows,
            spans: vec![ids],
            demo: None,
        })
    }

    pub(super) const fn is_open(&self, load: i64) -> bool {
        self.load == load && matches!(self.phase, Phase::Open)
    }
}

impl TryFrom<Columns> for StoreState {
    type Error = StorageError;

    fn try_from(columns: Columns) -> Result<Self, StorageError> {
        let (next, load, phase, seed, wanted, spans, demo, demo_sum) = columns;
        let demo = demo.as_deref().zip(demo_sum.as_deref()).map(demo_of).transpose()?;
        let spans = spans.unwrap_or_default();
        Ok(Self {
            next,
            load,
            phase: Phase::named(&phase)?,
            seed: seed.unwrap_or_default().cast_unsigned(),
            wanted: wanted.unwrap_or_default().cast_unsigned(),
            spans: spans.as_chunks().0.iter().map(|&[start, end]| start..end).collect(),
            demo,
        })
    }
}

fn demo_of((ids, sum): (&[i64], &[u8])) -> Result<Demo, StorageError> {
    let sum = u128::from_be_bytes(sum.try_into().map_err(shape)?);
    match *ids {
        [start, end, load] => Ok(Demo { ids: start..end, load, sum }),
        _ => Err(shape("demo is not three numbers")),
    }
}

impl Phase {
    fn name(self) -> &'static str {
        PHASES.iter().find(|(phase, _)| *phase == self).map_or("none", |(_, name)| name)
    }

    fn named(name: &str) -> Result<Self, StorageError> {
        let found = PHASES.iter().find(|(_, known)| *known == name);
        found.map(|(phase, _)| *phase).ok_or_else(|| shape("the state of the store is unknown"))
    }
}

pub(super) fn contended() -> StorageError {
    StorageError::new(ErrorKind::Conflict, "others change the store all the time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::storage::LoadMode;

    const EMPTY: StoreState = StoreState {
        next: 1,
        load: 0,
        phase: Phase::Idle,
        seed: 0,
        wanted: 0,
        spans: Vec::new(),
        demo: None,
    };

    fn load(rows: u64) -> NewLoad {
        NewLoad { seed: 7, rows, mode: LoadMode::Append }
    }

    #[test]
    fn a_load_has_its_ids_before_its_first_row() {
        let opened = EMPTY.opened(load(100), 1).unwrap();
        assert_eq!((opened.next, opened.load, opened.wanted), (101, 1, 100));
        assert!(opened.is_open(1) && !opened.is_open(0) && !EMPTY.is_open(0));
    }

    #[test]
    fn a_load_needs_as_many_ids_as_rows() {
        assert!(EMPTY.opened(load(IDS.cast_unsigned() - 1), 1).is_some());
        for rows in [IDS.cast_unsigned(), u64::MAX] {
            assert!(EMPTY.opened(load(rows), 1).is_none());
        }
    }

    #[test]
    fn every_phase_is_known_by_its_name() {
        for (phase, name) in PHASES {
            assert_eq!(Phase::named(phase.name()).unwrap(), phase);
            assert_eq!(phase.name(), name);
        }
        assert!(Phase::named("another").is_err());
    }
}
