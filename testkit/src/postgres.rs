//! A schema for one test in a real PostgreSQL database.

use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::database::block_on;

/// The variable with the URL of the newest version; `scripts/test` starts the servers and sets it.
pub const NEWEST: &str = "STOREFRONT_TEST_POSTGRES";
/// The variable with the URL of the oldest version that is supported.
pub const OLDEST: &str = "STOREFRONT_TEST_POSTGRES15";
/// The variable with the URL of the streaming replica of the newest version.
pub const REPLICA: &str = "STOREFRONT_TEST_POSTGRES_REPLICA";

/// The value of a variable.
pub fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run `scripts/servers up postgres postgres15` and set it to the \
             URL that it prints, or run `scripts/test`"
        )
    })
}

/// An empty schema, removed with the value.
pub struct OwnSchema {
    server: String,
    name: String,
}

impl OwnSchema {
    /// A new one on the server that the variable names.
    pub async fn create(variable: &str) -> Self {
        let server = address(variable);
        let name = format!("test_{:016x}", rand::random::<u64>());
        execute(&server, &format!("CREATE SCHEMA {name}")).await;
        Self { server, name }
    }

    /// The URL of a database that has this schema only.
    pub fn url(&self) -> String {
        self.url_at(&self.server)
    }

    /// The same by another address of the server.
    pub fn url_at(&self, server: &str) -> String {
        let separator = if server.contains('?') { '&' } else { '?' };
        format!("{server}{separator}options=-csearch_path%3D{}", self.name)
    }
}

impl Drop for OwnSchema {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), drop_schemas(&self.name));
        block_on(async move || execute(&server, &sql).await);
    }
}

/// Removes a schema, and the one of its activities.
fn drop_schemas(name: &str) -> String {
    format!("DROP SCHEMA {name} CASCADE; DROP SCHEMA IF EXISTS {name}_activities CASCADE")
}

/// Runs statements on a connection of their own.
pub async fn execute(url: &str, sql: &str) {
    query(url, sql).await;
}

/// The first column of a query's rows, as text.
pub async fn column(url: &str, sql: &str) -> Vec<String> {
    let messages = query(url, sql).await;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("null").to_owned()),
        _ => None,
    });
    rows.collect()
}

async fn query(url: &str, sql: &str) -> Vec<SimpleQueryMessage> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server is up");
    let connection = tokio::spawn(connection);
    let messages = client.simple_query(sql).await.expect("the statements succeed");
    drop(client);
    connection.await.expect("no panic").expect("the connection ends well");
    messages
}

/// A transaction that holds its locks until it is committed, or dropped.
pub struct OpenTransaction {
    client: tokio_postgres::Client,
}

impl OpenTransaction {
    /// Begins one under that name and runs statements in it.
    pub async fn begin(url: &str, application_name: &str, sql: &str) -> Self {
        let mut config: tokio_postgres::Config = url.parse().expect("a URL");
        config.application_name(application_name);
        let (client, connection) = config.connect(NoTls).await.expect("the server is up");
        tokio::spawn(connection);
        client.batch_execute(&format!("BEGIN; {sql}")).await.expect("the statements succeed");
        Self { client }
    }

    /// Runs further statements in it.
    pub async fn execute(&self, sql: &str) {
        self.client.batch_execute(sql).await.expect("the statements succeed");
    }

    /// Ends it.
    pub async fn commit(self) {
        self.client.batch_execute("COMMIT").await.expect("the transaction is open");
    }
}
