//! The databases of a bench. Each gets a generation of its own, which is dropped at its end.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::config::database::{Database, replica_url};
use crate::db;
use crate::db::storage::{
    CreateGeneration, DropGeneration, ErrorKind, GenerationStore, StorageError,
};
use crate::lab::model::{DatabaseType, Generation, LabId, Layout, StartingState, Target};
use crate::lab::starting_state;

/// In place of a URL: nothing is loaded.
const DRY: &str = "dry";

/// A database that is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchDatabase {
    /// In tables and arguments.
    pub name: String,
    /// Where it is; `None`: nothing is loaded, which shows the driver's own cost.
    pub server: Option<BenchServer>,
}

/// Where a generation is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchServer {
    url: String,
    /// `HOST` or `HOST:PORT`.
    replica: Option<String>,
    /// `None`: no stand-in.
    stand_in: Option<Layout>,
}

impl BenchDatabase {
    /// Reads `NAME=URL`, `NAME=URL,REPLICA` or `NAME=dry`.
    ///
    /// # Errors
    /// What to write instead; it names no part of the URL, because of its password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "write NAME=URL, NAME=URL,REPLICA or NAME=dry";
        let (name, place) = text.split_once('=').ok_or_else(|| form.to_owned())?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 40 || !name.chars().all(is_word) {
            return Err(format!(
                "a name has 1 to 40 letters, digits, dots, dashes and underscores: {form}"
            ));
        }
        let named = |server| Self { name: name.to_owned(), server };
        if place == DRY {
            return Ok(named(None));
        }
        let (url, replica) = split_replica(place);
        let checked = match replica {
            Some(replica) => replica_url(url, replica).map(drop),
            None => Database::of(url, None).map(drop),
        };
        checked.map_err(|why| format!("{name}: {why}"))?;
        let replica = replica.map(str::to_owned);
        Ok(named(Some(BenchServer { url: url.to_owned(), replica, stand_in: None })))
    }

    /// Embedded databases in place of one server, one with a replica, and a cluster: in that folder.
    #[must_use]
    pub fn stand_ins(folder: &Path) -> Vec<Self> {
        let layouts = [Layout::One, Layout::SeparateReads, Layout::Partitioned];
        let stand_in = |(database_type, layout): (DatabaseType, Layout)| {
            let name = database_type.name().to_owned();
            let url = format!("embedded:{}", folder.join(&name).join("store.db").display());
            Self { name, server: Some(BenchServer { url, replica: None, stand_in: Some(layout) }) }
        };
        DatabaseType::ALL.into_iter().zip(layouts).map(stand_in).collect()
    }
}

/// The replica follows the last comma of the path: those before it separate the hosts of a cluster.
fn split_replica(place: &str) -> (&str, Option<&str>) {
    let path = place.find("://").map(|scheme| scheme + 3);
    let path = path.and_then(|start| place[start..].find('/').map(|slash| start + slash));
    match path.and_then(|path| place[path..].rfind(',').map(|comma| path + comma)) {
        Some(comma) => (&place[..comma], Some(&place[comma + 1..])),
        None => (place, None),
    }
}

/// A database that is ready to be loaded.
#[derive(Debug, Clone, Serialize)]
pub struct Prepared {
    /// As [`BenchDatabase::name`].
    pub name: String,
    /// Such as `PostgreSQL 18.6`.
    pub description: String,
    /// The generation; `None`: nothing is loaded.
    #[serde(skip)]
    pub target: Option<Target>,
}

/// The generations of one bench.
#[derive(Default)]
pub struct Generations {
    lab: LabId,
    created: Vec<Created>,
}

struct Created {
    name: String,
    store: Arc<dyn GenerationStore>,
    generation: Generation,
}

