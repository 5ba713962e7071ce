//! The progress of a load: a bar on a terminal, a line every few seconds elsewhere.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::telemetry::logs;

const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR: &str = "{bar:30} {percent:>3} % {human_pos}/{human_len} games, {per_sec}, {eta} left";

pub(super) struct Progress {
    bar: ProgressBar,
    lines: Option<Mutex<Lines>>,
}

struct Lines {
    begun: Instant,
    from: u64,
    rows: u64,
    next: Instant,
}

impl Progress {
    /// A load of `rows` games, of which `written` are stored already.
    pub(super) fn new(rows: u64, written: u64) -> Self {
        if !io::stderr().is_terminal() {
            let (begun, from) = (Instant::now(), written);
            let lines = Lines { begun, from, rows, next: begun + LINE_EVERY };
            return Self { bar: ProgressBar::hidden(), lines: Some(Mutex::new(lines)) };
        }
        let bar = ProgressBar::new(rows).with_position(written);
        // An invalid template shows the default bar.
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        bar.reset_eta();
        Self { bar, lines: None }
    }

    /// Sets how many are stored now.
    pub(super) fn stored(&self, written: u64) {
        self.bar.set_position(written);
        if let Some(Ok(mut lines)) = self.lines.as_ref().map(Mutex::lock) {
            lines.stored(written);
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Lines {
    fn stored(&mut self, written: u64) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + LINE_EVERY;
        let rate = (written - self.from) as f64 / (now - self.begun).as_secs_f64();
        logs::print(&format!(
            "{written} of {} games, {rate:.0} rows/s, {:.0} s left",
            self.rows,
            self.rows.saturating_sub(written) as f64 / rate.max(1.0)
        ));
    }
}
