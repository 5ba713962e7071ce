//! Several server processes on one store.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::Value;

use crate::balancer::Balancer;
use crate::http::{Answer, Faults, Request, ask, client};
use crate::ports::Port;
use testkit::clock;
use testkit::database::OwnDatabase;
use testkit::db_server::DbServer;
use testkit::nats::NatsServer;
use testkit::process::{Server, output, stderr, stdout, storefront};
use testkit::proxy::Proxy;
use testkit::wait::TIMEOUT;

/// Programs on a database of their own, all gone with the value.
pub struct ServerGroup {
    programs: Vec<Program>,
    turn: AtomicUsize,
    client: Client,
    /// How the programs reach the database.
    url: String,
    /// The proxy before the database, if the database is reached by network and may be cut off.
    pub proxy: Option<Proxy>,
    /// The nodes that hold the store, if some may be killed.
    pub cluster: Option<Arc<DbServer>>,
    /// nginx before the programs; without it clients use the programs in turn.
    pub balancer: Option<Balancer>,
    database: OwnDatabase,
}

/// A program, always at the same address; `None` while it is being restarted.
struct Program {
    port: Port,
    server: Mutex<Option<Server>>,
    /// While it is stopped clients use the others.
    stopped: AtomicBool,
}

impl ServerGroup {
    /// So many programs on an empty store.
    pub async fn start(backend: &str, programs: usize) -> Self {
        let database = OwnDatabase::on(backend).await;
        let url = database.url().to_owned();
        Self::on(database, url, None, programs)
    }

    /// The same with a proxy before the database, if it is one that can be cut off, and without any
    /// setting that only tests have.
    pub async fn behind_a_proxy(backend: &str, programs: usize) -> Self {
        let database = OwnDatabase::on(backend).await;
        database.migrate();
        if database.url().starts_with("embedded:") {
            let url = database.url().to_owned();
            return Self::on(database, url, None, programs);
        }
        let (url, proxy) = Proxy::before(database.url()).await;
        Self::on(database, url, Some(proxy), programs)
    }

    /// So many programs on an empty store with a replica on each of three nodes.
    pub fn on_a_cluster(cluster: &Arc<DbServer>, programs: usize) -> Self {
        let keyspace = format!("{}_{:x}", cluster.value("cassandra"), rand::random::<u32>());
        let url = format!("{keyspace}?replication=3");
        let database = OwnDatabase::at(url.clone(), Arc::clone(cluster));
        Self { cluster: Some(Arc::clone(cluster)), ..Self::on(database, url, None, programs) }
    }

    fn on(database: OwnDatabase, url: String, proxy: Option<Proxy>, programs: usize) -> Self {
        // Each client of a proof has a connection of its own.
        rlimit::increase_nofile_limit(u64::MAX).expect("as many files as may be open");
        let program = || {
            let port = Port::free();
            let server = Mutex::new(Some(start(&database, &url, &port, 0)));
            Program { port, server, stopped: AtomicBool::new(false) }
        };
        let programs = std::iter::repeat_with(program).take(programs).collect();
        let (turn, client) = (AtomicUsize::new(0), client());
        Self { programs, turn, client, url, proxy, cluster: None, balancer: None, database }
    }

    /// The same with nginx before the programs, to which all requests go.
    pub async fn behind_nginx(mut self) -> Self {
        let programs = self.programs.iter().map(|program| program.port.address).collect();
        self.balancer = Some(Balancer::before(programs, self.folder()).await);
        self
    }

    /// As `--database-url` takes it, without a proxy.
    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// Where files may be put.
    pub fn folder(&self) -> &Path {
        self.database.folder()
    }

    /// The NATS server in which the programs queue activities, if they do.
    pub fn nats(&self) -> Option<&Arc<NatsServer>> {
        self.database.queue()
    }

    /// Runs SQL or CQL beside the programs.
    pub async fn damage(&self, sql: &str) {
        self.database.execute(sql).await;
    }

    /// How many programs there are.
    pub fn len(&self) -> usize {
        self.programs.len()
    }

    /// Sends a request to the next program, and lets nothing but 200 and 4xx pass.
    pub async fn ask(&self, method: Method, path: &str) -> Answer {
        let request = Request { method, path: path.to_owned(), key: None };
        ask(&self.client, &request, &self.next(path), Faults::None).await
    }

    /// The same while programs and connections fail; what was never sent goes to another program.
    pub async fn ask_under_faults(
        &self,
        client: &Client,
        request: &Request,
        faults: Faults,
    ) -> Answer {
        let begun = Instant::now();
        loop {
            match ask(client, request, &self.next(&request.path), faults).await {
                Answer::NotSent => {
                    assert!(begun.elapsed() < TIMEOUT, "nothing listens: {request:?}");
                }
                // There a write goes on that was answered at its deadline.
                Answer::Unknown if self.url.starts_with("cassandra:") => return Answer::TimedOut,
                answer => return answer,
            }
            tokio::task::yield_now().await;
        }
    }

