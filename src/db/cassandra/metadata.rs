//! The row of facts about the whole store: the id counter, the last load and the demo games.
//!
//! One row, written by LWT only, because Cassandra has no transaction over several: what must change
//! together is here. What a load does between its changes of the row is in [`super::loads`]; the
//! chunks that it has finished are rows of their own.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlValue;

use super::connection::{Cluster, StatementKind};
use super::error::shape;
use super::lwt::{applied, refused};
use super::query_result::optional_row;
use crate::db::common::id_search::ID_LIMIT;
use crate::db::common::load_plan::remaining;
use crate::db::storage::{ErrorKind, Load, NewLoad, StorageError};

/// How often a change is tried that other processes precede. No pause between: a condition fails
/// only because the change of another process succeeded.
pub(super) const CONDITIONAL_TRIES: usize = 50;

const READ: &str = "SELECT next_id, load_id, phase, load_seed, load_rows, reserved_ranges, demo, \
                    demo_sum FROM $.store_metadata WHERE name = 'games'";
/// Each change of the row moves one of the columns of the condition, except the removal of the demo
/// games, which is the same whichever process makes it.
const REPLACE: &str = "UPDATE $.store_metadata SET next_id = ?, load_id = ?, phase = ?, \
                       load_seed = ?, load_rows = ?, reserved_ranges = ?, demo = ?, demo_sum = ? \
                       WHERE name = 'games' IF next_id = ? AND load_id = ? AND phase = ?";
const ADVANCE: &str = "UPDATE $.store_metadata SET next_id = ? WHERE name = 'games' IF next_id = ?";

/// The statements on the row.
pub(super) struct MetadataTable {
    cluster: Arc<Cluster>,
    read: PreparedStatement,
    replace: PreparedStatement,
    advance: PreparedStatement,
    /// The counter as it was last read or written, which saves a read: an outdated value fails the
    /// condition, whose answer has the present one.
    cached_next: AtomicI64,
}

/// The row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The next id that the counter assigns.
    pub(super) next_id: i64,
    /// Number of the last load, which is also the timestamp of its rows.
    pub(super) load_id: i64,
    pub(super) phase: Phase,
    pub(super) seed: u64,
    pub(super) rows: u64,
    /// Ids reserved for the load.
    pub(super) reserved: Vec<Range<i64>>,
    /// The demo games in the store; while a load is open, those that are still to be removed.
    pub(super) demo: Option<Demo>,
}

/// What happens to the store as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Idle,
    /// A load is open.
    Loading,
    /// The store is being emptied; then a load is opened.
    Truncating,
    /// Demo games are being written.
    InstallingDemo,
    /// The demo games are complete.
    Demo,
}

const PHASES: [(Phase, &str); 5] = [
    (Phase::Idle, "idle"),
    (Phase::Loading, "loading"),
    (Phase::Truncating, "truncating"),
    (Phase::InstallingDemo, "installing_demo"),
    (Phase::Demo, "demo"),
];

/// Demo games as they were installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demo {
    pub(super) ids: Range<i64>,
    /// The load number that they were written under.
    pub(super) load_id: i64,
    /// Their [`Digest::sum`](crate::db::storage::Digest::sum).
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

impl MetadataTable {
    pub(super) async fn open(cluster: &Arc<Cluster>) -> Result<Arc<Self>, StorageError> {
        Ok(Arc::new(Self {
            cluster: Arc::clone(cluster),
            read: cluster.prepare(READ, StatementKind::SerialRead).await?,
            replace: cluster.prepare(REPLACE, StatementKind::Conditional).await?,
            advance: cluster.prepare(ADVANCE, StatementKind::Conditional).await?,
            cached_next: AtomicI64::new(1),
        }))
    }

    /// The row after every write that was acknowledged (a SERIAL read).
    pub(super) async fn read(&self) -> Result<Metadata, StorageError> {
        let row = optional_row::<Columns>(self.cluster.execute(&self.read, ()).await?)?;
        row.ok_or_else(|| shape("the row of the store's metadata is missing"))?.try_into()
    }

    /// Replaces `old` by `new`; `false` if the row is not `old` any more.
    pub(super) async fn replace(
        &self,
        old: &Metadata,
        new: &Metadata,
    ) -> Result<bool, StorageError> {
        let demo = new.demo.as_ref();
        let values = (
            new.next_id,
            new.load_id,
            new.phase.name(),
            new.seed.cast_signed(),
            new.rows.cast_signed(),
            new.reserved.iter().flat_map(|range| [range.start, range.end]).collect::<Vec<_>>(),
            demo.map(|demo| vec![demo.ids.start, demo.ids.end, demo.load_id]),
            demo.map(|demo| demo.sum.to_be_bytes().to_vec()),
            old.next_id,
            old.load_id,
            old.phase.name(),
        );
        applied(self.cluster.execute(&self.replace, values).await?)
    }

