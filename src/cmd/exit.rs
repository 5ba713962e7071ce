//! Exit codes: 0 done, 1 failed, 64 the command line or the configuration is wrong, 130
//! interrupted. (64 is EX_USAGE of sysexits.h.)

use std::process::ExitCode;

use crate::config::ConfigErrors;
use crate::telemetry::logs;

const USAGE: u8 = 64;
const INTERRUPTED: u8 = 130;

/// The work was stopped by a signal; the text says how to continue.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Interrupted(pub String);

/// Prints what went wrong, if anything did, on standard error, and waits a moment for the last lines
/// of the log.
#[must_use]
pub fn of(result: anyhow::Result<()>) -> ExitCode {
    let code = result.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS);
    logs::flush();
    code
}

fn failed(error: &anyhow::Error) -> ExitCode {
    if let Some(ConfigErrors(all)) = error.downcast_ref() {
        for error in all {
            logs::print(&format!("storefront: {error}"));
        }
        return ExitCode::from(USAGE);
    }
    logs::print(&format!("storefront: {}", one_sentence(error)));
    if error.is::<Interrupted>() { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
}

/// Prints clap's own message; help and version are no failures.
#[must_use]
pub fn usage(error: &clap::Error) -> ExitCode {
    let failed = error.use_stderr();
    // An error here is not reported: its only way is the stream that just failed.
    drop(error.print());
    if failed { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// The error and its causes, each said once: a message that holds its cause's words already is not
/// followed by them.
fn one_sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            let separator = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{separator}{cause}");
        }
    }
    text
}
