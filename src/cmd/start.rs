//! The start of every command: the settings' flags, made from their declarations, the log and the
//! runtime.

use std::path::Path;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{Config, Flags, Setting};
use crate::telemetry::logs;

/// The flags of the settings of every command; if `SERVER` those of the server's settings too, if `WORKER`
/// those of activities, and without those of the database unless `DATABASE`.
///
/// Values stay text: clap would stop at the first wrong one.
#[derive(Debug)]
pub(super) struct Settings<
    const SERVER: bool,
    const WORKER: bool = SERVER,
    const DATABASE: bool = true,
>(Flags);

impl<const SERVER: bool, const WORKER: bool, const DATABASE: bool>
    Settings<SERVER, WORKER, DATABASE>
{
    /// Reads all settings from their sources, and starts the log.
    pub(super) fn start(&self) -> anyhow::Result<Config> {
        let config = Config::read(self.0.clone())?;
        logs::start(&config.logs).context("cannot start the log")?;
        // The earlier service read its settings from there.
        if Path::new(".env").exists() {
            tracing::warn!(
                "./.env is not read: set its variables in the environment, or use --config"
            );
        }
        Ok(config)
    }

    fn declared() -> impl Iterator<Item = &'static Setting> {
        let server = Config::SERVER.into_iter().filter(|_| SERVER);
        let worker = Config::WORKER.into_iter().filter(|_| WORKER);
        let common: &[&[Setting]] =
            if DATABASE { &Config::COMMON } else { &Config::WITHOUT_DATABASE };
        server.chain(worker).chain(common.iter().copied()).flatten()
    }
}

impl<const SERVER: bool, const WORKER: bool, const DATABASE: bool> clap::Args
    for Settings<SERVER, WORKER, DATABASE>
{
    fn augment_args(command: Command) -> Command {
        Self::declared().fold(command, |command, setting| command.arg(arg(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const SERVER: bool, const WORKER: bool, const DATABASE: bool> clap::FromArgMatches
    for Settings<SERVER, WORKER, DATABASE>
{
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |key| Some((key, matches.get_one::<String>(key)?.clone()));
        Ok(Self(Self::declared().filter_map(|setting| given(setting.key)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flags of the settings of every command, for a command that has commands of its own: they may stand
/// before and after those.
#[derive(Debug)]
pub(super) struct GlobalSettings(Settings<false>);

impl GlobalSettings {
    /// As [`Settings::start`].
    pub(super) fn start(&self) -> anyhow::Result<Config> {
        self.0.start()
    }
}

impl clap::Args for GlobalSettings {
    fn augment_args(command: Command) -> Command {
        let settings = Settings::<false>::declared();
        settings.fold(command, |command, setting| command.arg(arg(setting).global(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for GlobalSettings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Settings::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

fn arg(setting: &'static Setting) -> Arg {
    let Setting { key, value, default, help, .. } = setting;
    let is_switch = value.is_empty();
    let variables = setting.variables().join(", ");
    let mut help = format!("{help} [env: {variables}]");
    if !is_switch && !default.is_empty() {
        help.push_str(&format!(" [default: {default}]"));
    }
    // Leaked, because clap keeps names that live as long as the program; there are few.
    let flag: &str = key.replace('_', "-").leak();
    let arg = Arg::new(*key).long(flag).help(help).action(ArgAction::Set);
    if is_switch { arg.num_args(0).default_missing_value("true") } else { arg.value_name(*value) }
}

/// The runtime of a command. It has one thread more than there are processors, because a read of
/// the embedded store waits for the disk on the thread that it runs on.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread().worker_threads(processors + 1).enable_all().build()
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    #[test]
    fn flags_are_given_with_a_value_and_switches_without() {
        let command = Settings::<true>::augment_args(Command::new("storefront"));
        let words = ["storefront", "--demo", "--max-body", "many", "--log", "debug"];
        let Settings(flags) =
            Settings::<true>::from_arg_matches(&command.get_matches_from(words)).unwrap();
        let expected = [("demo", "true"), ("log", "debug"), ("max_body", "many")];
        assert_eq!(flags, expected.map(|(key, value)| (key, value.to_owned())).into());
    }
}
