//! Parses the command line, runs the command, and gives its exit code.

use std::process::ExitCode;

use clap::Parser;
use storefront::cmd::{Cli, exit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sqlite_mimalloc::install().expect("nothing has used SQLite yet");
    match Cli::try_parse() {
        Ok(cli) => exit::of(cli.run()),
        Err(usage) => exit::usage(&usage),
    }
}
