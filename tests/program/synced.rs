//! Durability that a kill cannot show: by the system calls, no answer to a write leaves before a
//! sync of the log that followed the write of its commit.

use std::path::Path;
use std::sync::Arc;

use regex_lite::Regex;
use reqwest::Method;

use testkit::games::game;
use testkit::process::{Server, program};
use testkit::wait::TIMEOUT;

const CLIENTS: usize = 8;
const WRITES: usize = 25;

/// What the trace shows, in order.
#[derive(Debug)]
enum Event {
    /// Bytes went into the write-ahead log.
    LogWrite(Vec<u8>),
    /// A sync of the log began; the thread that asked for it.
    SyncBegun(u32),
    /// The sync that this thread asked for succeeded.
    SyncDone(u32),
    /// An answer began to leave.
    Answer(Vec<u8>),
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_to_a_write_leaves_before_its_commit_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let server = Arc::new(traced(folder.path(), &trace));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                for n in 0..WRITES {
                    let marker = format!("marker-{client}-{n}-post");
                    let path = write(&server, Method::POST, "/api/overview", &marker).await;
                    let path = path.expect("a created game has a place");
                    let marker = format!("marker-{client}-{n}-put!");
                    write(&server, Method::PUT, &path, &marker).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let server = Arc::into_inner(server).unwrap();
    server.signal("TERM");
    let last = format!("{:<5} +++ exited with 0 +++", server.id());
    server.end();
    // The tracer's last line may come after the server's end.
    let begun = std::time::Instant::now();
    let mut text = String::new();
    while !text.contains(&last) {
        assert!(begun.elapsed() < TIMEOUT, "the trace has no end");
        text = std::fs::read_to_string(&trace).unwrap();
    }
    let events = events(&text);
    assert_eq!(check(&events), 2 * CLIENTS * WRITES);
}

/// Writes the marker into a game; the answer repeats it as the request's id.
async fn write(server: &Server, method: Method, path: &str, marker: &str) -> Option<String> {
    let request = server.client.request(method, format!("{}{path}", server.base));
    let request = request.header("x-request-id", marker).header("content-type", "application/json");
    let answer = request.body(game(marker).to_string()).send().await.expect("an answer");
    assert!(answer.status().is_success());
    Some(answer.headers().get("location")?.to_str().expect("a path").to_owned())
}

/// The server under strace, which stops every thread at every call it traces: the order of its
/// lines is the order of the calls.
fn traced(folder: &Path, trace: &Path) -> Server {
    let mut command = program(Path::new("strace"), folder);
    // The tracer is no parent: the child that is started and signalled is the server itself.
    command.args([
        "--daemonize=grandchild",
        "--follow-forks",
        "--decode-fds=path",
        "--strings-in-hex=all",
    ]);
    command.args(["--string-limit=65536", "--seccomp-bpf", "--output"]).arg(trace);
    command.arg("--trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync");
    command.arg(testkit::process::binary());
    command.args(["serve", "--database-url", "embedded:games.db"]);
    Server::spawn(&mut command, folder)
}

fn events(trace: &str) -> Vec<Event> {
    let call = Regex::new(r"^(\d+) +(\w+)\(\d+<([^>]*)>(.*)$").unwrap();
    let resumed = Regex::new(r"^(\d+) +<\.\.\. (fsync|fdatasync) resumed>\) += 0").unwrap();
    let mut events = Vec::new();
    for line in trace.lines() {
        if let Some(parts) = resumed.captures(line) {
            events.push(Event::SyncDone(parts[1].parse().unwrap()));
        }
        let Some(parts) = call.captures(line) else { continue };
        let (thread, name, rest) = (parts[1].parse().unwrap(), &parts[2], &parts[4]);
        let file = String::from_utf8(bytes(&parts[3])).unwrap();
        match name {
            "pwrite64" if file.ends_with("-wal") => events.push(Event::LogWrite(bytes(rest))),
            "fsync" | "fdatasync" if file.ends_with("-wal") => {
                events.push(Event::SyncBegun(thread));
                if rest.contains("= 0") {
                    events.push(Event::SyncDone(thread));
                }
            }
            "write" | "writev" | "sendto" | "sendmsg"
                if file.contains("socket:") || file.contains("TCP") =>
            {
                events.push(Event::Answer(bytes(rest)));
            }
            _ => {}
        }
    }
    events
}

/// The bytes of a call's strings, written as `\x41\x42`.
fn bytes(rest: &str) -> Vec<u8> {
    let hex = rest.split("\\x").skip(1).filter_map(|part| part.get(..2));
    hex.filter_map(|digits| u8::from_str_radix(digits, 16).ok()).collect()
}

/// For each answer that repeats a write's marker: the page with the marker went into the log, with
/// it the frame that commits, and after both a sync began that had ended when the answer left.
/// Returns the number of answers.
fn check(events: &[Event]) -> usize {
    let mut answers = 0;
    for (at, event) in events.iter().enumerate() {
        let Event::Answer(bytes) = event else { continue };
        let head = String::from_utf8_lossy(bytes);
        let Some((_, rest)) = head.split_once("x-request-id: marker-") else { continue };
        let marker = format!("marker-{}", rest.lines().next().unwrap_or_default());
        let page = position(events, 0, at, |e| has(e, marker.as_bytes())).expect("its page");
        // The log's write before a page is its frame's header.
        let header = (0..page).rev().find(|at| matches!(events[*at], Event::LogWrite(_)));
        let commit = position(events, header.unwrap_or(page), at, is_commit).expect("its commit");
        let begun = position(events, page.max(commit), at, |e| matches!(e, Event::SyncBegun(_)));
        let begun = begun.unwrap_or_else(|| panic!("{marker} was answered before a sync began"));
        let Event::SyncBegun(thread) = events[begun] else { unreachable!() };
        let done = |e: &Event| matches!(e, Event::SyncDone(t) if *t == thread);
        assert!(
            position(events, begun, at, done).is_some(),
            "{marker} was answered before its sync ended"
        );
        answers += 1;
    }
    answers
}

fn position(
    events: &[Event],
    from: usize,
    to: usize,
    matches: impl Fn(&Event) -> bool,
) -> Option<usize> {
    (from..to).find(|at| matches(&events[*at]))
}

fn has(event: &Event, marker: &[u8]) -> bool {
    matches!(event, Event::LogWrite(bytes) if bytes.windows(marker.len()).any(|w| w == marker))
}

/// The 24 bytes before a page in the log; bytes 4 to 8 are zero except in a commit's last frame
/// (SQLite's file format, section 4.1).
fn is_commit(event: &Event) -> bool {
    matches!(event, Event::LogWrite(bytes) if bytes.len() == 24 && bytes[4..8] != [0; 4])
}

/// A check that accepts everything would prove nothing.
#[test]
fn the_check_detects_an_early_answer() {
    let answer = || Event::Answer(b"HTTP/1.1 201\r\nx-request-id: marker-1\r\n".to_vec());
    let header = |commit| {
        Event::LogWrite([[0; 4], [0, 0, 0, commit], [0; 4], [0; 4], [0; 4], [0; 4]].concat())
    };
    let page = || Event::LogWrite(b"..marker-1..".to_vec());
    let good = [header(1), page(), Event::SyncBegun(7), Event::SyncDone(7), answer()];
    assert_eq!(check(&good), 1);
    for bad in [
        vec![header(1), page(), answer(), Event::SyncBegun(7), Event::SyncDone(7)],
        vec![header(1), page(), Event::SyncBegun(7), answer(), Event::SyncDone(7)],
        vec![header(0), page(), Event::SyncBegun(7), Event::SyncDone(7), answer()],
        vec![Event::SyncBegun(7), header(1), page(), Event::SyncDone(7), answer()],
        vec![Event::SyncBegun(7), Event::SyncDone(7), answer()],
    ] {
        assert!(std::panic::catch_unwind(|| check(&bad)).is_err(), "{bad:?}");
    }
}
