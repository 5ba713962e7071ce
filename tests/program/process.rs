//! Starting the program, waiting for it, killing it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response};

use crate::support::database::OwnDatabase;

/// Longer than anything takes on a busy machine; only a defect waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program, in a folder, with an environment of its own.
pub fn storefront(folder: &Path) -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_storefront")), folder)
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
    command.output().expect("the program starts")
}

/// What it printed on standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it printed on standard output.
pub fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server that runs.
pub struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    errors: PathBuf,
    /// Such as `http://127.0.0.1:40123`.
    pub base: String,
    client: Client,
}

impl Server {
    /// `storefront serve` on the file `games.db` of the folder.
    pub fn start(folder: &Path) -> Self {
        let mut command = storefront(folder);
        Self::of(command.args(["serve", "--database-url", "embedded:games.db"]), folder)
    }

    /// `storefront serve` on that database.
    pub fn on(database: &OwnDatabase) -> Self {
        let mut command = storefront(database.folder());
        command.args(["serve", "--database-url", database.url()]);
        Self::of(&mut command, database.folder())
    }

    /// Any command that ends in the server; waits until it is ready.
    pub fn of(command: &mut Command, folder: &Path) -> Self {
        let errors = folder.join(format!("errors-{}", rand::random::<u32>()));
        let file = std::fs::File::create(&errors).expect("a file for its log");
        command.env("STOREFRONT_LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().expect("the server starts");
        let mut out = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("its output can be read");
        let base = line.trim().strip_prefix("storefront is ready: open ").unwrap_or_else(|| {
            let log = std::fs::read_to_string(&errors).unwrap_or_default();
            let end = child.wait();
            panic!("the server is not ready: {line:?}, {end:?}, {log}")
        });
        let base = base.trim_end_matches("/1").trim_end_matches("/docs").to_owned();
        Self { child, out, errors, base, client: client() }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// The process's number.
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
        self.out.read_to_string(&mut rest).expect("its output can be read");
        (wait(&mut self.child), rest)
    }
}

/// One that leaves an idle connection before the server does, so that no request meets its end.
fn client() -> Client {
    Client::builder().pool_idle_timeout(Duration::from_secs(3)).build().expect("a client")
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal to a process of the test's own.
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), id.to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

/// Waits for a child, and kills it when it takes too long.
pub fn wait(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            return status;
        }
        std::thread::yield_now();
    }
    child.kill().expect("it can be killed");
    panic!("the program did not end within {PATIENCE:?}")
}

/// The body of a create.
pub fn game(name: &str) -> serde_json::Value {
    serde_json::json!({
        "game_name": name,
        "description": "d".repeat(200),
        "release_date": "2016-02-26T00:00:00.000Z",
        "developer": "developer",
        "publisher": "publisher",
        "tags": ["a", "b"],
    })
}
