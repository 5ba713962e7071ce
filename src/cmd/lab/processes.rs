//! Processes of this machine: which belong together, and pausing them.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// When a process was started, in ticks since the system was: with its id it names one process for ever.
pub(super) fn start_time(pid: i32) -> Option<u64> {
    field(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, 22)?.parse().ok()
}

/// A process and all that it has started, itself first.
pub(super) fn tree(root: i32) -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let stat = fs::read_to_string(entry.path().join("stat")).ok();
        let parent = stat.as_deref().and_then(|stat| field(stat, 4)?.parse().ok());
        if let (Some(pid), Some(parent)) = (pid, parent) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// A field of `/proc/PID/stat`, counted from 1; those before the command's name cannot be asked for. The name
/// may have spaces and parentheses.
fn field(stat: &str, number: usize) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

/// Processes that stand still until this is dropped.
pub(super) struct Paused(Vec<Pid>);

impl Paused {
    /// Stops them; one that has ended meanwhile is passed over.
    pub(super) fn of(processes: Vec<Pid>) -> Self {
        for pid in &processes {
            let _ = kill_process(*pid, Signal::STOP);
        }
        Self(processes)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // A process whose parent stands still cannot have been reaped, so that no id is another's by now;
        // the first one's parent is the system.
        for pid in self.0.iter().rev() {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn state(pid: Pid) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
        field(&stat, 3).unwrap().to_owned()
    }

    #[test]
    fn a_tree_stands_still_until_it_is_dropped() {
        let mut child = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let root = i32::try_from(child.id()).unwrap();
        let mut processes = tree(root);
        while processes.len() < 2 {
            processes = tree(root);
        }
        let sleeper = processes[1];
        let paused = Paused::of(processes.clone());
        for pid in &processes {
            while state(*pid) != "T" {}
        }
        drop(paused);
        while state(sleeper) == "T" {}
        assert!(start_time(root).is_some());
        let _ = kill_process(sleeper, Signal::KILL);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
