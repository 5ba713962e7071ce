//! The progress of a bench: a bar on a terminal, a line for each run elsewhere.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::table::{load, millis};
use crate::lab::bench::run::{Event, Row};
use crate::telemetry::logs;

const BAR: &str = "{bar:30} {percent:>3} % {msg}, {eta} left";
/// Where the number of runs is not known.
const SPINNER: &str = "{spinner} {elapsed} {msg}";
const REDRAW: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    runs: Option<u64>,
    seconds: u64,
    ended: AtomicU64,
}

impl Progress {
    /// Of so many runs, each of that length; `None`: their number is not known.
    pub(super) fn new(runs: Option<u64>, seconds: u16) -> Self {
        let (is_terminal, seconds) = (io::stderr().is_terminal(), u64::from(seconds));
        let bar = match runs {
            _ if !is_terminal => ProgressBar::hidden(),
            Some(runs) => ProgressBar::new(runs * seconds),
            None => ProgressBar::new_spinner(),
        };
        // An invalid template shows the default bar.
        if let Ok(style) = ProgressStyle::with_template(if runs.is_some() { BAR } else { SPINNER })
        {
            bar.set_style(style);
        }
        if is_terminal {
            bar.enable_steady_tick(REDRAW);
        }
        Self { bar, is_terminal, runs, seconds, ended: AtomicU64::new(0) }
    }

    /// Says what is done before the first run.
    pub(super) fn say(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        if !self.is_terminal {
            logs::print(text);
        }
    }

    pub(super) fn on(&self, event: Event<'_>) {
        match event {
            Event::Begins(database, offered, _) => {
                if self.ended.load(Ordering::Relaxed) == 0 {
                    self.bar.reset_eta();
                }
                self.bar.set_message(format!("{database} {}", load(&offered)));
            }
            Event::Second => self.bar.inc(1),
            Event::Ended(row) => self.ended(row),
        }
    }

    fn ended(&self, row: &Row) {
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        // A run that has failed has no seconds.
        self.bar.set_position(ended * self.seconds);
        if !self.is_terminal {
            let of = self.runs.map_or_else(String::new, |runs| format!("/{runs}"));
            logs::print(&format!("{ended}{of} {}", line(row)));
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(row: &Row) -> String {
    let measured = &row.measured;
    let ok = measured.read.ok_per_second + measured.write.ok_per_second;
    let why =
        measured.invalid.as_ref().map_or_else(String::new, |why| format!("; not valid: {why}"));
    format!(
        "{} {}: {ok:.0} ok/s, p99 of reads {} ms, of writes {} ms{why}",
        row.database,
        load(&row.load),
        millis(measured.read.p99),
        millis(measured.write.p99),
    )
}
