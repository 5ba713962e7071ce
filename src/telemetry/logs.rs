//! The log on standard error: one event a line, for people or as JSON.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tracing_subscriber::filter::EnvFilter;

use super::log_writer::LogWriter;
use super::registry::Registry;
use crate::config::logs::{Format, Logs};

/// How long the end of the program waits for the last lines.
const FLUSH: Duration = Duration::from_secs(1);

/// The writer of the process, as the log is the process's.
static WRITER: OnceLock<Arc<LogWriter>> = OnceLock::new();

/// Starts logging for the rest of the process; a second call changes nothing.
///
/// # Errors
/// If no thread can be started.
pub fn start(logs: &Logs) -> io::Result<()> {
    let is_terminal = io::stderr().is_terminal();
    let writer = Arc::new(LogWriter::start(io::stderr())?);
    let builder = tracing_subscriber::fmt()
        .with_writer(Arc::clone(&writer))
        .with_env_filter(EnvFilter::new(&logs.log))
        .with_target(false)
        .log_internal_errors(false);
    let started = match logs.log_format {
        Format::Pretty => builder.with_ansi(is_terminal).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_ok() && WRITER.set(writer).is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

/// Adds the metric of lines that were lost.
pub fn register(registry: &Registry) {
    if let Some(writer) = WRITER.get() {
        let help = "Log lines lost, because nobody reads them or they cannot be written";
        registry.register("log_lines_dropped", help, writer.dropped());
    }
}

/// Prints a line on standard error behind what was logged. Where it cannot be written it is lost:
/// the stream that would tell is the one that failed.
pub fn print(line: &str) {
    let line = format!("{line}\n");
    drop(match WRITER.get() {
        Some(writer) => writer.as_ref().write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    });
}

/// Waits a second at most until everything that was logged is written.
pub fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush(FLUSH);
    }
}

/// In place of the standard library's hook, which writes to standard error itself: where nobody
/// reads that, the thread that panicked would wait for ever.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let message = panic.payload_as_str().unwrap_or("a value that is no text");
    let location = panic.location().map(ToString::to_string);
    // Captured only where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = captured.then(|| backtrace.to_string());
    tracing::error!(panic = message, thread = name, location, backtrace, "a thread panicked");
    // Its panic ends the program.
    if name == "main" {
        flush();
    }
}

const WINDOW: Duration = Duration::from_secs(1);
const LINES: u64 = 10;

/// Allows ten lines a second and counts the others.
#[derive(Debug, Default)]
pub struct LogRateLimiter(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    begun: Option<Instant>,
    lines: u64,
    suppressed: u64,
}

impl LogRateLimiter {
    /// If this line may be written, how many were suppressed since the last one that was.
    pub fn line(&self) -> Option<u64> {
        self.line_at(Instant::now())
    }

    fn line_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if window.begun.is_none_or(|begun| now.duration_since(begun) >= WINDOW) {
            (window.begun, window.lines) = (Some(now), 0);
        }
        window.lines += 1;
        if window.lines > LINES {
            window.suppressed += 1;
            return None;
        }
        Some(std::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_rate_are_suppressed_and_counted() {
        let (limiter, begun) = (LogRateLimiter::default(), Instant::now());
        let lines = (0..25).filter_map(|_| limiter.line_at(begun)).count();
        assert_eq!(lines, 10);
        assert_eq!(limiter.line_at(begun + WINDOW), Some(15));
        assert_eq!(limiter.line_at(begun + WINDOW), Some(0));
    }
}
