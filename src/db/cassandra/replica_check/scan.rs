//! Reads the replicas of a part side by side, and repairs a part.

use std::sync::Arc;

use futures::future::try_join_all;
use futures::stream::TryStreamExt;
use scylla::client::pager::TypedRowStream;
use scylla::cluster::Node;
use scylla::deserialize::row::{ColumnIterator, DeserializeRow};
use scylla::deserialize::value::DeserializeValue;
use scylla::deserialize::{DeserializationError, TypeCheckError};
use scylla::frame::response::result::ColumnSpec;
use xxhash_rust::xxh3::Xxh3;

use super::digest::{Digest, Range};
use super::topology::Part;
use crate::db::cassandra::connection::Cluster;
use crate::db::cassandra::error::next_row;
use crate::db::storage::StorageError;

/// A row as it is compared: its token, and a hash of all values.
struct Row {
    token: i64,
    hash: u128,
}

impl<'frame, 'metadata> DeserializeRow<'frame, 'metadata> for Row {
    fn type_check(_: &[ColumnSpec<'_>]) -> Result<(), TypeCheckError> {
        Ok(())
    }

    fn deserialize(
        mut row: ColumnIterator<'frame, 'metadata>,
    ) -> Result<Self, DeserializationError> {
        let (mut token, mut hash) = (0, Xxh3::new());
        if let Some(first) = row.next().transpose()? {
            token = i64::deserialize(first.spec.typ(), first.slice)?;
        }
        for column in row {
            let value = column?.slice;
            // The length comes first: null has another one than the empty value.
            let length = value.map_or(-1, |value| value.as_slice().len() as i64);
            hash.update(&length.to_le_bytes());
            hash.update(value.map_or(&[], |value| value.as_slice()));
        }
        Ok(Self { token, hash: hash.digest128() })
    }
}

/// The replica of one node while it is read.
struct Replica {
    node: Arc<Node>,
    rows: TypedRowStream<Row>,
    next: Option<Row>,
    digest: Digest,
}

impl Replica {
    async fn open(cluster: &Cluster, part: &Part, node: &Arc<Node>) -> Result<Self, StorageError> {
        let (node, digest) = (Arc::clone(node), Digest::default());
        let rows = cluster.rows(&part.read_on(&node), (part.after, part.to)).await;
        let rows = rows.map_err(|e| on(&node, e))?;
        let mut replica = Self { node, rows, next: None, digest };
        replica.advance().await?;
        Ok(replica)
    }

    async fn advance(&mut self) -> Result<(), StorageError> {
        let next = self.rows.try_next().await.map_err(next_row);
        self.next = next.map_err(|e| on(&self.node, e))?;
        Ok(())
    }

    /// Adds all rows of a token to the digest.
    async fn take(&mut self, token: i64) -> Result<(), StorageError> {
        while let Some(row) = self.next.take_if(|row| row.token == token) {
            self.digest.add(row.hash);
            self.advance().await?;
        }
        Ok(())
    }
}

/// Digests of a part on each of its nodes, in ranges that end once they have `most` rows. A range ends
/// between two tokens, so that a partition is never split.
pub(super) async fn scan_part(
    cluster: &Cluster,
    part: &Part,
    most: u64,
) -> Result<Vec<Range>, StorageError> {
    let replicas = part.nodes.iter().map(|node| Replica::open(cluster, part, node));
    let mut replicas = try_join_all(replicas).await?;
    let (mut ranges, mut after) = (Vec::new(), part.after);
    while let Some(token) =
        replicas.iter().filter_map(|replica| Some(replica.next.as_ref()?.token)).min()
    {
        for replica in &mut replicas {
            replica.take(token).await?;
        }
        if replicas.iter().any(|replica| replica.digest.rows >= most) {
            ranges.push(cut(part, after, token, &mut replicas));
            after = token;
        }
    }
    if after < part.to {
        ranges.push(cut(part, after, part.to, &mut replicas));
    }
    Ok(ranges)
}

/// The range that was read; empties the digests for the next.
fn cut(part: &Part, after: i64, to: i64, replicas: &mut [Replica]) -> Range {
    let digests = replicas.iter_mut().map(|replica| std::mem::take(&mut replica.digest)).collect();
    Range { part: Part { after, to, ..part.clone() }, digests }
}

/// Reads a part at consistency ALL: Cassandra compares the replicas and, before it answers, writes
/// the youngest value of each cell to those that lack it (blocking read repair).
pub(super) async fn repair_range(cluster: &Cluster, part: &Part) -> Result<(), StorageError> {
    let mut rows = cluster.rows::<Row>(&part.read_on_all(), (part.after, part.to)).await?;
    while rows.try_next().await.map_err(next_row)?.is_some() {}
    Ok(())
}

fn on(node: &Node, error: StorageError) -> StorageError {
    let text = format!("the replica on {} cannot be read", node.address);
    StorageError::with_source(error.kind(), text, error)
}
