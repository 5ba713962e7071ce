//! More clients wait for a silent database than a queue takes: those beyond its bound are refused at
//! once, the others in time, and memory does not grow from one wave of them to the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use rlimit::Resource;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use testkit::database::OwnDatabase;
use testkit::process::{Server, storefront};
use testkit::proxy::{Mode, Proxy};

/// More than a queue takes (8,192) and its worker has in hand (1,024).
const CLIENTS: usize = 10_000;
/// Clients that must be refused while the others wait, at least.
const BEYOND: usize = 500;
/// The deadline of a write, and some time for so many answers.
const IN_TIME: Duration = Duration::from_secs(10 + 8);
/// Clients that connect at one time.
const AT_ONE_TIME: usize = 250;
/// How often the memory is read.
const SAMPLE: Duration = Duration::from_millis(50);
/// What another wave may add: nothing grows, but an allocator keeps some.
const GROWTH_KB: u64 = 32 * 1024;
/// What one client may cost, its connection included.
const CLIENT_KB: u64 = 64;

/// One test at a time: the clients of both need more open files than many machines allow a process.
static ALONE: Mutex<()> = Mutex::const_new(());

/// On a busy machine the first batch fails, and all that waits with it, before so many clients have come
/// that the queue is full. So who is refused at once is not asserted here.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_wait_for_a_silent_postgres_fill_a_bounded_queue() {
    let _guard = ALONE.lock().await;
    let database = OwnDatabase::on("postgres").await;
    database.migrate();
    let (url, proxy) = Proxy::before(database.url()).await;
    let server = serve(&database, &url);
    let create = game_request();
    bounded(&server, &create, async |is_silent| match is_silent {
        true => proxy.set(Mode::Freeze),
        false => proxy.restore(),
    })
    .await;
}

/// Another program holds the lock of the file.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_wait_for_a_locked_file_fill_a_bounded_queue() {
    let _guard = ALONE.lock().await;
    let database = OwnDatabase::on("embedded").await;
    let server = serve(&database, database.url());
    let path = database.url().strip_prefix("embedded:").expect("a file");
    let file = rusqlite::Connection::open(path).unwrap();
    file.busy_timeout(testkit::wait::TIMEOUT).unwrap();
    let create = game_request();
    let shortest = bounded(&server, &create, async |is_silent| {
        file.execute_batch(if is_silent { "BEGIN IMMEDIATE" } else { "ROLLBACK" }).unwrap();
    })
    .await;
    for refused in shortest {
        assert!(refused < Duration::from_secs(5), "those beyond the bound waited {refused:?}");
    }
}

/// A program that takes as many requests as there are clients.
fn serve(database: &OwnDatabase, url: &str) -> Server {
    let needed = 2 * CLIENTS as u64;
    let (_, most) = Resource::NOFILE.get().unwrap();
    assert!(
        most > CLIENTS as u64 + 1_000,
        "the test needs {needed} open files, {most} are allowed"
    );
    rlimit::increase_nofile_limit(needed).unwrap();
    let mut command = storefront(database.folder());
    command.args(["serve", "--database-url", url]);
    command.args(["--max-in-flight", "20000", "--max-connections", "20000"]);
    Server::spawn(&mut command, database.folder())
}

fn game_request() -> String {
    let body = testkit::games::game("waits").to_string();
    let length = body.len();
    format!(
        "POST /api/overview HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Two waves of clients while the database is silent.
async fn bounded(server: &Server, request: &str, set_silent: impl AsyncFn(bool)) -> Vec<Duration> {
    let address: SocketAddr = server.base.strip_prefix("http://").unwrap().parse().unwrap();
    let (status, _) = ask(connect(address).await, request).await;
    assert_eq!(status, 201);
    let idle = resident_kb(server);
    let (mut peaks, mut shortest) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        set_silent(true).await;
        let (peak, at_once) = wave(server, address, request).await;
        set_silent(false).await;
        testkit::wait::eventually("it works again", async || {
            ask(connect(address).await, request).await.0 == 201
        })
        .await;
        peaks.push(peak);
        shortest.push(at_once);
    }
    println!("resident: {idle} kB at rest, {peaks:?} kB with {CLIENTS} clients");
    assert!(peaks[0] < idle + CLIENTS as u64 * CLIENT_KB, "{idle} kB at rest, {peaks:?} kB");
    assert!(peaks[1] < peaks[0] + GROWTH_KB, "{peaks:?} kB: it grows");
    shortest
}

/// Clients that each wait for the answer; the most memory meanwhile, and how soon those were refused that
/// had the shortest wait.
async fn wave(server: &Server, address: SocketAddr, request: &str) -> (u64, Duration) {
    let connecting = Arc::new(Semaphore::new(AT_ONE_TIME));
    let asked = (0..CLIENTS).map(|_| {
        let (request, connecting) = (request.to_owned(), Arc::clone(&connecting));
        tokio::spawn(async move {
            let permit = connecting.acquire().await.expect("it stays open");
            let stream = connect(address).await;
            drop(permit);
            ask(stream, &request).await
        })
    });
    let mut answers = std::pin::pin!(join_all(asked.collect::<Vec<_>>()));
    let mut peak = 0;
    let answers = loop {
        match timeout(SAMPLE, &mut answers).await {
            Ok(answers) => break answers,
            Err(_) => peak = peak.max(resident_kb(server)),
        }
    };
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("no panic")).collect();
    let refused = answers.iter().all(|(status, _)| *status == 503);
    assert!(refused, "while the database is silent nothing is done");
    let mut times: Vec<_> = answers.into_iter().map(|(_, time)| time).collect();
    times.sort();
    let (at_once, last) = (times[BEYOND], times[CLIENTS - 1]);
    println!("{BEYOND} refused after {at_once:?}, the last after {last:?}");
    assert!(last < IN_TIME, "the last answer took {last:?}");
    (peak, at_once)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// The status of the answer, and how long it took.
async fn ask(mut stream: TcpStream, request: &str) -> (u16, Duration) {
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).await.expect("it takes the request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer: {head:?}"));
    assert!(status != 503 || head.to_lowercase().contains("retry-after: "), "{head}");
    (status, begun.elapsed())
}

/// The memory of the program that is in use.
fn resident_kb(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
