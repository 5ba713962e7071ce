//! The arguments of a bench, and the plan that they are.

use std::path::PathBuf;

use crate::cmd::lab::rate_scale;
use crate::cmd::start::Settings;
use crate::config::ConfigErrors;
use crate::lab::bench::database::BenchDatabase;
use crate::lab::bench::matrix::{loads, parse_intensities, parse_patterns};
use crate::lab::bench::objective::Objective;
use crate::lab::bench::run::{BenchSettings, Load};
use crate::lab::model::{Intensity, KeyDistribution, Pattern, StartingState};

const MATRIX_SECONDS: u16 = 10;
const PROBE_SECONDS: u16 = 5;
const MATRIX_PATTERNS: &str = "1-1,2-2,3-3";
const ONE_PATTERN: &str = "1-1";

/// Measure databases in the terminal: a table, the highest rate, or a comparison
///
/// Without --database it measures three embedded ones in a temporary folder, which stand for a server, a
/// server with a replica and a cluster. A database that is named gets a schema or keyspace of its own
/// (storefront_lab_N), which is dropped at the end; nothing else there is touched.
#[derive(Debug, clap::Args)]
pub(in crate::cmd) struct Args {
    /// A database to measure, under a name for the tables: NAME=URL, NAME=URL,REPLICA (a host, or host:port), or
    /// NAME=dry for the cost of the driver itself. May be repeated
    // Not parsed by clap, whose errors would show the password.
    #[arg(long = "database", value_name = "NAME=URL")]
    databases: Vec<String>,
    /// Measure every combination of patterns, intensities and databases (the default)
    #[arg(long, conflicts_with_all = ["knee", "compare"])]
    matrix: bool,
    /// Find the highest rate of each database that keeps the objective of --slo
    #[arg(long, requires = "slo", conflicts_with = "compare")]
    knee: bool,
    /// Objective of --knee: limits of mean, p50, p95, p99 and failed that reads and writes keep, such as
    /// 'p99<50ms,failed<1%'
    #[arg(long, value_name = "LIMITS", requires = "knee")]
    slo: Option<Objective>,
    /// Compare two databases in paired rounds
    #[arg(long, value_names = ["A", "B"], num_args = 2)]
    compare: Option<Vec<String>>,
    /// Pairs of runs of --compare, and of its calibration
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=1_000), requires = "compare")]
    rounds: u16,
    /// Patterns of reads and writes, such as 1-1,2-3, or all [default: 1-1,2-2,3-3; one, 1-1, with --knee and
    /// --compare]
    #[arg(long, value_name = "R-W,...", value_parser = patterns)]
    patterns: Option<Patterns>,
    /// Numbers of workers that offer the patterns, such as 1,3
    #[arg(long, value_name = "N,...", default_value = "1", value_parser = intensities)]
    intensities: Intensities,
    /// Length of a run in seconds [default: 10; 5 with --knee and --compare]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: Option<u16>,
    /// Factor of the patterns' rates; --knee begins at it
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = rate_scale)]
    rate_scale: f64,
    /// Which keys transactions draw: uniform, zipf:THETA, latest or hotspot:SHARE
    #[arg(long, value_name = "KEYS", default_value = "uniform")]
    keys: KeyDistribution,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Games in each database at the start
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    rows: u32,
    /// Transactions of one worker that may be under way at once; one that is due beyond that is not sent
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: u32,
    /// Write everything that was measured into a file of JSON
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write one line for each run, and its reads and writes, into a file of comma-separated values
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<PathBuf>,
    #[command(flatten)]
    pub(super) settings: Settings<false, false, false>,
}

/// What a bench is asked.
#[derive(Debug)]
pub(super) enum Question {
    Matrix,
    Knee(Objective),
    /// Indices of the databases.
    Compare {
        a: usize,
        b: usize,
        rounds: u16,
    },
}

/// Checked arguments.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) question: Question,
    /// Names of `--compare`.
    compared: Option<(String, String)>,
    pub(super) databases: Vec<BenchDatabase>,
    /// One, unless it is a matrix.
    pub(super) loads: Vec<Load>,
    pub(super) settings: BenchSettings,
}

