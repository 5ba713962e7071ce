//! What one step of the worker writes, as it is recorded before any of it is written.
//!
//! The record has everything: no part of it depends on what is stored when it is carried out, so it may
//! be carried out any number of times, by any worker, of this version or another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::activities::model::{MessageId, Rejection};

/// The values of a row as text, by the number of the column.
pub(super) type Cells = BTreeMap<i32, String>;

/// The effects of a group of messages: what each step of the worker writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Redo {
    /// The messages that end, in the order of the queue.
    pub(super) ended: Vec<Ended>,
    /// The rows that are added.
    pub(super) inserts: Vec<NewRow>,
    /// The numbers of the rows that are removed, by the id of their table; none is in `inserts`.
    pub(super) deletes: BTreeMap<i64, Vec<i64>>,
    /// The tables that change, as they are afterwards.
    pub(super) tables: Vec<StoredTable>,
    /// The names that have no table afterwards and had one before.
    pub(super) removed_names: Vec<String>,
    /// The tables whose rows are all removed: id and the number after the last row.
    pub(super) dropped: Vec<(i64, i64)>,
}

/// A message that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) position: i64,
    #[serde(with = "message_id")]
    pub(super) id: MessageId,
    /// Bytes of its text.
    pub(super) length: i64,
    /// In milliseconds since 1970.
    pub(super) ended_at: i64,
    pub(super) outcome: Outcome,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Applied,
    Rejected { error: String, activity: Option<u32>, cause: String },
}

/// A row that is added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NewRow {
    pub(super) table_id: i64,
    pub(super) row_id: i64,
    pub(super) cells: Cells,
}

/// A table as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTable {
    pub(super) name: String,
    pub(super) table_id: i64,
    pub(super) columns: Vec<String>,
    /// In canonical form.
    pub(super) types: Vec<String>,
    pub(super) row_count: i64,
    pub(super) next_row: i64,
    /// In milliseconds since 1970.
    pub(super) last_applied_at: i64,
}

impl From<&Rejection> for Outcome {
    fn from(rejection: &Rejection) -> Self {
        let (error, activity) = (rejection.error.clone(), rejection.activity);
        Self::Rejected { error, activity, cause: rejection.cause() }
    }
}

mod message_id {
    use super::{MessageId, Uuid};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(id: &MessageId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MessageId, D::Error> {
        let text = String::deserialize(from)?;
        Uuid::try_parse(&text).map(MessageId).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let rejected =
            Outcome::Rejected { error: "no".to_owned(), activity: Some(2), cause: "c".to_owned() };
        let ended = |position, outcome| Ended {
            position,
            id: MessageId::new(),
            length: 10,
            ended_at: 5,
            outcome,
        };
        let cells = Cells::from([(0, "1".to_owned()), (7, String::new())]);
        let redo = Redo {
            ended: vec![ended(1, Outcome::Applied), ended(2, rejected)],
            inserts: vec![NewRow { table_id: 1, row_id: 2, cells }],
            deletes: BTreeMap::from([(1, vec![3, 4])]),
            tables: vec![],
            removed_names: vec!["'\"\n".to_owned()],
            dropped: vec![(5, 6)],
        };
        let text = serde_json::to_string(&redo).unwrap();
        assert_eq!(serde_json::from_str::<Redo>(&text).unwrap(), redo);
    }
}
