//! `storefront bench`: measuring databases in the terminal and in CI.
//!
//! In this module: the bench from its databases to its exit code; its arguments are in [`args`], progress in
//! [`progress`], what is printed in [`mod@print`] by way of [`table`], and the files in [`files`]. Not here: what
//! is measured, and how ([`crate::lab::bench`]).

mod args;
mod files;
mod print;
mod progress;
mod stand_ins;
mod table;

use anyhow::{Context, bail};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub(super) use self::args::Args;
use self::args::{Plan, Question};
use self::files::Files;
use self::progress::Progress;
use self::stand_ins::StandInFolder;
use super::exit::Interrupted;
use super::signals::Signals;
use super::start::runtime;
use crate::lab::bench::compare::{self, Comparison, Finding};
use crate::lab::bench::database::{Generations, Prepared};
use crate::lab::bench::knee::{self, Knee};
use crate::lab::bench::matrix;
use crate::lab::bench::objective::Objective;
use crate::lab::bench::run::{Bench, Row};

/// How long tasks of the databases may go on after the end.
const LAST_TASKS: std::time::Duration = std::time::Duration::from_secs(5);

/// What a bench has found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Matrix(Vec<Row>),
    Knee { objective: Objective, databases: Vec<Knee> },
    Compare(Comparison),
}

impl Outcome {
    /// Every run, in order.
    fn rows(&self) -> Vec<&Row> {
        match self {
            Self::Matrix(rows) => rows.iter().collect(),
            Self::Knee { databases, .. } => {
                let probes = databases.iter().flat_map(|knee| &knee.probes);
                probes.map(|probe| &probe.row).collect()
            }
            Self::Compare(comparison) => comparison.rows().collect(),
        }
    }

    /// Why the exit code says that it failed.
    fn failure(&self) -> Option<String> {
        match self {
            Self::Matrix(rows) => {
                let invalid = rows.iter().filter(|row| row.measured.invalid.is_some()).count();
                (invalid > 0).then(|| format!("{invalid} of {} runs are not valid", rows.len()))
            }
            Self::Knee { databases, objective } => {
                let none = databases.iter().find(|knee| knee.holds.is_none())?;
                Some(format!("{}: no rate was found that holds {objective}", none.database))
            }
            Self::Compare(comparison) => {
                let is_bad = |finding| matches!(finding, Finding::NotCalibrated | Finding::TooFew);
                let bad = comparison.metrics.iter().filter(|metric| is_bad(metric.finding)).count();
                let all = comparison.metrics.len();
                (bad > 0).then(|| format!("{bad} of {all} comparisons cannot be used"))
            }
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    args.settings.start()?;
    let (folder, plan) = plan(args)?;
    let files = Files::create(args.json.as_deref(), args.csv.as_deref())?;
    let runtime = runtime()?;
    let result = runtime.block_on(until_stopped(&plan, files));
    runtime.shutdown_timeout(LAST_TASKS);
    // The last, so that nothing writes into it any more.
    drop(folder);
    result
}

/// The plan of the arguments, with stand-ins in a folder of their own where no database is named.
fn plan(args: &Args) -> anyhow::Result<(Option<StandInFolder>, Plan)> {
    let mut plan = args.plan()?;
    let mut folder = None;
    if plan.databases.is_empty() {
        let created = StandInFolder::create()?;
        plan.databases = created.databases();
        folder = Some(created);
    }
    plan.check()?;
    Ok((folder, plan))
}

async fn until_stopped(plan: &Plan, files: Files) -> anyhow::Result<()> {
    let (signals, stop) = (Signals::watch()?, CancellationToken::new());
    let first = signals.clone().nth(1);
    let cancel = stop.clone();
    tokio::spawn(async move {
        first.await;
        cancel.cancel();
    });
    tokio::select! {
        result = bench(plan, files, &stop) => result,
        () = signals.nth(2) => bail!(Interrupted(
            "stopped at once; a schema, keyspace or folder storefront_lab_<n> may be left in each database"
                .to_owned()
        )),
    }
}

async fn bench(plan: &Plan, files: Files, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut generations = Generations::default();
    let result = prepare_and_measure(plan, files, stop, &mut generations).await;
    let removed = generations.remove().await.map_err(|left| anyhow::anyhow!(left.join("; ")));
    result?;
    removed
}

async fn prepare_and_measure(
    plan: &Plan,
    files: Files,
    stop: &CancellationToken,
    generations: &mut Generations,
) -> anyhow::Result<()> {
    let progress = Progress::new(plan.runs(), plan.settings.seconds);
    let mut databases = Vec::new();
    for database in &plan.databases {
        if stop.is_cancelled() {
            progress.finish();
            bail!(Interrupted("stopped; nothing is measured".to_owned()));
        }
        progress.say(&format!("{}: creating and filling a database", database.name));
        let prepared = generations.prepare(database, &plan.settings.rows).await;
        databases.push(prepared.with_context(|| format!("{} cannot be prepared", database.name))?);
    }
    let outcome = measure(plan, &databases, stop, &progress).await;
    progress.finish();
    print::outcome(&outcome, &databases, plan)?;
    files.write(&outcome, &databases, plan)?;
    if stop.is_cancelled() {
        let runs = outcome.rows().len();
        bail!(Interrupted(format!("stopped; {runs} runs are measured")));
    }
    outcome.failure().map_or(Ok(()), |why| bail!(why))
}

async fn measure(
    plan: &Plan,
    databases: &[Prepared],
    stop: &CancellationToken,
    progress: &Progress,
) -> Outcome {
    let observer = |event: crate::lab::bench::run::Event<'_>| progress.on(event);
    let bench = Bench { settings: &plan.settings, stop: stop.clone(), observer: &observer };
    match &plan.question {
        Question::Matrix => Outcome::Matrix(matrix::run(&bench, databases, &plan.loads).await),
        Question::Knee(objective) => {
            let mut found = Vec::new();
            for database in databases {
                if !bench.is_stopped() {
                    found.push(knee::find(&bench, database, plan.loads[0], objective).await);
                }
            }
            Outcome::Knee { objective: objective.clone(), databases: found }
        }
        Question::Compare { a, b, rounds } => {
            let pair = [&databases[*a], &databases[*b]];
            Outcome::Compare(compare::run(&bench, pair, plan.loads[0], *rounds).await)
        }
    }
}
