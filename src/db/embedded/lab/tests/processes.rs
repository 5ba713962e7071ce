//! Several processes on one file. Each of these tests starts its own binary again as the other processes.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::db::storage::ErrorKind;

/// Names the folder of the file, in a process that a test has started.
const FOLDER: &str = "STOREFRONT_LAB_TEST_FOLDER";
const PROCESSES: usize = 2;
/// Tasks of one process, each with connections of its own.
const TASKS: usize = 2;
/// Leases that each task gets: 1,000 together.
const LEASES: usize = 250;
const SHORT: Duration = Duration::from_millis(5);

/// Starts the test of that name in another process.
fn start(test: &str, folder: &Path) -> Child {
    let module = module_path!().split_once("::").unwrap().1;
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{test}"), "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn folder_of_parent() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// A time during which a server was used: by a lease, or by a reset. It begins when that is known, and ends
/// before anything is done to end it: two of one server that overlap are a mistake of the store, whatever
/// the order in which answers arrive.
#[derive(Debug)]
struct Use {
    server: String,
    from: i64,
    to: i64,
    kind: String,
    generation: u32,
}

fn line(server: &str, from: Timestamp, to: Timestamp, kind: &str, generation: u32) -> String {
    let (from, to) = (from.as_nanosecond(), to.as_nanosecond());
    format!("use {server} {from} {to} {kind} {generation}\n")
}

fn parse(line: &str) -> Option<Use> {
    let fields: Vec<_> = line.strip_prefix("use ")?.split(' ').collect();
    Some(Use {
        server: fields[0].to_owned(),
        from: fields[1].parse().unwrap(),
        to: fields[2].parse().unwrap(),
        kind: fields[3].to_owned(),
        generation: fields[4].parse().unwrap(),
    })
}

/// Gets leases and gives them back, or lets them expire; resets what others gave back.
async fn contend(folder: PathBuf, task: usize) -> String {
    let lab = lab(&folder).await;
    let wanted = [
        vec![(SINGLE, size(1))],
        vec![(SINGLE, size(2))],
        vec![(REPLICATED, size(1)), (SINGLE, size(1))],
        vec![(SINGLE, size(2)), (REPLICATED, size(1))],
    ];
    let owner = Uuid::now_v7();
    let (mut log, mut leases, mut round) = (String::new(), 0, task);
    while leases < LEASES {
        round += 1;
        // Some last until they are released, others expire.
        let duration = if round.is_multiple_of(3) { SHORT } else { MINUTE };
        let outcome = lab.lease(&wanted[round % 4], duration, Timestamp::now()).await.unwrap();
        let from = Timestamp::now();
        if let LeaseOutcome::Leased(leased) = outcome {
            for one in leased {
                leases += 1;
                let end = hold(&lab, &one, round).await;
                let server = &one.database.identity;
                log += &line(server, from, end, "lease", one.generation.0);
            }
        }
        reset(&lab, owner, round, &mut log).await;
    }
    log
}

/// Uses a lease; until when it was surely held.
async fn hold(lab: &EmbeddedLab, leased: &LeasedDatabase, round: usize) -> Timestamp {
    let duration = if round.is_multiple_of(3) { SHORT } else { MINUTE };
    let renewed = lab.renew(leased.lease.id, duration, Timestamp::now()).await.unwrap();
    let end = renewed.unwrap_or(leased.lease.expires_at);
    if round.is_multiple_of(3) {
        return end;
    }
    let before = Timestamp::now();
    lab.release(leased.lease.id, before).await.unwrap();
    end.min(before)
}

/// Does a reset if there is one to do; one of eleven is left undone, as by a process that died.
async fn reset(lab: &EmbeddedLab, owner: Uuid, round: usize, log: &mut String) {
    let dies = round.is_multiple_of(11);
    let (claimed_for, now) = (if dies { SHORT } else { MINUTE }, Timestamp::now());
    let Some(reset) = lab.claim_reset(owner, claimed_for, now).await.unwrap() else { return };
    let (from, server) = (Timestamp::now(), &reset.database.identity);
    if dies {
        // Until this owner claims again, which tells that it does nothing more.
        let until = now.checked_add(claimed_for).unwrap();
        let to = until.min(Timestamp::now());
        *log += &line(server, from, to, "reset", reset.create.0);
        return;
    }
    assert!(lab.renew_reset(owner, MINUTE, Timestamp::now()).await.unwrap(), "a claim is lost");
    let to = Timestamp::now();
    assert!(lab.finish_reset(owner, Ok(())).await.unwrap(), "a claim is lost");
    *log += &line(server, from, to, "reset", reset.create.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_contended_leases_of_two_processes_never_overlap() {
    if let Some(folder) = folder_of_parent() {
        let tasks: Vec<_> =
            (0..TASKS).map(|task| tokio::spawn(contend(folder.clone(), task))).collect();
        for task in tasks {
            print!("{}", task.await.unwrap());
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let all = [
        database("a1", "A", SINGLE, 1),
        database("a2", "A", SINGLE, 2),
        database("b1", "B", REPLICATED, 1),
        database("c1", "C", SINGLE, 1),
    ];
    ready(&lab(folder.path()).await, &all).await;
    let name = "a_thousand_contended_leases_of_two_processes_never_overlap";
    let started: Vec<_> = (0..PROCESSES).map(|_| start(name, folder.path())).collect();
    let mut uses = Vec::new();
    for process in started {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "a process failed: {}", output.status);
        uses.extend(String::from_utf8(output.stdout).unwrap().lines().filter_map(parse));
    }
    let leases: Vec<_> = uses.iter().filter(|used| used.kind == "lease").collect();
    assert!(leases.len() >= PROCESSES * TASKS * LEASES, "{}", leases.len());
    let generations: HashSet<_> = leases.iter().map(|lease| lease.generation).collect();
    assert_eq!(generations.len(), leases.len(), "a generation is leased once");
    assert_eq!(overlaps(uses), "");
}

fn overlaps(mut uses: Vec<Use>) -> String {
    uses.sort_by(|a, b| (&a.server, a.from).cmp(&(&b.server, b.from)));
    let mut found = String::new();
    for (n, first) in uses.iter().enumerate() {
        for second in uses[n + 1..].iter().take_while(|next| next.server == first.server) {
            if second.from < first.to {
                writeln!(found, "{first:?}\n  {second:?}").unwrap();
            }
        }
    }
    found
}

#[tokio::test]
async fn while_a_stopped_process_has_the_lock_writes_are_refused_and_reads_are_not() {
    let name = "while_a_stopped_process_has_the_lock_writes_are_refused_and_reads_are_not";
    if let Some(folder) = folder_of_parent() {
        let held = rusqlite::Connection::open(folder.join("lab.db")).unwrap();
        held.execute_batch("BEGIN IMMEDIATE").unwrap();
        println!("\nholds the lock");
        // Until the parent ends this process.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.db");
    let (registry, timeout) = (Registry::default(), Duration::from_millis(300));
    let hasty = EmbeddedLab::open(path, &registry, timeout).await.unwrap();
    ready(&hasty, &[database("a", "A", SINGLE, 1)]).await;
    let mut holder = start(name, folder.path());
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "holds the lock"));
    let stop = Command::new("kill").args(["-STOP", &holder.id().to_string()]).status().unwrap();
    assert!(stop.success());
    let wanted = [(SINGLE, size(1))];
    let refused = hasty.lease(&wanted, MINUTE, at(0)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(state(&hasty, "a", at(0)).await, DatabaseState::Free);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let outcome = lab(folder.path()).await.lease(&wanted, MINUTE, at(0)).await.unwrap();
    assert!(matches!(outcome, LeaseOutcome::Leased(_)), "nothing was half done: {outcome:?}");
}
