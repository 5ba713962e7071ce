//! Which database, from a URL or the name of a backend.

pub mod cassandra;
mod parts;
pub mod postgres;
pub mod postgres_limits;
mod replica;
mod text;

use std::fmt;
use std::path::PathBuf;

use self::cassandra::Cassandra;
use self::postgres::Postgres;
use self::postgres_limits::Limits;
pub use self::replica::{replica_url, server_of};
pub use self::text::UrlText;
use crate::config::loader::SettingsLoader;
use crate::config::setting::{Setting, settings};

const KNOWN: &str = "embedded:PATH, postgres://USER:PASSWORD@HOST/DATABASE or \
                     cassandra://HOST,HOST/KEYSPACE";

settings! {
    /// The settings that name a database.
    pub struct Given {
        /// The database; its scheme picks the backend: embedded:PATH,
        /// postgres://USER:PASSWORD@HOST/DATABASE or cassandra://HOST,HOST/KEYSPACE
        database_url: Url = parse_url("URL"), default "embedded:./data/storefront.db",
            older "DATABASE_URL";
        /// A backend at its usual local address: embedded, postgres or cassandra. Ignored where a
        /// URL is given
        backend: Option<String> = text("NAME"), older "DB";
        /// A streaming replica of the PostgreSQL database that may answer reads
        replica_url: Option<Postgres> = postgres::parse("URL");
    }
}

/// The database that the settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// From `--database-url` or `--backend`.
    pub url: Url,
    /// Whether a setting named it. Only the default file is filled with demo games.
    pub named: bool,
}

/// The scheme picks the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Url {
    /// `embedded:PATH`, a file on a local file system.
    Embedded(PathBuf),
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    Postgres(Box<Postgres>),
    /// `cassandra://HOST1,HOST2:PORT/KEYSPACE`.
    Cassandra(Cassandra),
}

/// Without the password.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(path) => write!(f, "embedded:{}", path.display()),
            Self::Postgres(postgres) => postgres.fmt(f),
            Self::Cassandra(cassandra) => cassandra.fmt(f),
        }
    }
}

impl Database {
    /// Reads the settings.
    pub fn read(loader: &mut SettingsLoader) -> Self {
        let Given { database_url: mut url, backend, replica_url } = Given::read(loader);
        let has_url = loader.is_given(&Given::database_url);
        let named = has_url || backend.is_some();
        // `DB` of the earlier service is often still set where a URL is given.
        if let Some(name) = backend.filter(|_| !has_url) {
            match usual_address(&name, url.clone(), loader) {
                Ok(usual) => url = usual,
                Err(why) => loader.refuse(&Given::backend, &why),
            }
        }
        let limits = Limits::read(loader, replica_url.is_some());
        if let Url::Postgres(primary) = &mut url {
            primary.limits = limits;
        }
        match (&mut url, replica_url) {
            (_, None) => {}
            (Url::Postgres(primary), Some(mut replica)) => {
                replica.limits = limits;
                primary.replica = Some(Box::new(replica));
            }
            (_, Some(_)) => {
                loader.refuse(&Given::replica_url, "only a PostgreSQL database has a replica")
            }
        }
        Self { url, named }
    }

    /// The database of a URL and of its replica's URL, with the default limits.
    ///
    /// # Errors
    /// What to write instead; it names no part of the URLs, because of passwords.
    pub fn of(url: &str, replica_url: Option<&str>) -> Result<Self, String> {
        let mut url = parse_url(url)?;
        match (&mut url, replica_url) {
            (_, None) => {}
            (Url::Postgres(primary), Some(replica)) => {
                let limits = Limits::usual(true);
                let replica = Postgres { limits, ..postgres::parse(replica)? };
                primary.limits = limits;
                primary.replica = Some(Box::new(replica));
            }
            (_, Some(_)) => return Err("only a PostgreSQL database has a replica".to_owned()),
        }
        Ok(Self { url, named: true })
    }

    /// Whether no setting named a database and the default file does not exist yet.
    #[must_use]
    pub fn is_new_default(&self) -> bool {
        matches!(&self.url, Url::Embedded(path) if !self.named && !path.exists())
    }
}

fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// Parses what `--database-url` takes.
///
/// # Errors
/// What to write instead; it names no part of the URL, because of the password.
pub fn parse_url(text: &str) -> Result<Url, String> {
    // A URL may hold a password, so an error names no part of it.
    let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
    match scheme {
        "embedded" if rest.is_empty() => {
            Err("no file is named; write embedded:PATH such as embedded:./data/storefront.db"
                .into())
        }
        "embedded" => Ok(Url::Embedded(rest.into())),
        "postgres" | "postgresql" => {
            postgres::parse(text).map(|postgres| Url::Postgres(Box::new(postgres)))
        }
        "cassandra" | "scylla" => cassandra::parse(text).map(Url::Cassandra),
        _ => Err(format!("not a database URL this program knows; write {KNOWN}")),
    }
}

