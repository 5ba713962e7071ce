//! The log on standard error: one event a line, for people or as JSON.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing_subscriber::filter::EnvFilter;

use crate::config::logs::{Format, Logs};

/// Starts logging for the rest of the process; a second call changes nothing.
pub fn start(logs: &Logs) {
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(EnvFilter::new(&logs.log))
        .with_target(false);
    let started = match logs.log_format {
        Format::Pretty => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    drop(started);
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
