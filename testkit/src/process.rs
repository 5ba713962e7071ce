//! Starting the program, waiting for it, killing it.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, ClientBuilder, Method, Response};

use crate::database::OwnDatabase;
use crate::wait::{TIMEOUT, eventually};

/// The program under test. Cargo puts the test programs into the folder `deps` beside it, and builds
/// it whenever it builds them.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test program");
    let folder = test.parent().and_then(Path::parent).expect("a folder above `deps`");
    folder.join("storefront")
}

/// The program, in a folder, without the environment of the tests.
pub fn storefront(folder: &Path) -> Command {
    program(&binary(), folder)
}

/// Any program in the same surroundings.
pub fn program(path: &Path, folder: &Path) -> Command {
    let mut command = Command::new(path);
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null());
    command
}

/// Runs to the end.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"))
}

/// What it printed on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it printed on standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server that runs; killed when it is dropped.
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    /// Such as `http://127.0.0.1:40123`.
    pub base: String,
    /// Reaches it; for requests that [`Server::send`] cannot make.
    pub client: Client,
}

impl Server {
    /// `storefront serve` on the file `games.db` of the folder.
    pub fn start(folder: &Path) -> Self {
        let mut command = storefront(folder);
        Self::spawn(command.args(["serve", "--database-url", "embedded:games.db"]), folder)
    }

    /// `storefront serve` on that database.
    pub fn on(database: &OwnDatabase) -> Self {
        let mut command = storefront(database.folder());
        command.arg("serve").args(database.arguments(database.url()));
        Self::spawn(&mut command, database.folder())
    }

    /// Any command that ends in the server; waits until it is ready.
    pub fn spawn(command: &mut Command, folder: &Path) -> Self {
        let log = folder.join(format!("log-{}", rand::random::<u32>()));
        let file = std::fs::File::create(&log).expect("a file for its log");
        Self::spawn_with_log(command, log, file)
    }

    /// The same with its standard error elsewhere than in a file; then [`Server::log`] is empty.
    pub fn spawn_with_stderr(command: &mut Command, stderr: impl Into<Stdio>) -> Self {
        Self::spawn_with_log(command, PathBuf::new(), stderr)
    }

    fn spawn_with_log(command: &mut Command, log: PathBuf, stderr: impl Into<Stdio>) -> Self {
        command.env("STOREFRONT_LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stderr(stderr);
        let mut child =
            command.spawn().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
        let mut stdout = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its output can be read");
        let ready = ["storefront is ready: open ", "storefront lab is ready: open "];
        let base =
            ready.iter().find_map(|text| line.trim().strip_prefix(text)).unwrap_or_else(|| {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                let end = child.wait();
                panic!("the server is not ready: {line:?}, {end:?}, {log}")
            });
        let base =
            base.trim_end_matches("/1").trim_end_matches("/docs").trim_end_matches('/').to_owned();
        Self { child, stdout, log, base, client: client().build().expect("a client") }
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("its output can be read");
        line
    }

    /// What it has logged so far. A line may come a moment after the answer that it is about: to
    /// expect one use [`Server::has_logged`].
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has logged that text.
    pub async fn has_logged(&self, text: &str) {
        eventually(text, async || self.log().contains(text)).await;
    }

    /// A sample of its metrics.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics").await;
        let sample = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        sample.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}: {metrics}"))
    }

    /// Bytes of memory that it has in use.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = size.and_then(|size| size.trim().strip_suffix(" kB"));
        1024 * kilobytes.and_then(|number| number.parse::<u64>().ok()).expect("a number")
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request; an error is a broken connection.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        json: Option<&serde_json::Value>,
    ) -> reqwest::Result<Response> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(json) = json {
            request = request.header("content-type", "application/json").body(json.to_string());
        }
        request.send().await
    }

    /// The body of a GET that must succeed.
    pub async fn get(&self, path: &str) -> String {
        let response = self.send(Method::GET, path, None).await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.expect("a whole body")
    }

    /// The status of a GET.
    pub async fn status(&self, path: &str) -> u16 {
        self.send(Method::GET, path, None).await.expect("an answer").status().as_u16()
    }

    /// A signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for its end; gives its status and what else it printed.
    pub fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("its output can be read");
        (wait(&mut self.child), rest)
    }
}

/// A builder of HTTP clients. Idle connections are closed before the server closes them: a request on
/// a connection that the server is closing would fail.
pub fn client() -> ClientBuilder {
    // reqwest is built without a TLS provider of its own; an error means that one is installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().pool_idle_timeout(Duration::from_secs(3))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An address of this machine with a port that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// Sends a signal to a process that the test started.
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), id.to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

/// Waits for a child, and kills it when it takes too long.
pub fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    while start.elapsed() < TIMEOUT {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            return status;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("it can be killed");
    panic!("the program did not end within {TIMEOUT:?}")
}
