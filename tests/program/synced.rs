//! Durability that a kill cannot show: by the system calls, no answer to a write leaves before a
//! sync of the log that followed the write of its commit.
//!
//! What creates or changes a game writes a marker of its own into the log, so that each answer is
//! matched with its own commit, also where one commit is for several. What removes a game or checks an
//! order out writes none: its commit is the first after its request, which is certain only where no other
//! client writes. So these are done once by many clients and once by a single one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use regex_lite::Regex;
use reqwest::Method;

use testkit::games::game;
use testkit::process::{Server, program};
use testkit::wait::TIMEOUT;

const CLIENTS: usize = 8;
const WRITES: usize = 8;
/// Writes that [`write_everything`] makes, with a marker each.
const KINDS: usize = 6;

/// The write-ahead log of the store; that of activities is another file, into which their worker writes.
const LOG: &str = "/games.db-wal";

/// What the trace shows, in order.
#[derive(Debug)]
enum Event {
    /// A request was read.
    Request(Vec<u8>),
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
    let client = |client| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { write_everything(&server, client).await })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    for client in clients {
        client.await.unwrap();
    }
    client(CLIENTS).await.unwrap();
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
    let answers = check(&events(&text));
    assert_eq!(answers.len(), KINDS * (CLIENTS + 1) * WRITES);
    let mut commits = BTreeMap::new();
    for commit in answers {
        *commits.entry(commit).or_insert(0) += 1;
    }
    let most = commits.values().max().expect("a commit");
    println!("{} commits, one of them for {most} writes", commits.len());
    assert!(*most > 1, "no commit was for several writes");
}

/// A client that creates, changes and removes games, adds to a user's credit, and checks an order out
/// and cancels it.
async fn write_everything(server: &Server, client: usize) {
    let id = async |path: &str, name: &str| {
        let answer = server.send(Method::POST, path, None).await.expect("an answer");
        let body: serde_json::Value =
            serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        body[name].as_str().expect("an id").to_owned()
    };
    let done = async |path: String| {
        assert_eq!(server.send(Method::POST, &path, None).await.unwrap().status(), 200, "{path}");
    };
    let user = id("/payment/create_user", "user_id").await;
    let item = id("/stock/item/create/1", "item_id").await;
    let order = id(&format!("/orders/create/{user}"), "order_id").await;
    done(format!("/stock/add/{item}/10")).await;
    done(format!("/payment/add_funds/{user}/10")).await;
    done(format!("/orders/addItem/{order}/{item}/3")).await;
    for n in 0..WRITES {
        let write = async |method, path: &str, kind| {
            write(server, method, path, &format!("marker-{client}-{n}-{kind}")).await
        };
        let path = write(Method::POST, "/api/overview", "post").await;
        let path = path.expect("a created game has a place");
        write(Method::PUT, &path, "put!").await;
        write(Method::DELETE, &path, "delete").await;
        write(Method::POST, &format!("/payment/add_funds/{user}/1"), "funds").await;
        write(Method::POST, &format!("/orders/checkout/{order}"), "checkout").await;
        write(Method::POST, &format!("/payment/cancel/{user}/{order}"), "cancel").await;
    }
}

/// Writes the marker into a game, or does an operation without a body; the answer repeats the marker as
/// the request's id.
async fn write(server: &Server, method: Method, path: &str, marker: &str) -> Option<String> {
    let has_body = is_in_log(marker);
    let request = server.client.request(method, format!("{}{path}", server.base));
    let mut request = request.header("x-request-id", marker);
    if has_body {
        request = request.header("content-type", "application/json").body(game(marker).to_string());
    }
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    Some(answer.headers().get("location")?.to_str().expect("a path").to_owned())
}

/// Whether a write puts its marker into the log.
fn is_in_log(marker: &str) -> bool {
    marker.ends_with("-post") || marker.ends_with("-put!")
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
    command.arg("--trace=pwrite64,read,readv,recvfrom,write,writev,sendto,sendmsg,fsync,fdatasync");
    command.arg(testkit::process::binary());
    command.args(["serve", "--database-url", "embedded:games.db"]);
    Server::spawn(&mut command, folder)
}

