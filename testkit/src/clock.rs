//! A program whose clock is wrong.

use std::path::PathBuf;
use std::process::Command;

/// Lets the command see a wall clock that is so many seconds ahead, or behind if negative. What
/// measures durations (the monotonic clock) is left as it is, as on a machine with a wrong clock.
///
/// The library is loaded into the program itself: the command `faketime` would be a process between
/// the test and the program, and signals would reach only that.
pub fn set_ahead(command: &mut Command, seconds: i64) {
    command.env("LD_PRELOAD", library());
    command.env("FAKETIME", format!("{seconds:+}s"));
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// Where Debian's package has it; the folder is named after the machine.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("the folder of libraries");
    let mut paths = folders.flatten().map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    paths.find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "there is no libfaketimeMT.so.1: install the package faketime, or run `scripts/test`"
        )
    })
}