    /// Changes the row by compare-and-set: `change` gets the present row, again after each change by
    /// another process; where it returns `None` the row stays as it is.
    pub(super) async fn change(
        &self,
        change: impl Fn(&Metadata) -> Option<Metadata>,
    ) -> Result<Option<Metadata>, StorageError> {
        for _ in 0..CONDITIONAL_TRIES {
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
        let end = |next_id: i64| (next_id + count).min(ID_LIMIT);
        let taken = self.advance(self.cached_next.load(Ordering::Relaxed), end).await?;
        if !taken.is_empty() {
            return Ok(taken);
        }
        // Exhausted, unless another server has reset the store and so the counter.
        self.advance(self.read().await?.next_id, end).await
    }

    /// Moves the counter up to `next_id`, never down.
    pub(super) async fn advance_counter(&self, next_id: i64) -> Result<(), StorageError> {
        self.advance(self.read().await?.next_id, |_| next_id).await.map(drop)
    }

    /// Moves the counter by compare-and-set from where it stands, `expected` at first, to `end` of
    /// that; returns the ids in between, which are then this process's own.
    async fn advance(
        &self,
        mut expected: i64,
        end: impl Fn(i64) -> i64,
    ) -> Result<Range<i64>, StorageError> {
        for _ in 0..CONDITIONAL_TRIES {
            let ids = expected..end(expected);
            if ids.is_empty() {
                return Ok(ids);
            }
            let result = self.cluster.execute(&self.advance, (ids.end, ids.start)).await?;
            let found = refused(result)?;
            expected = match found.as_deref() {
                None => ids.end,
                Some([Some(CqlValue::BigInt(next_id))]) => *next_id,
                Some(_) => return Err(shape("the counter of ids is no number")),
            };
            self.cached_next.store(expected, Ordering::Relaxed);
            if found.is_none() {
                return Ok(ids);
            }
        }
        Err(contended())
    }
}

impl Metadata {
    /// The same store with a new load open whose ids begin at `first`; `None` if too few ids are
    /// left.
    pub(super) fn loading(&self, load: NewLoad, first: i64) -> Option<Self> {
        let rows = i64::try_from(load.rows).ok().filter(|rows| *rows <= ID_LIMIT - first)?;
        let ids = first..first + rows;
        Some(Self {
            next_id: ids.end,
            load_id: self.load_id + 1,
            phase: Phase::Loading,
            seed: load.seed,
            rows: load.rows,
            reserved: vec![ids],
            demo: None,
        })
    }

    /// The same with a load that begins at the ids of the demo games, which it replaces. They stay
    /// noted until they are removed, so that another process completes the removal after a crash.
    pub(super) fn replacing_demo(&self, load: NewLoad) -> Option<Self> {
        let demo = self.demo.clone()?;
        let loading = self.loading(load, demo.ids.start)?;
        Some(Self { demo: Some(demo), ..loading })
    }

    pub(super) const fn is_loading(&self, load_id: i64) -> bool {
        self.load_id == load_id && matches!(self.phase, Phase::Loading)
    }

    /// The open load, of which these chunks are done.
    pub(super) fn load(&self, written: u64, done: &[Range<i64>]) -> Load {
        let pending = remaining(&self.reserved, done);
        Load { id: self.load_id, seed: self.seed, rows: self.rows, written, pending }
    }
}

impl TryFrom<Columns> for Metadata {
    type Error = StorageError;

    fn try_from(columns: Columns) -> Result<Self, StorageError> {
        let (next_id, load_id, phase, seed, rows, reserved, demo, demo_sum) = columns;
        let demo = demo.as_deref().zip(demo_sum.as_deref()).map(demo_of).transpose()?;
        let reserved = reserved.unwrap_or_default();
        Ok(Self {
            next_id,
            load_id,
            phase: Phase::named(&phase)?,
            seed: seed.unwrap_or_default().cast_unsigned(),
            rows: rows.unwrap_or_default().cast_unsigned(),
            reserved: reserved.as_chunks().0.iter().map(|&[start, end]| start..end).collect(),
            demo,
        })
    }
}

fn demo_of((ids, sum): (&[i64], &[u8])) -> Result<Demo, StorageError> {
    let sum = u128::from_be_bytes(sum.try_into().map_err(shape)?);
    match *ids {
        [start, end, load_id] => Ok(Demo { ids: start..end, load_id, sum }),
        _ => Err(shape("the demo games are not three numbers")),
    }
}

impl Phase {
    fn name(self) -> &'static str {
        PHASES.iter().find(|(phase, _)| *phase == self).map_or("idle", |(_, name)| name)
    }

    fn named(name: &str) -> Result<Self, StorageError> {
        let found = PHASES.iter().find(|(_, known)| *known == name);
        found.map(|(phase, _)| *phase).ok_or_else(|| shape("the phase of the store is unknown"))
    }
}

pub(super) fn contended() -> StorageError {
    StorageError::new(ErrorKind::Conflict, "other processes keep changing the store's metadata")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::storage::LoadMode;

    const EMPTY: Metadata = Metadata {
        next_id: 1,
        load_id: 0,
        phase: Phase::Idle,
        seed: 0,
        rows: 0,
        reserved: Vec::new(),
        demo: None,
    };

    fn load(rows: u64) -> NewLoad {
        NewLoad { seed: 7, rows, mode: LoadMode::Append }
    }

    #[test]
    fn a_load_reserves_its_ids_before_its_first_row() {
        let loading = EMPTY.loading(load(100), 1).unwrap();
        assert_eq!((loading.next_id, loading.load_id, loading.rows), (101, 1, 100));
        assert!(loading.is_loading(1) && !loading.is_loading(0) && !EMPTY.is_loading(0));
    }

    #[test]
    fn a_load_needs_as_many_ids_as_rows() {
        assert!(EMPTY.loading(load(ID_LIMIT.cast_unsigned() - 1), 1).is_some());
        for rows in [ID_LIMIT.cast_unsigned(), u64::MAX] {
            assert!(EMPTY.loading(load(rows), 1).is_none());
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
