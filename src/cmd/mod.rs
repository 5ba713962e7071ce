//! The command line.
//!
//! In this module: one file or folder for each subcommand, with its arguments and `run`; the start of
//! every command ([`start`]: flags of the settings, log, runtime), signals ([`signals`]) and exit
//! codes ([`exit`]). Not here: what a setting is ([`crate::config`]), and all that a command calls.

mod activities;
mod audit;
mod bench;
pub mod exit;
mod lab;
mod migrate;
mod seed;
mod serve;
mod signals;
mod start;
mod worker;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::{Parser, Subcommand};

/// The back end of a game store on any database.
///
/// Without a command it serves: `storefront` alone makes ./data/storefront.db with a thousand demo
/// games and prints the address of a page to open.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

const AFTER_HELP: &str = "\
Settings may be given as a flag (--max-body 1000), in the environment (STOREFRONT_MAX_BODY=1000)
or in the TOML file of --config (max_body = 1000); precedence: flag, environment, file.

Examples:
  storefront                                   serve demo games on 127.0.0.1:3000
  storefront seed --rows 1000000               put a million games into the store
  storefront serve --listen 0.0.0.0:80 \\
    --database-url embedded:/var/lib/storefront/games.db
      on every interface; no route asks for authentication, so only behind a proxy that does
  storefront seed --rows 10000000 \\
    --database-url postgres://shop:secret@db.internal/shop";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the store (the default)
    Serve(serve::Args),
    /// Fill the store with generated games
    Seed(seed::Args),
    /// Bring the database's schema up to date
    Migrate(migrate::Args),
    /// Check that stock, credit and orders agree
    Audit(audit::Args),
    /// Apply queued activities, apart from the servers
    Worker(worker::Args),
    /// Show and retry messages of activities, and show their tables
    Activities(activities::Args),
    /// Load several databases side by side, live in the browser
    Lab(lab::Args),
    /// Measure databases in the terminal: a table, the highest rate, or a comparison
    Bench(bench::Args),
}

impl Cli {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// Whatever stopped it; [`exit::of`] gives the exit code.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command.unwrap_or(Command::Serve(self.serve)) {
            Command::Serve(args) => serve::run(&args),
            Command::Seed(args) => seed::run(&args),
            Command::Migrate(args) => migrate::run(&args),
            Command::Audit(args) => audit::run(&args),
            Command::Worker(args) => worker::run(&args),
            Command::Activities(args) => activities::run(&args),
            Command::Lab(args) => lab::run(&args),
            Command::Bench(args) => bench::run(&args),
        }
    }
}

/// An address that a browser can open: that of all interfaces as the loopback one.
fn openable(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    SocketAddr::new(host, address.port())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_valid() {
        Cli::command().debug_assert();
    }
}
