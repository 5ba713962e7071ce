//! Reads of messages, of the queue and of rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::cells::decode;
use super::index::{List, Listed};
use super::redo::Cells;
use super::store::Store;
use crate::activities::model::{ColumnType, MessageId, Name, Value};
use crate::db::cassandra::error::shape;
use crate::db::storage::{
    ErrorKind, Message, MessageState, QueueStatus, RejectionGroup, Rows, StorageError,
};

/// Up to so many queued messages are listed by the log, which has no others; more by the list of all.
const BY_LOG: usize = 10_000;
/// Messages that are read at once to fill a page.
const READ_AHEAD: usize = 100;

pub(super) struct Listing {
    store: Arc<Store>,
}

/// A page of messages that is being filled.
struct Page {
    state: Option<MessageState>,
    limit: usize,
    messages: Vec<Message>,
}

impl Listing {
    pub(super) fn new(store: &Arc<Store>) -> Self {
        Self { store: Arc::clone(store) }
    }

    pub(super) async fn queue_status(&self) -> Result<QueueStatus, StorageError> {
        // In this order: what ends meanwhile was queued before.
        let ended = self.store.worker_table.ended().await?;
        self.store.log.know(ended.position);
        let end = self.store.log.end(false).await?;
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        let messages = count(end.position - ended.count());
        let oldest = match messages {
            0 => None,
            _ => self.store.log.read(ended.position, 1).await?.first().map(|entry| age(entry.id)),
        };
        Ok(QueueStatus { messages, bytes: count(end.bytes - ended.bytes), oldest })
    }

    pub(super) async fn find(&self, id: MessageId) -> Result<Option<Message>, StorageError> {
        let found = self.store.messages.find(id, false).await?.filter(|row| row.exists());
        found.map(|row| row.message()).transpose()
    }

    pub(super) async fn body(&self, id: MessageId) -> Result<Option<Arc<str>>, StorageError> {
        let found = self.store.messages.find(id, false).await?.filter(|row| row.exists());
        Ok(found.and_then(|row| row.body).map(Arc::from))
    }

