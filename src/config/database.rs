//! Which database, from a URL or the name of a backend.

use std::fmt;
use std::path::PathBuf;

use super::Reader;

const DEFAULT_FILE: &str = "./data/storefront.db";

/// `--database-url`, `--backend` and the older variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// `--database-url`, `STOREFRONT_DATABASE_URL`, `DATABASE_URL`; or from `--backend`.
    pub url: Url,
    /// Whether the user named it. Only a file that nobody named is filled with demo games.
    pub named: bool,
}

/// The scheme picks the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Url {
    /// `embedded:PATH`, a file on a local file system.
    Embedded(PathBuf),
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(path) => write!(f, "embedded:{}", path.display()),
        }
    }
}

impl Database {
    /// Reads the settings.
    pub fn read(reader: &mut Reader) -> Self {
        let url = reader.optional("database_url", &["DATABASE_URL"], |text| Ok(text.to_owned()));
        // A URL is the whole answer, whatever an older `DB` in the environment says.
        let named = match url {
            Some(_) => {
                reader.optional("backend", &[], |_| Ok(()));
                reader.optional("database_url", &["DATABASE_URL"], parse_url)
            }
            None => reader.optional("backend", &["DB"], parse_backend),
        };
        let is_named = named.is_some();
        Self { url: named.unwrap_or(Url::Embedded(DEFAULT_FILE.into())), named: is_named }
    }

    /// Whether nobody named a database and the default one does not exist yet.
    #[must_use]
    pub fn is_new_default(&self) -> bool {
        let Url::Embedded(path) = &self.url;
        !self.named && !path.exists()
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    // A URL may hold a password: mistakes name its scheme only.
    let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
    match scheme {
        "embedded" if rest.is_empty() => {
            Err("no file is named; write embedded:PATH such as embedded:./data/storefront.db"
                .into())
        }
        "embedded" => Ok(Url::Embedded(rest.into())),
        "postgres" | "postgresql" | "cassandra" => Err(absent(scheme)),
        _ => Err("not a database URL this program knows; write embedded:PATH such as \
                  embedded:./data/storefront.db"
            .into()),
    }
}

fn parse_backend(text: &str) -> Result<Url, String> {
    match text {
        "embedded" => Ok(Url::Embedded(DEFAULT_FILE.into())),
        "postgres" | "cassandra" => Err(absent(text)),
        other => Err(format!("`{other}` is not a backend of this version; use embedded")),
    }
}

fn absent(backend: &str) -> String {
    format!("this version has no {backend} backend yet; use embedded:PATH")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Mistakes, Sources};

    fn read(environment: &[(&str, &str)]) -> Result<Database, Mistakes> {
        let environment =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut reader =
            Reader::of(Sources { environment, flags: BTreeMap::new(), file: BTreeMap::new() });
        let database = Database::read(&mut reader);
        reader.finish(database)
    }

    #[test]
    fn nothing_named_is_the_default_file() {
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
        for (from, path) in ["a", "b", DEFAULT_FILE].into_iter().enumerate() {
            let database = read(&all[from..]).unwrap();
            assert_eq!(database, Database { url: Url::Embedded(path.into()), named: true });
        }
    }

    #[test]
    fn a_url_makes_an_older_choice_of_backend_moot() {
        let both = [("DATABASE_URL", "embedded:b"), ("DB", "cassandra")];
        assert_eq!(read(&both).unwrap().url, Url::Embedded("b".into()));
    }

    #[test]
    fn a_mistake_never_shows_the_url() {
        for url in ["mysql://u:secret@h/d", "postgres://u:secret@h/d", "secret"] {
            let error = read(&[("DATABASE_URL", url)]).unwrap_err().to_string();
            assert!(error.starts_with("DATABASE_URL: ") && !error.contains("secret"), "{error}");
        }
        assert!(read(&[("DATABASE_URL", "embedded:")]).is_err());
        assert!(read(&[("DB", "oracle")]).is_err());
    }
}