// Types of their own: clap takes a `Vec` for a repeated argument.
#[derive(Debug, Clone)]
struct Patterns(Vec<(Pattern, Pattern)>);
#[derive(Debug, Clone)]
struct Intensities(Vec<Intensity>);

fn patterns(text: &str) -> Result<Patterns, String> {
    parse_patterns(text).map(Patterns)
}

fn intensities(text: &str) -> Result<Intensities, String> {
    parse_intensities(text).map(Intensities)
}

impl Args {
    /// The plan, whose databases may be none.
    pub(super) fn plan(&self) -> Result<Plan, ConfigErrors> {
        let mut errors = Vec::new();
        let mut databases: Vec<BenchDatabase> = Vec::new();
        for text in &self.databases {
            match BenchDatabase::parse(text) {
                Ok(new) if databases.iter().any(|known| known.name == new.name) => {
                    errors.push(format!("--database: two are named {}", new.name));
                }
                Ok(new) => databases.push(new),
                Err(why) => errors.push(format!("--database: {why}")),
            }
        }
        let loads = self.loads();
        if !self.is_matrix() && loads.len() != 1 {
            errors.push(
                "--knee and --compare measure one load: write one of --patterns and of --intensities"
                    .to_owned(),
            );
        }
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        let compared = self.compare.as_ref().map(|names| (names[0].clone(), names[1].clone()));
        let question = self.slo.clone().map_or(Question::Matrix, Question::Knee);
        let mut plan =
            Plan { question, compared, databases, loads, settings: self.bench_settings() };
        if plan.compared.is_some() {
            plan.question = Question::Compare { a: 0, b: 0, rounds: self.rounds };
        }
        Ok(plan)
    }

    fn is_matrix(&self) -> bool {
        !self.knee && self.compare.is_none()
    }

    fn loads(&self) -> Vec<Load> {
        let usual = if self.is_matrix() { MATRIX_PATTERNS } else { ONE_PATTERN };
        let usual = || parse_patterns(usual).unwrap_or_default();
        let patterns = self.patterns.as_ref().map_or_else(usual, |Patterns(all)| all.clone());
        loads(&patterns, &self.intensities.0, self.rate_scale)
    }

    fn bench_settings(&self) -> BenchSettings {
        let usual = if self.is_matrix() { MATRIX_SECONDS } else { PROBE_SECONDS };
        BenchSettings {
            rows: StartingState { games: self.rows, items: 1_000, users: 1_000, orders: 10_000 },
            seconds: self.seconds.unwrap_or(usual),
            keys: self.keys,
            seed: self.seed,
            max_in_flight: self.in_flight,
        }
    }
}

impl Plan {
    /// Finds the databases that are compared, now that all are known, and leaves the others out.
    pub(super) fn check(&mut self) -> Result<(), ConfigErrors> {
        let Some((a, b)) = &self.compared else { return Ok(()) };
        let Question::Compare { a: index_a, b: index_b, .. } = &mut self.question else {
            return Ok(());
        };
        let known: Vec<&str> = self.databases.iter().map(|one| one.name.as_str()).collect();
        let index = |name: &str| {
            known.iter().position(|one| *one == name).ok_or_else(|| {
                format!("--compare: no database is named {name}; there are {}", known.join(", "))
            })
        };
        let found = index(a).and_then(|a| Ok((a, index(b)?)));
        (*index_a, *index_b) = found.map_err(|why| ConfigErrors(vec![why]))?;
        if index_a == index_b {
            let why = "--compare: name two databases; each comparison begins with A and A anyway";
            return Err(ConfigErrors(vec![why.to_owned()]));
        }
        let compared = [*index_a, *index_b].map(|index| self.databases[index].clone());
        (*index_a, *index_b) = (0, 1);
        self.databases = compared.into();
        Ok(())
    }

    /// How many runs there will be; `None`: that is not known ahead.
    pub(super) fn runs(&self) -> Option<u64> {
        match &self.question {
            Question::Matrix => Some((self.loads.len() * self.databases.len()) as u64),
            Question::Knee(_) => None,
            Question::Compare { rounds, .. } => Some(u64::from(*rounds) * 4),
        }
    }
}
