//! Every setting: its sources, its default and the values that it may have.
//!
//! In this module: one file for each subsystem's settings. Each setting is declared once, by
//! [`setting`]'s macro; flag, variable, key, default, help and the docs' line are made from that.
//! [`SettingsLoader`] takes a value from the flag (`--listen`), else the environment
//! (`STOREFRONT_LISTEN`, then any older name), else the file of `--config` (`listen = "..."`), else
//! its default, and gathers what is wrong, so that all of it is shown at once before a port opens.
//! Not here: clap, which is in [`crate::cmd`].

pub mod activities;
pub mod database;
mod loader;
pub mod logs;
pub mod queue;
pub mod serve;
pub mod services;
mod setting;

pub use loader::{ConfigErrors, Flags, SettingsLoader, Sources};
pub use setting::Setting;

/// Every setting. All commands read all of it, so that one file serves them all and what is wrong
/// in it is found by the first.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which database.
    pub database: database::Database,
    /// How to log.
    pub logs: logs::Logs,
    /// The server.
    pub serve: serve::Serve,
    /// The server's limits.
    pub limits: serve::Limits,
    /// Activities.
    pub activities: activities::Activities,
}

impl Config {
    /// The settings that every command has flags for that opens the database.
    pub const COMMON: [&[Setting]; 3] =
        [&[loader::CONFIG], database::Given::SETTINGS, logs::Logs::SETTINGS];
    /// The same for a command that does not open one database of the settings.
    pub const WITHOUT_DATABASE: [&[Setting]; 2] = [&[loader::CONFIG], logs::Logs::SETTINGS];
    /// Those that only `serve` has flags for.
    pub const SERVER: [&[Setting]; 3] = [
        serve::Serve::SETTINGS,
        serve::Limits::SETTINGS,
        database::postgres_limits::PostgresLimits::SETTINGS,
    ];

    /// Those that `serve` and `worker` have flags for.
    pub const WORKER: [&[Setting]; 1] = [activities::Activities::SETTINGS];

    /// Reads every setting.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(flags: Flags) -> Result<Self, ConfigErrors> {
        let mut loader = SettingsLoader::new(flags);
        let config = Self {
            database: database::Database::read(&mut loader),
            logs: logs::Logs::read(&mut loader),
            serve: serve::Serve::read(&mut loader),
            limits: serve::Limits::read(&mut loader),
            activities: activities::Activities::read(&mut loader),
        };
        loader.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = include_str!("../../docs/operations.md");

    /// On a difference copy the lines of the message there.
    #[test]
    fn the_docs_list_every_setting_as_it_is_declared() {
        // The line of `--config` is written by hand: its value is no key of the file.
        let tables = [&Config::COMMON[1..], &Config::SERVER, &Config::WORKER].map(|settings| {
            let rows = settings.iter().copied().flatten().map(Setting::table_row);
            format!("\n{}\n\n", rows.collect::<Vec<_>>().join("\n"))
        });
        let missing: String = tables.into_iter().filter(|table| !DOCS.contains(table)).collect();
        assert!(missing.is_empty(), "docs/operations.md must list:{missing}");
    }
}
