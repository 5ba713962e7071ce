//! The machine on which a run is measured, for its report.

use serde::Serialize;

/// What is known of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    cores: usize,
    /// `None` where the system does not tell.
    memory_bytes: Option<u64>,
    os: String,
}

/// This machine.
#[must_use]
pub fn describe() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let kilobytes = memory.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    let release = read("/proc/sys/kernel/osrelease");
    Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: kilobytes.map(|kilobytes| kilobytes * 1024),
        os: format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned(),
    }
}