/// A backend at its usual address, on this machine or the host of the earlier service's variables.
fn usual_address(backend: &str, default: Url, loader: &SettingsLoader) -> Result<Url, String> {
    let older = ["PROD_DB_HOST", "DEV_DB_HOST"].into_iter().find_map(|name| loader.variable(name));
    let host = older.as_deref().unwrap_or("127.0.0.1");
    // Deployments that still set `DB` have the earlier service's database.
    let database = if loader.is_older(&Given::backend) { "overviews" } else { "postgres" };
    match backend {
        "embedded" => Ok(default),
        "postgres" => parse_url(&format!("postgres://postgres@{host}/{database}")),
        "cassandra" => parse_url(&format!("cassandra://{host}/storefront")),
        other => Err(format!(
            "`{other}` is not a backend; use embedded, postgres or cassandra, or name a database \
             by --database-url"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{ConfigErrors, Sources};

    fn read(environment: &[(&str, &str)]) -> Result<Database, ConfigErrors> {
        let environment =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut loader = SettingsLoader::of(Sources {
            environment,
            flags: BTreeMap::new(),
            file: BTreeMap::new(),
        });
        let database = Database::read(&mut loader);
        loader.finish(database)
    }

    #[test]
    fn without_settings_it_is_the_default_file() {
        let database = read(&[]).unwrap();
        assert_eq!(database.url.to_string(), "embedded:./data/storefront.db");
        assert!(!database.named);
    }

    #[test]
    fn our_variable_beats_the_common_one_beats_the_old_one() {
        let all = [
            ("STOREFRONT_DATABASE_URL", "embedded:a"),
            ("DATABASE_URL", "embedded:b"),
            ("DB", "embedded"),
        ];
        for (from, path) in ["a", "b", "./data/storefront.db"].into_iter().enumerate() {
            let database = read(&all[from..]).unwrap();
            assert_eq!(database, Database { url: Url::Embedded(path.into()), named: true });
        }
    }

    #[test]
    fn a_url_overrides_an_older_choice_of_backend() {
        let both = [("DATABASE_URL", "embedded:b"), ("DB", "cassandra")];
        assert_eq!(read(&both).unwrap().url, Url::Embedded("b".into()));
    }

    #[test]
    fn a_backend_alone_is_at_its_usual_address() {
        for (environment, shown) in [
            (&[("DB", "postgres")][..], "postgres://postgres@127.0.0.1:5432/overviews"),
            (
                &[("DB", "postgres"), ("NODE_ENV", "production"), ("PROD_DB_HOST", "db1")],
                "postgres://postgres@db1:5432/overviews",
            ),
            (
                &[("STOREFRONT_BACKEND", "postgres"), ("DB", "cassandra")],
                "postgres://postgres@127.0.0.1:5432/postgres",
            ),
            (
                &[("STOREFRONT_BACKEND", "cassandra"), ("DEV_DB_HOST", "c1")],
                "cassandra://c1:9042/storefront",
            ),
        ] {
            assert_eq!(read(environment).unwrap().url.to_string(), shown);
        }
    }

    #[test]
    fn an_error_never_shows_the_url() {
        for url in [
            "mysql://u:secret@h/d",
            "postgres://u:secret@h:port/d",
            "postgres://u:secret@h/d?sslmode=maybe",
            "cassandra://u:secret@h/keyspace-with-dashes",
            "cassandra://u:secret@h/k?consistency=most",
            "postgres://u:Pre@secret@h/d",
            "postgres://u:12/secret@h/d",
            "postgres://u:12?secret@h/d",
            "cassandra://u:12/secret@h/k",
            "cassandra://u:12?secret@h/k",
            "secret",
        ] {
            let error = read(&[("DATABASE_URL", url)]).unwrap_err().to_string();
            assert!(error.starts_with("DATABASE_URL: ") && !error.contains("secret"), "{error}");
        }
        assert!(read(&[("DATABASE_URL", "embedded:")]).is_err());
        assert!(read(&[("DB", "oracle")]).is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in ["postgres://u:secret@h:1/d?sslmode=require", "cassandra://u:secret@h/k"] {
            let database = read(&[("DATABASE_URL", url)]).unwrap();
            assert!(!format!("{} {database:?}", database.url).contains("secret"));
        }
    }

    #[test]
    fn a_database_of_urls_is_the_one_that_settings_would_name() {
        let (url, replica) = ("postgres://u@h/d", "postgres://u@r/d");
        let settings = [("DATABASE_URL", url), ("STOREFRONT_REPLICA_URL", replica)];
        assert_eq!(Database::of(url, Some(replica)), Ok(read(&settings).unwrap()));
        assert_eq!(Database::of(url, None), Ok(read(&settings[..1]).unwrap()));
        assert!(Database::of("embedded:a", Some(replica)).is_err());
        assert!(Database::of(url, Some("embedded:a")).is_err());
    }

    #[test]
    fn only_postgres_has_a_replica() {
        let replica = ("STOREFRONT_REPLICA_URL", "postgres://u@r/d");
        let database = read(&[("DATABASE_URL", "postgres://u@h/d"), replica]).unwrap();
        let Url::Postgres(postgres) = database.url else { panic!() };
        assert_eq!(postgres.replica.unwrap().to_string(), "postgres://u@r:5432/d");
        assert!(read(&[replica]).is_err());
    }
}
