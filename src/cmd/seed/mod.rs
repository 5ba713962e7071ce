//! `storefront seed`: filling the store with generated games.
//!
//! In this module: the arguments, what to do with a store that is not empty, and the summary. The
//! loading itself is in [`load`], its progress in [`progress`], the demo data in [`mod@demo`].

mod demo;
mod dry_run;
mod load;
mod progress;

use std::io::{self, Write};
use std::time::Instant;

use anyhow::bail;
use storefront_seed::Generator;

use self::demo::DEFAULT_SEED;
pub(super) use self::demo::demo;
use self::load::{Loader, Outcome};
use self::progress::Progress;
use super::exit::Interrupted;
use super::signals::Signals;
use super::start::{Settings, runtime};
use crate::config::Config;
use crate::db::storage::{Begin, Contents, Load, LoadMode, LoadStore, NewLoad};
use crate::db::{self, MigrationPolicy};
use crate::telemetry::Registry;

const DEFAULT_ROWS: u64 = 1_000_000;

/// Fill the store with generated games
///
/// Game N depends on the seed and N alone. After Ctrl-C or a crash --resume continues to the same
/// result. Demo games are replaced; other games only with --reset.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Games to put into the store [default: 1000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=2_147_483_647))]
    rows: Option<u64>,
    /// Seed of the generator [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep existing games and add these
    #[arg(long, conflicts_with_all = ["reset", "resume"])]
    append: bool,
    /// Continue the load that was interrupted
    #[arg(long, conflicts_with = "reset")]
    resume: bool,
    /// Remove every game first
    #[arg(long)]
    reset: bool,
    /// Afterwards read every game and print the checksum of all
    #[arg(long)]
    checksum: bool,
    /// Generate only, store nothing: the generator's own speed
    #[arg(long, hide = true)]
    dry_run: bool,
    /// Generate one batch and store its texts under every id: the writer's own speed
    #[arg(long, hide = true, conflicts_with_all = ["dry_run", "resume"])]
    repeat_batch: bool,
    #[command(flatten)]
    settings: Settings<false>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.settings.start()?;
    if args.dry_run {
        let generator = Generator::new(args.seed.unwrap_or(DEFAULT_SEED));
        return Ok(dry_run::generate(generator, args.rows.unwrap_or(DEFAULT_ROWS))?);
    }
    runtime()?.block_on(seed(args, &config))
}

async fn seed(args: &Args, config: &Config) -> anyhow::Result<()> {
    let stores =
        db::connect(&config.database, MigrationPolicy::Migrate, &Registry::default()).await?;
    let loads = stores.loads.as_ref();
    let load = args.open(loads).await?;
    let signals = Signals::watch()?;
    let (begun, before) = (Instant::now(), load.written);
    let progress = Progress::new(load.rows, load.written);
    let loader = Loader::new(loads, Generator::new(load.seed), args.repeat_batch);
    let outcome = tokio::select! {
        outcome = loader.run(load, &progress, signals.clone()) => outcome?,
        () = signals.clone().nth(2) => bail!(Interrupted(
            "stopped at once; `storefront seed --resume` goes on".to_owned()
        )),
    };
    progress.finish();
    match outcome {
        Outcome::Complete(load) => {
            let (rows, seconds) = (load.written - before, begun.elapsed().as_secs_f64());
            writeln!(
                io::stdout(),
                "{rows} games in {seconds:.1} s, {:.0} rows/s; the store takes up {} bytes",
                rows as f64 / seconds,
                stores.inspection.bytes().await?
            )?;
        }
        Outcome::Stopped(load) => {
            bail!(Interrupted(format!(
                "stopped: {} of {} games are stored; `storefront seed --resume` goes on",
                load.written, load.rows
            )))
        }
    }
    if args.checksum {
        let digest = tokio::select! {
            digest = stores.inspection.digest() => digest?,
            () = signals.nth(1) => {
                bail!(Interrupted("stopped; every game is stored, the checksum is not made".to_owned()))
            }
        };
        writeln!(io::stdout(), "checksum {digest} of {} games", digest.rows)?;
    }
    Ok(())
}

impl Args {
    /// The load to work on: a new one, or the interrupted one.
    async fn open(&self, loads: &dyn LoadStore) -> anyhow::Result<Load> {
        if self.resume {
            return self.interrupted(loads).await;
        }
        let mode = match (self.append, self.reset) {
            (true, _) => LoadMode::Append,
            (_, true) => LoadMode::Reset,
            _ => LoadMode::Fresh,
        };
        let (seed, rows) = (self.seed.unwrap_or(DEFAULT_SEED), self.rows.unwrap_or(DEFAULT_ROWS));
        match loads.begin(NewLoad { seed, rows, mode }).await? {
            Begin::Started(load) => Ok(load),
            Begin::NotEmpty => bail!(
                "the store has games already: --append keeps them and adds {rows}, --reset removes \
                 them first"
            ),
            Begin::Interrupted(load) => bail!(
                "a load of {} games has stopped after {}, or is still running elsewhere: --resume \
                 goes on with it, --reset removes everything first",
                load.rows,
                load.written
            ),
            Begin::Exhausted => bail!("fewer than {rows} ids are left; use a smaller --rows"),
        }
    }

    async fn interrupted(&self, loads: &dyn LoadStore) -> anyhow::Result<Load> {
        let Contents::Interrupted(load) = loads.contents().await? else {
            bail!("there is no interrupted load to resume")
        };
        if self.rows.is_some_and(|rows| rows != load.rows) {
            bail!("the interrupted load is of {} games; leave --rows out", load.rows)
        }
        if self.seed.is_some_and(|seed| seed != load.seed) {
            bail!("the interrupted load has seed {}; leave --seed out", load.seed)
        }
        Ok(load)
    }
}
