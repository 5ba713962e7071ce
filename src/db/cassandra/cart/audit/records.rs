//! The operation records of one account, read page by page.
//!
//! Cassandra refuses a read that passes too many deleted or expired rows (by default 100,000), and
//! records of ended operations expire: an account that is used much has long stretches of them. A
//! read that is refused is repeated in two halves, by the time at which the operations began.

use futures::stream::{Stream, TryStreamExt};
use scylla::DeserializeRow;
use uuid::{Builder, Uuid};

use super::scan::{Page, Progress, Scan};
use crate::db::cassandra::cart::accounts_table::AccountKey;
use crate::db::cassandra::cart::saga::balance::OpState;
use crate::db::cassandra::error::is_read_failure;
use crate::db::storage::StorageError;

/// What a UUIDv7 has for its milliseconds since 1970.
const END_OF_TIME: u64 = 1 << 48;

/// A reservation: the attempt that made it, and the amount.
pub(super) type Reservation = (Uuid, i64);

#[derive(DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
pub(super) struct Record {
    op_id: Uuid,
    state: Option<String>,
    #[scylla(default_when_null)]
    amount: i64,
}

/// Operations that began from one millisecond on and before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    from: u64,
    to: u64,
}

impl Scan {
    /// What is reserved of an account.
    pub(super) async fn reservations(
        &self,
        key: &AccountKey,
    ) -> Result<Vec<Reservation>, StorageError> {
        let mut progress = Progress::new("the operation records of one account", 1);
        let (mut reservations, mut slices) = (Vec::new(), vec![Slice::ALL]);
        while let Some(slice) = slices.pop() {
            match self.reservations_in(key, slice, &mut progress).await {
                Ok(found) => reservations.extend(found),
                Err(error) if is_read_failure(&error) => {
                    slices.extend(slice.halves().ok_or(error)?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(reservations)
    }

    async fn reservations_in(
        &self,
        key: &AccountKey,
        slice: Slice,
        progress: &mut Progress,
    ) -> Result<Vec<Reservation>, StorageError> {
        let (mut reservations, pages) = (Vec::new(), self.records(key, slice));
        futures::pin_mut!(pages);
        while let Some(page) = pages.try_next().await? {
            progress.add(&page);
            reservations.extend(page.rows.into_iter().filter_map(Record::reservation));
        }
        Ok(reservations)
    }

    /// The operation records of an account, in pages.
    pub(super) fn records(
        &self,
        key: &AccountKey,
        slice: Slice,
    ) -> impl Stream<Item = Result<Page<Record>, StorageError>> + use<> {
        let (from, to) = slice.bounds();
        let values = (key.kind().to_owned(), key.id().to_owned(), from, to);
        // Refused again at once, however often it is sent.
        self.pages(&self.records, values, is_read_failure)
    }
}

impl Record {
    fn reservation(self) -> Option<Reservation> {
        let is_reserved = self.state.as_deref() == Some(OpState::Reserved.name());
        is_reserved.then_some((self.op_id, self.amount))
    }
}

impl Slice {
    pub(super) const ALL: Self = Self { from: 0, to: END_OF_TIME };

    /// `None` if it is as short as can be.
    fn halves(self) -> Option<[Self; 2]> {
        let middle = self.from.midpoint(self.to);
        let halves = [Self { to: middle, ..self }, Self { from: middle, ..self }];
        (middle > self.from).then_some(halves)
    }

    /// The first id, and the first one after the last.
    fn bounds(self) -> (Uuid, Uuid) {
        // The nil id is the balance's row.
        let from = if self.from == 0 { Uuid::from_u128(1) } else { first_id(self.from) };
        let to = if self.to == END_OF_TIME { Uuid::max() } else { first_id(self.to) };
        (from, to)
    }
}

/// The smallest UUIDv7 of that millisecond.
fn first_id(millis: u64) -> Uuid {
    Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_cover_a_slice() {
        let Some([first, second]) = Slice::ALL.halves() else { panic!() };
        assert_eq!((first.bounds().0, second.bounds().1), (Uuid::from_u128(1), Uuid::max()));
        assert_eq!(first.bounds().1, second.bounds().0);
        let id = Uuid::now_v7();
        let millis = (id.as_u128() >> 80) as u64;
        let slice = Slice { from: millis, to: millis + 1 };
        assert!(slice.bounds().0 <= id && id < slice.bounds().1);
        assert_eq!(slice.halves(), None);
    }
}
