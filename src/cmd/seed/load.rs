//! Generating games on all cores while chunks of them are written.

use std::ops::Range;
use std::thread;

use futures::stream::{self, StreamExt, TryStreamExt};
use storefront_seed::{Batches, Generator};
use tokio::sync::mpsc;

use super::progress::Progress;
use crate::cmd::signals::Signals;
use crate::db::storage::{Chunk, Contents, Load, LoadStore, StorageError};
use crate::overview::model::{GameId, Overview};

/// Chunks that wait between the generator and the store.
const BUFFERED_CHUNKS: usize = 2;

/// How a load ended.
pub(super) enum Outcome {
    /// Every game is stored and the load is closed.
    Complete(Load),
    /// A signal came; what is stored is whole chunks.
    Stopped(Load),
}

/// Feeds one store.
pub(super) struct Loader<'a> {
    loads: &'a dyn LoadStore,
    generator: Generator,
    repeat_batch: bool,
}

impl<'a> Loader<'a> {
    pub(super) fn new(loads: &'a dyn LoadStore, generator: Generator, repeat_batch: bool) -> Self {
        Self { loads, generator, repeat_batch }
    }

    /// Loads what is pending, unless a signal comes. Ids that were taken are replaced by further
    /// ones, until the load has as many rows as it should.
    pub(super) async fn run(
        &self,
        mut load: Load,
        progress: &Progress,
        signals: Signals,
    ) -> Result<Outcome, StorageError> {
        let mut stop = Box::pin(signals.nth(1));
        loop {
            for range in std::mem::take(&mut load.pending) {
                if !self.range(&mut load, range, progress, &mut stop).await? {
                    return Ok(Outcome::Stopped(load));
                }
            }
            match load.rows.checked_sub(load.written) {
                None | Some(0) => break,
                Some(missing) => load.pending.push(self.loads.extend(&load, missing).await?),
            }
        }
        let finish = self.loads.finish(&load);
        if !self.loads.load_params().finish_may_be_dropped {
            finish.await?;
            return Ok(Outcome::Complete(load));
        }
        tokio::select! {
            finished = finish => finished.map(|()| Outcome::Complete(load)),
            () = &mut stop => self.stopped_at_the_end(load).await,
        }
    }

    /// The outcome of a load whose end was interrupted: it may have come just before.
    async fn stopped_at_the_end(&self, load: Load) -> Result<Outcome, StorageError> {
        match self.loads.contents().await? {
            Contents::Interrupted(open) if open.id == load.id => Ok(Outcome::Stopped(load)),
            _ => Ok(Outcome::Complete(load)),
        }
    }

    /// Whether the whole range was loaded.
    async fn range(
        &self,
        load: &mut Load,
        range: Range<i64>,
        progress: &Progress,
        stop: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<bool, StorageError> {
        let params = self.loads.load_params();
        let open = load.clone();
        let chunks = self.chunks(range, params.chunk);
        let mut stopped = false;
        let mut written =
            stream::unfold(chunks, async |mut chunks| Some((chunks.recv().await?, chunks)))
                .take_until(async {
                    stop.await;
                    stopped = true;
                })
                .map(|chunk| Ok(self.loads.write(&open, chunk)))
                .try_buffer_unordered(params.in_flight)
                .boxed_local();
        while let Some(rows) = written.try_next().await? {
            load.written += rows;
            progress.stored(load.written);
            tracing::debug!(rows, written = load.written, "chunk stored");
        }
        drop(written);
        Ok(!stopped)
    }

    fn chunks(&self, range: Range<i64>, size: usize) -> mpsc::Receiver<Chunk> {
        let (sender, receiver) = mpsc::channel(BUFFERED_CHUNKS);
        let (generator, repeat) = (self.generator, self.repeat_batch);
        thread::spawn(move || {
            let send = |chunk| sender.blocking_send(chunk).is_ok();
            if repeat {
                repeated(generator, range, size).all(send);
            } else {
                let threads = thread::available_parallelism().map_or(1, usize::from);
                Batches::new(generator, range, size, threads).map(Chunk::from).all(send);
            }
        });
        receiver
    }
}

/// The texts of the first chunk under every id.
fn repeated(generator: Generator, range: Range<i64>, size: usize) -> impl Iterator<Item = Chunk> {
    let first = Batches::new(generator, 1..1 + size as i64, size, 1).next();
    let games: Vec<Overview> = first.map(|batch| Chunk::from(batch).games).unwrap_or_default();
    range.clone().step_by(size).map(move |start| {
        let range = start..range.end.min(start + size as i64);
        let ids = range.clone().filter_map(|id| i32::try_from(id).ok()).map(GameId);
        let games =
            ids.zip(&games).map(|(game_id, game)| Overview { game_id, ..game.clone() }).collect();
        Chunk { range, games }
    })
}
