//! A real NATS server of a test's own, which the test may kill.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use storefront::config::queue::{self, NatsQueue};

use crate::process::{free_address, program, signal, wait};
use crate::wait::until;

/// Runs as long as the value.
pub struct NatsServer {
    child: Mutex<Child>,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl NatsServer {
    /// One that is ready and syncs each message to the disk.
    pub async fn start() -> Arc<Self> {
        Self::start_with("").await
    }

    /// The same with further lines of its configuration.
    pub async fn start_with(lines: &str) -> Arc<Self> {
        // Another program may have taken the port; then it ends at once.
        let started = until("nats-server on a free port", async || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let address = free_address();
            let store = folder.path().join("store");
            let settings = format!(
                "listen: \"{address}\"\n\
                 jetstream {{ store_dir: {store:?}, sync_interval: always }}\n{lines}\n"
            );
            std::fs::write(folder.path().join("nats.conf"), settings).expect("its configuration");
            let server = Self { child: Mutex::new(spawn(folder.path())), address, folder };
            server.is_ready().await.then_some(server)
        });
        Arc::new(started.await)
    }

    /// As `--queue` takes it.
    pub fn url(&self, stream: &str) -> String {
        format!("nats://{}/{stream}", self.address)
    }

    /// The same as the program reads it.
    pub fn queue(&self, stream: &str) -> NatsQueue {
        queue::parse(&self.url(stream)).expect("a sound URL")
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().expect("it can be killed");
        wait(&mut child);
    }

    /// Starts it again, with its data and at its address.
    pub async fn start_again(&self) {
        until("nats-server is back", async || {
            let child = spawn(self.folder.path());
            *self.child.lock().unwrap() = child;
            self.is_ready().await.then_some(())
        })
        .await;
    }

    /// Copies its data while it does not run.
    pub fn back_up(&self) {
        copy(&self.folder.path().join("store"), &self.folder.path().join("backup"));
    }

    /// Puts the copy in the place of its data while it does not run.
    pub fn restore(&self) {
        let store = self.folder.path().join("store");
        std::fs::remove_dir_all(&store).expect("the data can be removed");
        copy(&self.folder.path().join("backup"), &store);
    }

    /// Stops it, as a machine does that swaps; it goes on where it was after `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.child.lock().unwrap().id(), name);
    }

    /// Waits until it greets clients, or has ended; whether it greets them.
    async fn is_ready(&self) -> bool {
        until("nats-server greets or ends", async || {
            if let Some(status) = self.child.lock().unwrap().try_wait().expect("it can be asked") {
                eprintln!("nats-server: {status}, {}", self.log());
                return Some(false);
            }
            greets(self.address).then_some(true)
        })
        .await
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // It may have ended already.
        drop(child.kill());
        drop(child.wait());
    }
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry of the folder");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).expect("the file can be copied");
        }
    }
}

fn spawn(folder: &Path) -> Child {
    let path = std::env::var_os("STOREFRONT_TEST_NATS").unwrap_or_else(|| "nats-server".into());
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log"));
    let mut command = program(Path::new(&path), folder);
    command.args(["-c", "nats.conf"]).stdout(Stdio::null());
    let child = command.stderr(log.expect("a file for its log")).spawn();
    child.unwrap_or_else(|e| {
        panic!(
            "{}: {e}; set STOREFRONT_TEST_NATS to what `scripts/nats-server` prints, or run \
             `scripts/test`",
            path.display()
        )
    })
}

/// Whether a NATS server with JetStream accepts connections.
fn greets(address: SocketAddr) -> bool {
    let Ok(mut connection) = TcpStream::connect(address) else { return false };
    let timeout = connection.set_read_timeout(Some(Duration::from_secs(5)));
    let mut greeting = [0; 1_024];
    let length = timeout.and_then(|()| connection.read(&mut greeting)).unwrap_or(0);
    String::from_utf8_lossy(&greeting[..length]).contains("\"jetstream\":true")
}
