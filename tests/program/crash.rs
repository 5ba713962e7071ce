//! SIGKILL in the middle of writes, to games as well as to carts: whatever was acknowledged is there
//! afterwards.

use std::sync::Arc;

use rand::RngExt;
use tokio::task::JoinHandle;

use testkit::process::Server;
use testkit::random;
use testkit::workload::{self, Acknowledged, Direct, Progress};

const CLIENTS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_by_kill_9() {
    let mut rng = random::rng();
    let folder = tempfile::tempdir().unwrap();
    let mut known = Acknowledged::default();
    for _ in 0..random::rounds(5) {
        let server = Arc::new(Server::start(folder.path()));
        known.verify(&server).await;
        let (progress, seed) = (Arc::new(Progress::default()), rng.random());
        let client = |number| {
            let (sender, progress) = (Direct(Arc::clone(&server)), Arc::clone(&progress));
            tokio::spawn(async move { workload::client(&sender, &progress, number, seed).await })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        // The kill comes after so many acknowledged writes, not after a time.
        let enough = rng.random_range(50..800);
        while progress.acknowledged() < enough {
            assert!(!clients.iter().any(JoinHandle::is_finished), "a client got a wrong answer");
            tokio::task::yield_now().await;
        }
        assert_eq!(progress.unknown(), 0, "{}", server.log());
        testkit::process::signal(server.id(), "KILL");
        progress.stop();
        for client in clients {
            known.add(client.await.expect("a client got only correct answers"));
        }
    }
    known.verify(&Server::start(folder.path())).await;
}
