//! Every setting, where it comes from and what it may be.
//!
//! A setting has one key, such as `listen`. Its value is taken from the flag (`--listen`), else the
//! environment (`STOREFRONT_LISTEN`, then any older name), else the file of `--config` (`listen =
//! "..."`), else its default. [`SettingsLoader`] does that and gathers what is wrong, so that all mistakes
//! are shown at once, before anything is opened. One file for each subsystem's settings.

pub mod database;
mod loader;
pub mod logs;
pub mod serve;
pub mod services;

pub use loader::{ConfigErrors, Flags, SettingsLoader, Sources};

/// Every setting. All commands read all of it, so that one file serves them all and a mistake in
/// it is found by the first.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which database.
    pub database: database::Database,
    /// How to log.
    pub logs: logs::Logs,
    /// The server.
    pub serve: serve::Serve,
}

impl Config {
    /// Reads every setting from its places.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn read(flags: Flags) -> Result<Self, ConfigErrors> {
        let mut loader = SettingsLoader::new(flags);
        let config = Self {
            database: database::Database::read(&mut loader),
            logs: logs::Logs::read(&mut loader),
            serve: serve::Serve::read(&mut loader),
        };
        loader.finish(config)
    }
}
