//! Assigns ids to creates without an id, in batches.
//!
//! One task takes ids from the counter for all creates that wait, in one LWT. A quiet store has
//! consecutive ids, a busy one needs one LWT in place of dozens that would contend, and no id is
//! taken before a create needs it. Ids that clients choose do not pass here.

use std::ops::Range;
use std::sync::Arc;

use super::id_claims::{ClaimTtl, IdClaims};
use crate::db::cassandra::metadata::MetadataTable;
use crate::db::common::batcher::{Batches, Pending, Queue, queue};
use crate::db::storage::{ActContext, ErrorKind, StorageError};
use crate::telemetry::Registry;

/// Creates that may wait; more are refused at once, before memory grows.
const QUEUE: usize = 4_096;
/// Ids taken at once, at most.
const BATCH: usize = 1_000;

type Request = Pending<(), Option<i32>>;

pub(super) struct IdBatcher {
    queue: Queue<Request>,
}

impl IdBatcher {
    /// Starts the task; it ends when this value is dropped.
    pub(super) fn start(
        metadata: Arc<MetadataTable>,
        claims: Arc<IdClaims>,
        registry: &Registry,
    ) -> Self {
        let (queue, mut batches) = queue(QUEUE);
        let work = async move || run(&metadata, &claims, &mut batches).await;
        tokio::spawn(registry.supervisor().supervise("ids of games", work));
        Self { queue }
    }

    /// The next id, or `None` when there is none left. After the deadline none is assigned.
    pub(super) async fn next(&self, context: ActContext) -> Result<Option<i32>, StorageError> {
        self.queue.submit(context, ()).await
    }
}

async fn run(metadata: &MetadataTable, claims: &IdClaims, batches: &mut Batches<Request>) {
    while let Some(batch) = batches.next(BATCH).await {
        match reserve(metadata, claims, batch.len() as i64).await {
            // An id whose create has gone is lost: ids are never assigned twice.
            Ok(mut ids) => batch.into_iter().for_each(|request| {
                request.answer(Ok(ids.next().and_then(|id| id.try_into().ok())));
            }),
            Err(error) => {
                batch.into_iter().for_each(|request| request.answer(Err(error.shared())));
            }
        }
    }
}

async fn reserve(
    metadata: &MetadataTable,
    claims: &IdClaims,
    count: i64,
) -> Result<Range<i64>, StorageError> {
    let ids = match metadata.take(count).await {
        // The outcome is unknown. If ids were taken they are lost; the next try takes others.
        Err(error) if error.kind() == ErrorKind::Timeout => metadata.take(count).await?,
        ids => ids?,
    };
    // Claimed before any create uses them, as ids that clients choose.
    claims.claim(ids.clone(), ClaimTtl::OneHour).await?;
    Ok(ids)
}
