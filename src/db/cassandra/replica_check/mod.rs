//! Compares the replicas of every table, and repairs those that differ.
//!
//! In this module: what there is to compare ([`topology`]), whether a node reads its own replica
//! ([`snitch_check`]), reading replicas and repairing them ([`mod@scan`]), ranges with a digest per
//! replica ([`digest`]). A range counts as different only if it did not change between two scans,
//! because a write reaches the replicas one after the other. Not here: whether the data is right,
//! which is checked by [`super::inspection`] and [`super::cart`].

mod digest;
mod scan;
mod snitch_check;
mod topology;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};

use self::digest::{Comparison, Range};
use self::scan::{repair_range, scan_part};
use self::topology::{Part, Topology};
use super::connection::Cluster;
use super::retry::retry_transient;
use crate::db::storage::{ReplicaCheck, ReplicaReport, StorageError};

/// Rows after which a range ends.
const RANGE: u64 = 1_000;
/// Parts that are scanned at once, each on all its nodes.
const CONCURRENCY: usize = 4;
/// How often ranges that differ are scanned again, and the pause before, in which writes in progress
/// reach all replicas.
const RESCANS: usize = 5;
const RESCAN_DELAY: Duration = Duration::from_secs(1);
const LOG_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct CassandraReplicaCheck {
    cluster: Arc<Cluster>,
}

impl CassandraReplicaCheck {
    pub(super) fn new(cluster: &Arc<Cluster>) -> Self {
        Self { cluster: Arc::clone(cluster) }
    }

    /// The report, and the ranges that differ.
    async fn compare_ranges(&self) -> Result<(ReplicaReport, Vec<Range>), StorageError> {
        let topology = Topology::discover(&self.cluster).await?;
        let mut report =
            ReplicaReport { replicas: Some(topology.replicas()), ..ReplicaReport::default() };
        let mut differing = Vec::new();
        let parts = topology.parts();
        let mut progress = Progress::new("comparing replicas", parts.len());
        let scans = stream::iter(parts).map(|part| self.scan_part(part, RANGE));
        let mut scans = scans.buffer_unordered(CONCURRENCY);
        while let Some(ranges) = scans.try_next().await? {
            report.ranges += ranges.len() as u64;
            report.rows += ranges.iter().map(Range::rows).sum::<u64>();
            differing.extend(ranges.into_iter().filter(|range| !range.is_equal()));
            progress.increment();
        }
        let (mut different, unsettled) = self.settle(differing).await?;
        different.sort_by(|one, other| one.part.key().cmp(&other.part.key()));
        report.unsettled = unsettled;
        report.different = different.iter().map(Range::to_string).collect();
        Ok((report, different))
    }

    async fn scan_part(&self, part: Part, most: u64) -> Result<Vec<Range>, StorageError> {
        retry_transient(|| scan_part(&self.cluster, &part, most)).await
    }

    /// Scans the same ranges again; they stay in order.
    async fn rescan(&self, ranges: &[Range]) -> Result<Vec<Range>, StorageError> {
        let parts: Vec<_> = ranges.iter().map(|range| range.part.clone()).collect();
        let scans = stream::iter(parts).map(|part| self.scan_part(part, u64::MAX));
        let scanned: Vec<_> = scans.buffered(CONCURRENCY).try_collect().await?;
        Ok(scanned.into_iter().flatten().collect())
    }

    /// The ranges that differ and did not change between two scans, and the number of those that
    /// changed in every scan.
    async fn settle(&self, mut differing: Vec<Range>) -> Result<(Vec<Range>, u64), StorageError> {
        let mut different = Vec::new();
        for _ in 0..RESCANS {
            if differing.is_empty() {
                break;
            }
            tokio::time::sleep(RESCAN_DELAY).await;
            let now = self.rescan(&differing).await?;
            let mut changing = Vec::new();
            for (before, now) in differing.iter().zip(now) {
                match now.compare_with(before) {
                    Comparison::Equal => {}
                    Comparison::Different => different.push(now),
                    Comparison::Changing => changing.push(now),
                }
            }
            differing = changing;
        }
        Ok((different, differing.len() as u64))
    }

    async fn repair_ranges(&self, ranges: &[Range]) -> Result<(), StorageError> {
        let mut progress = Progress::new("repairing replicas", ranges.len());
        let parts: Vec<_> = ranges.iter().map(|range| range.part.clone()).collect();
        let repaired = stream::iter(parts).map(|part| async move {
            retry_transient(|| repair_range(&self.cluster, &part)).await
        });
        let mut repaired = repaired.buffer_unordered(CONCURRENCY);
        while repaired.try_next().await?.is_some() {
            progress.increment();
        }
        Ok(())
    }
}

#[async_trait]
impl ReplicaCheck for CassandraReplicaCheck {
    async fn compare(&self) -> Result<ReplicaReport, StorageError> {
        Ok(self.compare_ranges().await?.0)
    }

    async fn repair(&self) -> Result<ReplicaReport, StorageError> {
        let (mut report, different) = self.compare_ranges().await?;
        self.repair_ranges(&different).await?;
        let differing =
            self.rescan(&different).await?.into_iter().filter(|range| !range.is_equal());
        let (left, unsettled) = self.settle(differing.collect()).await?;
        let is_left = |range: &Range| left.iter().any(|other| other.part.key() == range.part.key());
        let repaired = different.iter().filter(|range| !is_left(range)).map(Range::to_string);
        report.repaired = Some(repaired.collect());
        report.different = left.iter().map(Range::to_string).collect();
        report.unsettled += unsettled;
        Ok(report)
    }
}

/// Logs the progress every few seconds.
struct Progress {
    what: &'static str,
    done: usize,
    of: usize,
    next: Instant,
}

impl Progress {
    fn new(what: &'static str, of: usize) -> Self {
        Self { what, done: 0, of, next: Instant::now() + LOG_INTERVAL }
    }

    fn increment(&mut self) {
        self.done += 1;
        if Instant::now() >= self.next {
            self.next = Instant::now() + LOG_INTERVAL;
            tracing::info!(done = self.done, of = self.of, "{}", self.what);
        }
    }
}