    /// A post that must succeed.
    pub async fn done(&self, path: &str) -> Answer {
        let answer = self.ask(Method::POST, path).await;
        assert!(matches!(answer, Answer::Done(_)), "{path}: {answer:?}");
        answer
    }

    /// What a GET shows; `None` for a 404.
    pub async fn look(&self, path: &str) -> Option<Answer> {
        match self.ask(Method::GET, path).await {
            Answer::Refused(404) => None,
            answer @ Answer::Done(_) => Some(answer),
            other => panic!("{path}: {other:?}"),
        }
    }

    /// The URL of a path at the next program.
    pub fn next(&self, path: &str) -> String {
        if let Some(balancer) = &self.balancer {
            return format!("{}{path}", balancer.base());
        }
        // At most one is stopped.
        let programs = std::iter::repeat_with(|| {
            &self.programs[self.turn.fetch_add(1, Ordering::Relaxed) % self.len()]
        });
        let runs = |program: &&Program| !program.stopped.load(Ordering::Relaxed);
        let program = programs.take(2 * self.len()).find(runs).expect("a program that runs");
        format!("http://{}{path}", program.port.address)
    }

    /// The errors that the current programs have logged.
    pub fn failures(&self) -> String {
        let logs = self.programs.iter().filter_map(|program| {
            let server = program.server.lock().unwrap();
            server.as_ref().map(Server::log)
        });
        let lines = |log: String| -> Vec<_> {
            log.lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect()
        };
        logs.flat_map(lines).collect::<Vec<_>>().join("\n")
    }

    /// Ends a program as a crash does, and starts another in its place, whose clock is so many seconds
    /// ahead.
    pub fn kill_and_start(&self, number: usize, ahead: i64) {
        let Program { port, server, .. } = &self.programs[number];
        // What is dropped is killed, and has ended then.
        drop(server.lock().unwrap().take());
        let started = start(&self.database, &self.url, port, ahead);
        *server.lock().unwrap() = Some(started);
    }

    /// Stops a program, as a machine does that swaps or migrates; it goes on where it was after
    /// [`Self::resume`]. Clients use the others, those that wait for it go on waiting.
    pub fn stop(&self, number: usize) {
        self.programs[number].stopped.store(true, Ordering::Relaxed);
        self.signal(number, "STOP");
    }

    /// Lets it go on.
    pub fn resume(&self, number: usize) {
        self.signal(number, "CONT");
        self.programs[number].stopped.store(false, Ordering::Relaxed);
    }

    fn signal(&self, number: usize, name: &str) {
        self.programs[number].server.lock().unwrap().as_ref().expect("it runs").signal(name);
    }

    /// Ends all programs by SIGTERM and starts one, without proxy and nginx. Afterwards nothing is in
    /// progress, not even what the database still did for a program that was killed.
    pub async fn stop_and_restart_one(mut self) -> Self {
        self.balancer = None;
        for program in &self.programs {
            let server = program.server.lock().unwrap().take().expect("all run");
            server.signal("TERM");
            let log = server.log();
            assert!(server.end().0.success(), "{log}");
        }
        self.url = self.database.url().to_owned();
        wait_for_idle_database(&self.database).await;
        self.programs.truncate(1);
        self.kill_and_start(0, 0);
        self
    }

    /// What `storefront audit` says; its exit code must fit.
    pub fn audit(&self) -> Value {
        let mut command = storefront(self.database.folder());
        let audit = output(command.args([
            "audit",
            "--format",
            "json",
            "--database-url",
            self.database.url(),
        ]));
        let report: Value = serde_json::from_str(&stdout(&audit))
            .unwrap_or_else(|e| panic!("{e}: {} {}", stdout(&audit), stderr(&audit)));
        assert_eq!(audit.status.code(), Some(if report["agrees"] == true { 0 } else { 1 }));
        report
    }

    /// The audit, which must find no difference once recovery has completed every open checkout.
    pub fn agrees(&self) -> Value {
        let begun = Instant::now();
        loop {
            let report = self.audit();
            if report["unfinished"] == 0 {
                assert_eq!(report["different"], 0, "{report}");
                return report;
            }
            assert!(begun.elapsed() < TIMEOUT, "unfinished checkouts are not completed: {report}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Starts a program whose clock is so many seconds ahead.
fn start(database: &OwnDatabase, url: &str, port: &Port, ahead: i64) -> Server {
    let mut command = storefront(database.folder());
    command.arg("serve").args(database.arguments(url));
    command.args(["--listen", &port.address.to_string()]);
    if ahead != 0 {
        clock::set_ahead(&mut command, ahead);
    }
    Server::spawn(&mut command, database.folder())
}

/// Waits until no database session works on the schema; a file has no server.
async fn wait_for_idle_database(database: &OwnDatabase) {
    let Some((_, schema)) = database.url().split_once("search_path%3D") else { return };
    // The locks of a session tell which tables it is at work on.
    let busy = format!(
        "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '{schema}'"
    );
    let begun = Instant::now();
    while database.column(&busy).await != ["0"] {
        assert!(begun.elapsed() < TIMEOUT, "the database goes on working");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
