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
pub(super) const ID_LIMIT: i64 = i32::MAX as i64 + 1;
/// How often one act tries to change what others change as well.
const ATTEMPTS: usize = 50;

const READ: &str = "SELECT next_id, load_id, phase, load_seed, load_rows, reserved_ranges, demo, demo_sum FROM $.store_metadata \
                    WHERE name = 'games'";
const REPLACE: &str = "UPDATE $.store_metadata SET next_id = ?, load_id = ?, phase = ?, load_seed = ?, load_rows = ?, \
                       reserved_ranges = ?, demo = ?, demo_sum = ? \
                       WHERE name = 'games' IF next_id = ? AND load_id = ? AND phase = ?";
const MOVE: &str = "UPDATE $.store_metadata SET next_id = ? WHERE name = 'games' IF next_id = ?";

/// The row's statements.
pub(super) struct MetadataTable {
    cluster: Arc<Cluster>,
    read: PreparedStatement,
    replace: PreparedStatement,
    advance: PreparedStatement,
    /// The counter as it was last seen, which saves a read: a wrong guess is refused and corrected.
    cached_next: AtomicI64,
}

/// The row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The next id that the counter assigns.
    pub(super) next_id: i64,
    /// Number of the last load, also the timestamp of its rows.
    pub(super) load_id: i64,
    pub(super) phase: Phase,
    pub(super) seed: u64,
    pub(super) rows: u64,
    /// Ids reserved for the load.
    pub(super) reserved: Vec<Range<i64>>,
    /// The demo games that are there, or, while a load is open, that are still to be removed.
    pub(super) demo: Option<Demo>,
}

/// What the last load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    Idle,
    /// A load is open.
    Loading,
    /// A load is about to be opened in a store that is being emptied.
    Truncating,
    /// Demo games are being put in.
    InstallingDemo,
    /// The demo games are in.
    Demo,
}

const PHASES: [(Phase, &str); 5] = [
    (Phase::Idle, "idle"),
    (Phase::Loading, "loading"),
    (Phase::Truncating, "truncating"),
    (Phase::InstallingDemo, "installing_demo"),
    (Phase::Demo, "demo"),
];

/// Demo games as they were put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demo {
    pub(super) ids: Range<i64>,
    /// The load number that they were written under.
    pub(super) load_id: i64,
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
            advance: cluster.prepare(MOVE, StatementKind::Conditional).await?,
            cached_next: AtomicI64::new(1),
        }))
    }

    /// The row as the last write has left it.
    pub(super) async fn read(&self) -> Result<Metadata, StorageError> {
        let result = self.cluster.execute(&self.read, ()).await?;
        let rows = result.into_rows_result().map_err(shape)?;
        Metadata::try_from(rows.first_row::<Columns>().map_err(shape)?)
    }

    /// Puts `new` in the place of `old`; `false` if it is not `old` any more.
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

    /// Changes the row as `change` says, again on what others have made of it until it succeeds;
    /// `None` from it ends this without a change.
    pub(super) async fn change(
        &self,
        change: impl Fn(&Metadata) -> Option<Metadata>,
    ) -> Result<Option<Metadata>, StorageError> {
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
        let mut expected = self.cached_next.load(Ordering::Relaxed);
        for _ in 0..ATTEMPTS {
            if expected >= ID_LIMIT {
                // Unless the store has been emptied since.
                expected = self.read().await?.next_id;
            }
            let taken = expected..(expected + count).min(ID_LIMIT);
            match self.advance(expected, taken.end).await? {
                None => return Ok(taken),
                Some(next) => expected = next,
            }
        }
        Err(contended())
    }

    /// Moves the counter up to `next`, never down.
    pub(super) async fn advance_counter(&self, next_id: i64) -> Result<(), StorageError> {
        let mut expected = self.read().await?.next_id;
        for _ in 0..ATTEMPTS {
            if expected >= next_id {
                return Ok(());
            }
            match self.advance(expected, next_id).await? {
                None => return Ok(()),
                Some(found) => expected = found,
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
        self.cached_next.store(next, Ordering::Relaxed);
        Ok(found.map(|_| next))
    }
}

impl Metadata {
    /// The same store with a new load open, whose ids begin at `first`; `None` if there are not
    /// that many.
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

    pub(super) const fn is_loading(&self, load: i64) -> bool {
        self.load_id == load && matches!(self.phase, Phase::Loading)
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
        _ => Err(shape("demo is not three numbers")),
    }
}

impl Phase {
    fn name(self) -> &'static str {
        PHASES.iter().find(|(phase, _)| *phase == self).map_or("idle", |(_, name)| name)
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
    fn a_load_has_its_ids_before_its_first_row() {
        let opened = EMPTY.loading(load(100), 1).unwrap();
        assert_eq!((opened.next_id, opened.load_id, opened.rows), (101, 1, 100));
        assert!(opened.is_loading(1) && !opened.is_loading(0) && !EMPTY.is_loading(0));
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
