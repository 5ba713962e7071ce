//! Writing log lines without ever making a request wait for whoever reads them.
//!
//! Lines go through a bounded queue to a thread that writes them. When nobody reads the output (a
//! full pipe) the queue fills, and further lines are dropped; when the output fails (its reader is
//! gone, its disk is full) the line is dropped. Both are counted.
//!
//! Not `tracing-appender`: it does not count lines that failed, and its guard prints with `println!`
//! when the queue is full at the end, which waits for ever or panics in just that case.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

/// Lines that may wait; some megabytes.
const QUEUE: usize = 4_096;
/// Between two tries to put something into a full queue.
const RETRY: Duration = Duration::from_millis(10);

/// Never waits and never fails.
#[derive(Debug)]
pub(super) struct LogWriter {
    queue: SyncSender<Entry>,
    dropped: Counter,
}

enum Entry {
    Line(Vec<u8>),
    /// Answered when everything before it was written.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread that writes to `output`.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE);
        let dropped = Counter::default();
        let failed = dropped.clone();
        std::thread::Builder::new()
            .name("storefront-log".to_owned())
            .spawn(move || write_all(&entries, output, &failed))?;
        Ok(Self { queue, dropped })
    }

    /// Lines that were not written.
    pub(super) fn dropped(&self) -> Counter {
        self.dropped.clone()
    }

    /// Waits until what was logged so far is written, at most that long.
    pub(super) fn flush(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let (done, is_done) = sync_channel(1);
        while self.queue.try_send(Entry::Flush(done.clone())).is_err() {
            if Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(RETRY);
        }
        // Late or never: the lines are lost, but the program ends.
        let _ = is_done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Write for &LogWriter {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.dropped.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Goes on after a failed line: the output may work again, as when a disk gets space.
fn write_all(entries: &Receiver<Entry>, mut output: impl Write, failed: &Counter) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                if output.write_all(&line).is_err() {
                    failed.inc();
                }
            }
            Entry::Flush(done) => drop(done.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits in its first write until the test lets it go on, then fails once.
    struct Stuck {
        go_on: Receiver<()>,
        written: std::sync::mpsc::Sender<Vec<u8>>,
        failures: u32,
    }

    impl Write for Stuck {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.go_on.recv();
            if self.failures > 0 {
                self.failures -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.send(line.to_vec()).unwrap();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_dropped_and_counted_and_nobody_waits() {
        let (let_go, go_on) = std::sync::mpsc::channel();
        let (written, lines) = std::sync::mpsc::channel();
        let writer = LogWriter::start(Stuck { go_on, written, failures: 1 }).unwrap();
        // The thread has taken at most one of them out of the queue.
        for _ in 0..QUEUE + 10 {
            (&writer).write_all(b"line").unwrap();
        }
        let dropped = writer.dropped().get();
        assert!((9..=10).contains(&dropped), "{dropped}");
        writer.flush(Duration::from_millis(1));
        drop(let_go);
        writer.flush(Duration::from_secs(60));
        assert_eq!(writer.dropped().get(), dropped + 1, "the first write failed");
        assert_eq!(lines.try_iter().count() as u64, QUEUE as u64 + 10 - dropped - 1);
    }
}