impl Generations {
    /// Creates a generation of a database, and fills it. If this fails [`Self::remove`] drops what was created.
    /// It should run to its end: what the store still does for a future that was dropped could create its files
    /// again after they were removed.
    ///
    /// # Errors
    /// Those of the database, and [`ErrorKind::Invalid`] where a right is missing.
    pub async fn prepare(
        &mut self,
        database: &BenchDatabase,
        rows: &StartingState,
    ) -> Result<Prepared, StorageError> {
        let name = database.name.clone();
        let Some(server) = &database.server else {
            let description = "no database: the driver's own cost".to_owned();
            return Ok(Prepared { name, description, target: None });
        };
        let invalid = |why| StorageError::new(ErrorKind::Invalid, why);
        let parsed = Database::of(&server.url, None).map_err(invalid)?;
        let store = db::generations(&parsed.url, self.lab)?;
        let facts = store.check().await?;
        // A bench has no store that counts generations; the mark distinguishes those of another bench.
        let generation = Generation(rand::random());
        let created = Created { name: name.clone(), store: Arc::clone(&store), generation };
        // Before it is created, so that it is removed if the call is interrupted.
        self.created.push(created);
        if store.create(generation).await? == CreateGeneration::Unmarked {
            let text = format!("{generation} is there already and is not this bench's: try again");
            return Err(StorageError::new(ErrorKind::Invalid, text));
        }
        let target = server.target(store.url(generation)).map_err(invalid)?;
        starting_state::fill(&target, rows).await?;
        let stand_in = if server.stand_in.is_some() { ", a stand-in" } else { "" };
        let description = format!("{}{stand_in}", facts.name);
        Ok(Prepared { name, description, target: Some(target) })
    }

    /// The generations that [`Self::remove`] would drop, for a message: `storefront_lab_7 of sql`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |one: &Created| format!("{} of {}", one.generation, one.name);
        self.created.iter().map(name).collect()
    }

    /// Drops what was created and has this bench's mark.
    ///
    /// # Errors
    /// A sentence for each that is left.
    pub async fn remove(&mut self) -> Result<(), Vec<String>> {
        let mut left = Vec::new();
        for Created { name, store, generation } in self.created.drain(..) {
            match store.remove(generation).await {
                // What has no mark was not created by this bench.
                Ok(DropGeneration::Dropped | DropGeneration::Unmarked) => {}
                Err(error) => left.push(format!(
                    "{generation} of {name} could not be dropped, drop it by hand: {}",
                    error.with_causes()
                )),
            }
        }
        if left.is_empty() { Ok(()) } else { Err(left) }
    }
}

impl BenchServer {
    fn target(&self, url: String) -> Result<Target, String> {
        let replica = self.replica.as_deref().map(|replica| replica_url(&url, replica));
        let layout = self.stand_in.unwrap_or(Layout::One);
        Ok(Target { replica_url: replica.transpose()?, url, layout })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: StartingState = StartingState { games: 20, items: 2, users: 2, orders: 10 };

    fn parsed(text: &str) -> (String, Option<(String, Option<String>)>) {
        let BenchDatabase { name, server } = BenchDatabase::parse(text).unwrap();
        (name, server.map(|server| (server.url, server.replica)))
    }

    #[test]
    fn a_database_is_named_with_its_url_and_its_replica() {
        let server = |url: &str, replica: Option<&str>| {
            ("a".to_owned(), Some((url.to_owned(), replica.map(str::to_owned))))
        };
        assert_eq!(parsed("a=embedded:./x,y.db"), server("embedded:./x,y.db", None));
        assert_eq!(parsed("a=postgres://u:p@h:5433/d"), server("postgres://u:p@h:5433/d", None));
        assert_eq!(parsed("a=postgres://h/d,r:5433"), server("postgres://h/d", Some("r:5433")));
        assert_eq!(parsed("a=cassandra://h,i:9042/k"), server("cassandra://h,i:9042/k", None));
        assert_eq!(parsed("a=dry"), ("a".to_owned(), None));
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_showing_a_password() {
        for text in [
            "dry",
            "=dry",
            "a b=dry",
            "a=mysql://u:secret@h/d",
            "a=postgres://u:secret@h/d,",
            "a=cassandra://u:secret@h/k,replica",
            "postgres://u:secret@h/d",
        ] {
            let why = BenchDatabase::parse(text).unwrap_err();
            assert!(!why.is_empty() && !why.contains("secret"), "{text}: {why}");
        }
    }

    #[tokio::test]
    async fn what_was_created_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut generations = Generations::default();
        for database in BenchDatabase::stand_ins(folder.path()) {
            let prepared = generations.prepare(&database, &ROWS).await.unwrap();
            assert!(prepared.description.ends_with(", a stand-in"), "{}", prepared.description);
        }
        let other = folder.path().join("sql/storefront_lab_1");
        std::fs::create_dir(&other).unwrap();
        assert_eq!(generations.names().len(), 3);
        generations.remove().await.unwrap();
        let left = |name: &str| std::fs::read_dir(folder.path().join(name)).unwrap().count();
        assert_eq!(["sql", "sqlrep", "spanner"].map(left), [1, 0, 0]);
        assert!(other.exists() && generations.names().is_empty());
    }
}
