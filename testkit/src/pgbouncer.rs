//! A real pgbouncer before a database of a test.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Child, Stdio};

use reqwest::Url;

use crate::postgres_database::PostgresDatabase;
use crate::process::{free_address, program, signal, wait};
use crate::wait::until;

/// The user and the group as whom it runs where the tests run as root, which it refuses.
const NOBODY: (&str, u32) = ("nobody", 65_534);

/// Runs as long as the value.
pub struct Pgbouncer {
    child: Child,
    address: SocketAddr,
    database: String,
    folder: tempfile::TempDir,
}

impl Pgbouncer {
    /// One that is ready, in `session` or `transaction` mode, with at most so many connections to the
    /// server. It logs in as the database's owner, whoever connects to it.
    pub async fn before(database: &PostgresDatabase, mode: &str, connections: usize) -> Self {
        Self::with(database, &mode_lines(mode, connections)).await
    }

    /// One in session mode to which `options` of a URL make no difference.
    pub async fn that_ignores_options(database: &PostgresDatabase) -> Self {
        let lines = mode_lines("session", 4) + "ignore_startup_parameters = options\n";
        Self::with(database, &lines).await
    }

    async fn with(database: &PostgresDatabase, lines: &str) -> Self {
        until("pgbouncer on a free port", async || {
            let mut started = Self::start(database, lines);
            // Another program may have taken the port; then it ends at once.
            until("pgbouncer accepts or ends", async || {
                let ended = started.child.try_wait().expect("a child can be asked").is_some();
                (ended || TcpStream::connect(started.address).is_ok()).then_some(())
            })
            .await;
            let ended = started.child.try_wait().expect("a child can be asked");
            if let Some(status) = ended {
                eprintln!("pgbouncer: {status}, {}", started.log());
            }
            ended.is_none().then_some(started)
        })
        .await
    }

    fn start(database: &PostgresDatabase, lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        std::fs::write(folder.path().join("ini"), ini(&database.url(), address, lines))
            .expect("its configuration");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file for its log");
        let path = std::env::var_os("STOREFRONT_TEST_PGBOUNCER");
        let path = path.unwrap_or_else(|| "pgbouncer".into());
        let mut command = program(Path::new(&path), folder.path());
        if folder.path().metadata().expect("a folder").uid() == 0 {
            for path in [folder.path(), &folder.path().join("ini")] {
                chown(path, Some(NOBODY.1), Some(NOBODY.1)).expect("root may give files away");
            }
            command.args(["-u", NOBODY.0]);
        }
        let child = command.arg("ini").stderr(log).stdout(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|e| {
            panic!(
                "{}: {e}; set STOREFRONT_TEST_PGBOUNCER to what `scripts/debian pgbouncer pgbouncer \
                 libc-ares2` prints, or run `scripts/test`",
                path.display()
            )
        });
        Self { child, address, database: database.name.clone(), folder }
    }

    /// The database's URL by way of it.
    pub fn url(&self) -> String {
        format!("postgres://{0}@{1}/{0}", self.database, self.address)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        // It may have ended already.
        if let Ok(None) = self.child.try_wait() {
            signal(self.child.id(), "INT");
            wait(&mut self.child);
        }
    }
}

fn mode_lines(mode: &str, connections: usize) -> String {
    format!("pool_mode = {mode}\ndefault_pool_size = {connections}\n")
}

fn ini(server: &Url, address: SocketAddr, lines: &str) -> String {
    let name = server.path().trim_start_matches('/');
    format!(
        "[databases]\n\
         {name} = host={} port={} dbname={name} user={} password={}\n\
         [pgbouncer]\n\
         listen_addr = {}\nlisten_port = {}\nunix_socket_dir =\n\
         auth_type = any\n\
         {lines}max_client_conn = 500\n",
        server.host_str().expect("a host"),
        server.port().unwrap_or(5432),
        server.username(),
        server.password().unwrap_or_default(),
        address.ip(),
        address.port(),
    )
}