fn events(trace: &str) -> Vec<Event> {
    let call = Regex::new(r"^(\d+) +(\w+)\(\d+<([^>]*)>(.*)$").unwrap();
    let resumed = Regex::new(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$").unwrap();
    let mut events = Vec::new();
    for line in trace.lines() {
        if let Some(parts) = resumed.captures(line) {
            let (thread, rest) = (parts[1].parse().unwrap(), &parts[3]);
            match &parts[2] {
                "fsync" | "fdatasync" if rest.starts_with(") ") && rest.ends_with("= 0") => {
                    events.push(Event::SyncDone(thread));
                }
                "read" | "readv" | "recvfrom" => events.push(Event::Request(bytes(rest))),
                _ => {}
            }
        }
        let Some(parts) = call.captures(line) else { continue };
        let (thread, name, rest) = (parts[1].parse().unwrap(), &parts[2], &parts[4]);
        let file = String::from_utf8(bytes(&parts[3])).unwrap();
        let is_socket = file.contains("socket:") || file.contains("TCP");
        match name {
            "pwrite64" if file.ends_with(LOG) => events.push(Event::LogWrite(bytes(rest))),
            "fsync" | "fdatasync" if file.ends_with(LOG) => {
                events.push(Event::SyncBegun(thread));
                if rest.contains("= 0") {
                    events.push(Event::SyncDone(thread));
                }
            }
            "write" | "writev" | "sendto" | "sendmsg" if is_socket => {
                events.push(Event::Answer(bytes(rest)));
            }
            "read" | "readv" | "recvfrom" if is_socket => events.push(Event::Request(bytes(rest))),
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

/// For each answer that repeats a write's marker: after its request the page with the marker went into
/// the log, with it the frame that commits, and after both a sync began that had ended when the answer
/// left. Returns for each answer where its sync began: those of one commit
/// have the same.
fn check(events: &[Event]) -> Vec<usize> {
    let mut commits = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let Event::Answer(bytes) = event else { continue };
        let head = String::from_utf8_lossy(bytes);
        let Some((_, rest)) = head.split_once("x-request-id: marker-") else { continue };
        let marker = format!("marker-{}", rest.lines().next().unwrap_or_default());
        let request = position(events, 0, at, |e| asks(e, &marker)).expect("its request");
        let commit = if is_in_log(&marker) {
            let page = position(events, request, at, |e| has(e, marker.as_bytes()));
            let page = page.unwrap_or_else(|| panic!("{marker} was answered before its page"));
            // The log's write before a page is its frame's header.
            let header = (0..page).rev().find(|at| matches!(events[*at], Event::LogWrite(_)));
            position(events, header.unwrap_or(page), at, is_commit).map(|commit| commit.max(page))
        } else {
            position(events, request, at, is_commit)
        };
        let commit = commit.unwrap_or_else(|| panic!("{marker} was answered before its commit"));
        let begun = position(events, commit, at, |e| matches!(e, Event::SyncBegun(_)));
        let begun = begun.unwrap_or_else(|| panic!("{marker} was answered before a sync began"));
        let Event::SyncBegun(thread) = events[begun] else { unreachable!() };
        let done = |e: &Event| matches!(e, Event::SyncDone(t) if *t == thread);
        assert!(
            position(events, begun, at, done).is_some(),
            "{marker} was answered before its sync ended"
        );
        commits.push(begun);
    }
    commits
}

fn position(
    events: &[Event],
    from: usize,
    to: usize,
    matches: impl Fn(&Event) -> bool,
) -> Option<usize> {
    (from..to).find(|at| matches(&events[*at]))
}

/// Whether it is the request with that marker.
fn asks(event: &Event, marker: &str) -> bool {
    let Event::Request(bytes) = event else { return false };
    let head = String::from_utf8_lossy(bytes);
    head.lines().any(|line| line.strip_prefix("x-request-id: ") == Some(marker))
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
    for kind in ["post", "delete"] {
        let line = format!("x-request-id: marker-1-{kind}\r\n");
        let request = || Event::Request(format!("POST / HTTP/1.1\r\n{line}").into_bytes());
        let answer = || Event::Answer(format!("HTTP/1.1 200\r\n{line}").into_bytes());
        let header = |commit| {
            Event::LogWrite([[0; 4], [0, 0, 0, commit], [0; 4], [0; 4], [0; 4], [0; 4]].concat())
        };
        let page = || Event::LogWrite(format!("..marker-1-{kind}..").into_bytes());
        let (begun, done) = (|| Event::SyncBegun(7), || Event::SyncDone(7));
        assert_eq!(check(&[request(), header(1), page(), begun(), done(), answer()]), [3]);
        for bad in [
            vec![request(), header(1), page(), answer(), begun(), done()],
            vec![request(), header(1), page(), begun(), answer(), done()],
            vec![request(), header(0), page(), begun(), done(), answer()],
            vec![request(), begun(), header(1), page(), done(), answer()],
            vec![request(), begun(), done(), answer()],
            vec![header(1), page(), begun(), done(), request(), answer()],
        ] {
            assert!(std::panic::catch_unwind(|| check(&bad)).is_err(), "{bad:?}");
        }
    }
}
