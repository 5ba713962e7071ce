//! The generator alone: whether it or the store bounds a load.

use std::io::{self, Write};
use std::thread;
use std::time::Instant;

use storefront_seed::{Batches, Generator};

const BATCH: usize = 20_000;

/// Makes the games on all cores, drops them and prints the speed.
pub(super) fn generate(generator: Generator, rows: u64) -> io::Result<()> {
    let begun = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let range = 1..1 + rows.cast_signed();
    let (mut made, mut bytes) = (0, 0);
    for batch in Batches::new(generator, range, BATCH, threads) {
        made += batch.games.len();
        bytes += batch.games.iter().map(|game| game.description.len()).sum::<usize>();
    }
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(
        io::stdout(),
        "{made} games generated in {seconds:.1} s, {:.0} rows/s, {:.0} bytes of description each",
        made as f64 / seconds,
        bytes as f64 / made.max(1) as f64
    )
}
