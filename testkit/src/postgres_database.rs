//! A whole PostgreSQL database for one test, with an owner of its own whose password is secret.

use reqwest::Url;

use crate::database::block_on;
use crate::postgres::{NEWEST, address, column, execute};

const ADMIN: &str = "STOREFRONT_TEST_POSTGRES_ADMIN";
/// The owner's password, which must not stand in anything that the program prints.
pub const PASSWORD: &str = "hunter2-of-a-test";

/// An empty database and its owner, removed with the value.
pub struct PostgresDatabase {
    /// The name of both.
    pub name: String,
}

impl PostgresDatabase {
    /// A new one.
    pub async fn create() -> Self {
        Self::create_with("").await
    }

    /// A new one with further options of CREATE DATABASE.
    pub async fn create_with(options: &str) -> Self {
        let name = format!("test_{:016x}", rand::random::<u64>());
        let admin = address(ADMIN);
        execute(&admin, &format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")).await;
        execute(&admin, &format!("CREATE DATABASE {name} OWNER {name} {options}")).await;
        Self { name }
    }

    /// Its URL, as its owner.
    pub fn url(&self) -> Url {
        let mut url: Url = address(NEWEST).parse().expect("a URL");
        url.set_username(&self.name).expect("a URL with a host");
        url.set_password(Some(PASSWORD)).expect("a URL with a host");
        url.set_path(&self.name);
        url
    }

    /// Its URL as another user, who may change rows and nothing else, once
    /// [`Self::grant_rights_on_rows`] has said of which tables.
    pub async fn url_of_user_with_rights_on_rows(&self) -> Url {
        let user = self.user_with_rights_on_rows();
        self.administer(&format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")).await;
        let mut url = self.url();
        url.set_username(&user).expect("a URL with a host");
        url
    }

    /// Gives that user the rights on all tables and sequences that there are.
    pub async fn grant_rights_on_rows(&self) {
        let user = self.user_with_rights_on_rows();
        for right in [
            "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES",
            "USAGE ON ALL SEQUENCES",
            "EXECUTE ON ALL FUNCTIONS",
        ] {
            self.execute(&format!("GRANT {right} IN SCHEMA public TO {user}")).await;
        }
    }

    fn user_with_rights_on_rows(&self) -> String {
        format!("{}_rows", self.name)
    }

    /// Runs one statement as the server's administrator.
    pub async fn administer(&self, sql: &str) {
        execute(&address(ADMIN), sql).await;
    }

    /// Runs statements in it as the server's administrator.
    pub async fn administer_inside(&self, sql: &str) {
        let mut url: Url = address(ADMIN).parse().expect("a URL");
        url.set_path(&self.name);
        execute(url.as_str(), sql).await;
    }

    /// Runs statements in it.
    pub async fn execute(&self, sql: &str) {
        execute(self.url().as_str(), sql).await;
    }

    /// The first column of a query's rows, as text.
    pub async fn column(&self, sql: &str) -> Vec<String> {
        column(self.url().as_str(), sql).await
    }

    /// Ends every connection to it, as a restart of the server would.
    pub async fn disconnect_all(&self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
        self.administer(&format!("{sql} '{}'", self.name)).await;
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let (name, user) = (self.name.clone(), self.user_with_rights_on_rows());
        block_on(async move || {
            let admin = address(ADMIN);
            execute(&admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
            execute(&admin, &format!("DROP ROLE IF EXISTS {user}")).await;
            execute(&admin, &format!("DROP ROLE {name}")).await;
        });
    }
}
