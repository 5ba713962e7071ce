//! Keyspaces of tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::connection::Cluster;
use super::open;
use crate::config::database::cassandra::Cassandra;
use crate::config::database::{Database, Url};
use crate::config::{SettingsLoader, Sources};
use crate::db::{MigrationPolicy, Stores};
use crate::telemetry::Registry;

const SERVER: &str = "STOREFRONT_TEST_CASSANDRA";

/// A new keyspace of the test server, which does not exist yet.
pub(super) fn settings() -> Cassandra {
    let server = std::env::var(SERVER).expect("`. scripts/test-servers` sets the server");
    let address = server.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let url = format!("{address}/storefront_test_{:016x}?timeout=20000", rand::random::<u64>());
    let flags = BTreeMap::from([("database_url", url)]);
    let mut loader = SettingsLoader::of(Sources { flags, ..Sources::default() });
    let database = Database::read(&mut loader);
    match loader.finish(database).expect("a sound URL").url {
        Url::Cassandra(settings) => settings,
        _ => panic!("{SERVER} is not a Cassandra"),
    }
}

/// Two servers on one new keyspace.
pub(super) struct TwoServers {
    pub(super) cluster: Arc<Cluster>,
    pub(super) first: Stores,
    pub(super) second: Stores,
}

impl TwoServers {
    pub(super) async fn new() -> Self {
        let (settings, registry) = (settings(), Registry::default());
        let first = open(&settings, MigrationPolicy::Migrate, &registry).await.unwrap();
        let second = open(&settings, MigrationPolicy::Require, &Registry::default()).await.unwrap();
        Self { cluster: Cluster::connect(&settings).await.unwrap(), first, second }
    }

    /// Runs a statement; `$` in it stands for the keyspace.
    pub(super) async fn run(&self, text: &str) {
        self.cluster.session().query_unpaged(self.cluster.text(text), ()).await.unwrap();
    }

    /// Audits the cart, and drops the keyspace.
    pub(super) async fn end(self) {
        let audit = self.second.audit.audit().await.unwrap();
        assert_eq!(audit.different, 0, "{:?}", audit.differences);
        self.run("DROP KEYSPACE $").await;
    }
}
