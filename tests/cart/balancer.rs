//! A real nginx before several programs, with the configuration of `deploy/nginx`.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::ports::Port;
use testkit::process::{program, signal, wait};
use testkit::wait::TIMEOUT;

const SERVER: &str = include_str!("../../deploy/nginx/storefront.conf");
const UPSTREAM: &str = include_str!("../../deploy/nginx/storefront-upstream.conf");
/// Which programs a request was sent to, in an answer; with commas between them.
pub const SENT_TO: &str = "test-sent-to";
/// What the system's own nginx.conf says elsewhere. It runs as the user who runs the tests.
const AROUND: &str = "
user root; daemon off; pid nginx.pid; worker_processes 2; error_log error.log;
events { worker_connections 4096; }
http {
    log_format ways '$status $upstream_addr';
    access_log access.log ways;
    add_header test-sent-to $upstream_addr always;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include storefront-upstream.conf; include storefront.conf;
}
";

/// Runs as long as the value.
pub struct Balancer {
    child: Child,
    folder: PathBuf,
    programs: Vec<SocketAddr>,
    port: Port,
}

impl Balancer {
    /// One that is ready, for as many programs as `deploy/nginx` has servers.
    pub async fn before(programs: Vec<SocketAddr>, folder: &Path) -> Self {
        let (folder, port) = (folder.join("nginx"), Port::free());
        std::fs::create_dir(&folder).expect("a folder for nginx");
        let server = with(SERVER, "listen 80 ", &format!("listen {} ", port.address));
        for (name, text) in [
            ("nginx.conf", AROUND),
            ("storefront.conf", &server),
            ("storefront-upstream.conf", &upstream(&programs)),
        ] {
            std::fs::write(folder.join(name), text).expect("a file for nginx");
        }
        let nginx = std::env::var_os("STOREFRONT_TEST_NGINX").unwrap_or_else(|| "nginx".into());
        let mut command = program(Path::new(&nginx), &folder);
        command.arg("-p").arg(&folder).args(["-e", "error.log", "-c", "nginx.conf"]);
        let child = command.stderr(Stdio::null()).spawn().unwrap_or_else(|e| {
            panic!(
                "{}: {e}; set STOREFRONT_TEST_NGINX to what `scripts/debian nginx nginx` prints, \
                 or run `scripts/test`",
                nginx.display()
            )
        });
        let mut balancer = Self { child, folder, programs, port };
        balancer.ready().await;
        balancer
    }

    /// Such as `http://127.0.0.1:40123`.
    pub fn base(&self) -> String {
        format!("http://{}", self.port.address)
    }

    async fn ready(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(self.port.address).is_err() {
            let ended = self.child.try_wait().expect("a child can be asked");
            let late = begun.elapsed() > TIMEOUT;
            assert!(ended.is_none() && !late, "nginx is not ready: {}", self.log("error.log"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many requests a program has answered through it, refusals included.
    pub fn answers_of(&self, program: usize) -> usize {
        let address = self.programs[program].to_string();
        let answers = |line: &&str| !line.starts_with('5') && line.ends_with(&address);
        self.log("access.log").lines().filter(answers).count()
    }

    /// How many requests were brought to a second program.
    pub fn second_tries(&self) -> usize {
        // With a comma between addresses; with a colon and spaces where it took another way.
        let second = |line: &&str| line.contains(", ") || line.contains(" : ");
        self.log("access.log").lines().filter(second).count()
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Its workers would outlive a SIGKILL. It may have ended already.
        if let Ok(None) = self.child.try_wait() {
            signal(self.child.id(), "TERM");
            wait(&mut self.child);
        }
    }
}

/// The shipped upstream with other addresses, all else as it is.
fn upstream(programs: &[SocketAddr]) -> String {
    assert_eq!(UPSTREAM.matches("\n    server ").count(), programs.len(), "deploy/nginx");
    (3001..).zip(programs).fold(UPSTREAM.to_owned(), |text, (shipped, address)| {
        with(&text, &format!("server 127.0.0.1:{shipped} "), &format!("server {address} "))
    })
}

/// The text with something else in the one place where that stands.
fn with(text: &str, shipped: &str, other: &str) -> String {
    assert_eq!(text.matches(shipped).count(), 1, "`{shipped}` in deploy/nginx");
    text.replace(shipped, other)
}