    pub(super) async fn list(
        &self,
        state: Option<MessageState>,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StorageError> {
        let mut page = Page { state, limit: limit as usize, messages: Vec::new() };
        if state == Some(MessageState::Queued)
            && let Some(queued) = self.queued(after).await?
        {
            self.fill(&mut page, &queued).await?;
            return Ok(page.messages);
        }
        let list = match state {
            Some(MessageState::Rejected) => List::Rejected,
            _ => List::All,
        };
        let mut walk = self.store.index.newest_first(list, after);
        while page.messages.len() < page.limit
            && let Some(listed) = walk.next().await?
        {
            let may_be = |listed: &&Listed| match state {
                Some(MessageState::Queued) => listed.state.is_none(),
                Some(MessageState::Applied) => listed.state.as_deref() == Some("applied"),
                _ => true,
            };
            let ids: Vec<_> = listed.iter().filter(may_be).map(|listed| listed.id).collect();
            self.fill(&mut page, &ids).await?;
        }
        Ok(page.messages)
    }

    /// Adds those that belong to the page, in their order.
    async fn fill(&self, page: &mut Page, ids: &[MessageId]) -> Result<(), StorageError> {
        for ids in ids.chunks(READ_AHEAD) {
            for row in self.store.messages.find_all(ids.iter().copied()).await? {
                let Some(row) = row.filter(|row| row.exists()) else { continue };
                let message = row.message()?;
                if page.messages.len() < page.limit
                    && page.state.is_none_or(|state| state == message.state)
                {
                    page.messages.push(message);
                }
            }
            if page.messages.len() >= page.limit {
                break;
            }
        }
        Ok(())
    }

    /// The queued messages, newest first; `None` if there are many.
    async fn queued(
        &self,
        after: Option<MessageId>,
    ) -> Result<Option<Vec<MessageId>>, StorageError> {
        let ended = self.store.worker_table.ended().await?;
        let entries = self.store.log.read(ended.position, BY_LOG + 1).await?;
        if entries.len() > BY_LOG {
            return Ok(None);
        }
        let queued = entries.into_iter().filter(|entry| !ended.contains(entry.position));
        let mut ids: Vec<_> = queued.map(|entry| entry.id).collect();
        ids.retain(|id| after.is_none_or(|after| *id < after));
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        Ok(Some(ids))
    }

    /// The rejected messages that were neither retried nor discarded, by their causes. The whole list is
    /// read for each page, because it is in the order of ids; what is kept of it is no more than a page.
    pub(super) async fn rejections(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<RejectionGroup>, StorageError> {
        let limit = limit as usize;
        let add = |groups: &mut Groups, listed: Vec<Listed>| {
            for listed in listed.into_iter().filter(is_open) {
                let cause = listed.cause.unwrap_or_default();
                if after.as_ref().is_none_or(|after| cause > *after) {
                    add_group(
                        groups,
                        limit,
                        RejectionGroup { cause, count: 1, example: listed.id },
                    );
                }
            }
        };
        let merge = |groups: &mut Groups, others: Groups| {
            others.into_values().for_each(|group| add_group(groups, limit, group));
        };
        let groups = self.store.index.sum(List::Rejected, add, merge).await?;
        Ok(groups.into_values().collect())
    }

    pub(super) async fn rejected_by(
        &self,
        cause: &str,
        limit: u32,
    ) -> Result<(Vec<MessageId>, u64), StorageError> {
        let limit = limit as usize;
        let of_cause = |listed: &Listed| is_open(listed) && listed.cause.as_deref() == Some(cause);
        let add = |(ids, count): &mut (Vec<MessageId>, u64), listed: Vec<Listed>| {
            for listed in listed.iter().filter(|listed| of_cause(listed)) {
                *count += 1;
                if ids.len() < limit {
                    ids.push(listed.id);
                }
            }
        };
        let merge = |(ids, count): &mut (Vec<MessageId>, u64), (others, more): (Vec<_>, u64)| {
            *count += more;
            let room = limit - ids.len();
            ids.extend(others.into_iter().take(room));
        };
        self.store.index.sum(List::Rejected, add, merge).await
    }

    pub(super) async fn rows(
        &self,
        table: &Name,
        after: Option<String>,
        limit: u32,
    ) -> Result<Option<Rows>, StorageError> {
        let Some(stored) = self.store.tables_table.find(table).await? else { return Ok(None) };
        let columns = stored.columns()?;
        let first = match after.map(|cursor| cursor.parse::<i64>()) {
            None => 0,
            Some(Ok(last)) => last.saturating_add(1).max(0),
            Some(Err(_)) => {
                return Err(StorageError::new(
                    ErrorKind::Invalid,
                    "the cursor is none of this list",
                ));
            }
        };
        let (range, limit) = (first..stored.next_row, limit as usize);
        let mut found = self.store.rows.page(stored.table_id, range, limit + 1).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|(row_id, _)| row_id.to_string());
        let rows = found.iter().map(|(_, cells)| values(&columns, cells));
        let rows = rows.collect::<Result<_, _>>()?;
        let columns = columns.into_iter().map(|(column, _)| column).collect();
        Ok(Some(Rows { columns, rows, next }))
    }
}

/// The first causes of a list, as many as a page has.
type Groups = BTreeMap<String, RejectionGroup>;

/// Adds to a group, or a further group, in the place of the last one if there are enough: one that is left
/// out once is behind a whole page, and stays there.
fn add_group(groups: &mut Groups, limit: usize, group: RejectionGroup) {
    if let Some(known) = groups.get_mut(&group.cause) {
        known.count += group.count;
        known.example = group.example;
        return;
    }
    if groups.len() >= limit {
        if groups.last_key_value().is_none_or(|(last, _)| *last < group.cause) {
            return;
        }
        groups.pop_last();
    }
    groups.insert(group.cause.clone(), group);
}

fn is_open(listed: &Listed) -> bool {
    listed.state.as_deref() == Some("rejected")
}

fn age(id: MessageId) -> Duration {
    let now = jiff::Timestamp::now().as_millisecond();
    Duration::from_millis(u64::try_from(now - id.made_at()).unwrap_or(0))
}

/// The values of a row in the order of the columns.
fn values(columns: &[(Name, ColumnType)], cells: &Cells) -> Result<Vec<Value>, StorageError> {
    let value = |(number, (_, column_type)): (i32, &(Name, ColumnType))| match cells.get(&number) {
        None => Ok(Value::Null),
        Some(text) => decode(text, *column_type).ok_or_else(|| shape("a value cannot be read")),
    };
    (0..).zip(columns).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_causes_are_counted_whatever_comes_between() {
        let mut groups = Groups::new();
        let causes = ["m", "z", "c", "z", "a", "m", "c", "b", "a", "z"];
        for cause in causes {
            let group =
                RejectionGroup { cause: cause.to_owned(), count: 1, example: MessageId::new() };
            add_group(&mut groups, 3, group);
        }
        let counts: Vec<_> =
            groups.values().map(|group| (group.cause.as_str(), group.count)).collect();
        assert_eq!(counts, [("a", 2), ("b", 1), ("c", 2)]);
    }
}
