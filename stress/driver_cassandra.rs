//! The driver alone: reads the row of a game by the store's prepared statement, without HTTP.
//!
//! Part of the load harness, not of the product. Reads go to the seeded table; inserts (without a
//! condition, like those of a bulk load) to a table of the same columns in the keyspace
//! `stress_scratch`.

mod closed_loop;
mod latencies;

use std::num::NonZeroUsize;

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use closed_loop::{ClosedLoop, Operation};
use scylla::client::PoolSize;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::prepared::PreparedStatement;
use storefront_seed::{Game, Generator};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FIND: &str = "SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags FROM overviews WHERE game_id = ?";
const INSERT: &str = "INSERT INTO stress_scratch.overviews (game_id, game_name, description, \
                      release_date, developer, publisher, tags) VALUES (?, ?, ?, ?, ?, ?, ?)";
const SCRATCH: &str = "CREATE KEYSPACE IF NOT EXISTS stress_scratch WITH replication = \
                       {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS stress_scratch.overviews (game_id int PRIMARY KEY, \
                     game_name text, description text, release_date text, developer text, \
                     publisher text, tags frozen<list<text>>)";
/// How many different games are inserted, each time under a new id.
const GAMES: i32 = 10_000;

#[derive(Debug, Parser)]
#[command(about = "Point reads or inserts through the scylla driver alone; prints one JSON object")]
struct Args {
    /// cassandra://127.0.0.1:PORT/KEYSPACE
    #[arg(long)]
    url: String,
    #[arg(long, value_enum, default_value_t = StatementKind::Select)]
    statement: StatementKind,
    /// Connections to the database, each with its share of the operations.
    #[arg(long, value_name = "C", default_value = "1")]
    connections: NonZeroUsize,
    #[command(flatten)]
    load: ClosedLoop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatementKind {
    Select,
    Insert,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (host, keyspace) = parts(&args.url).context("write cassandra://127.0.0.1:PORT/KEYSPACE")?;
    ensure!(host.starts_with("127.0.0."), "load goes to 127.0.0.1 only");
    let session = SessionBuilder::new()
        .known_node(host)
        .pool_size(PoolSize::PerHost(args.connections))
        .fetch_schema_metadata(false)
        .build()
        .await
        .context("cannot connect")?;
    let report = match args.statement {
        StatementKind::Select => {
            session.use_keyspace(keyspace, true).await?;
            let mut statement = session.prepare(FIND).await?;
            statement.set_use_cached_result_metadata(true);
            statement.set_is_idempotent(true);
            args.load.run(Find { session, statement }).await?
        }
        StatementKind::Insert => {
            session.query_unpaged(SCRATCH, ()).await?;
            session.query_unpaged(TABLE, ()).await?;
            let statement = session.prepare(INSERT).await?;
            let generator = Generator::new(args.load.seed);
            let games = (1..=GAMES).map(|id| generator.game(id)).collect();
            // A new id each time: an insert must not overwrite a row.
            let load = ClosedLoop { first: args.load.first.or(Some(1)), ..args.load };
            load.run(Insert { session, statement, games }).await?
        }
    };
    println!("{report}");
    Ok(())
}

/// Host with port, and keyspace.
fn parts(url: &str) -> Option<(&str, &str)> {
    let (host, keyspace) = url.strip_prefix("cassandra://")?.split_once('/')?;
    Some((host, keyspace.split('?').next()?))
}

struct Find {
    session: Session,
    statement: PreparedStatement,
}

type Row = (i32, String, String, String, String, String, Vec<String>);

impl Operation for Find {
    /// Reads every column, as the store does.
    async fn run(&self, id: i32) -> anyhow::Result<()> {
        let result = self.session.execute_unpaged(&self.statement, (id,)).await?;
        let rows = result.into_rows_result()?;
        let (found, ..) = rows.single_row::<Row>()?;
        ensure!(found == id, "another game was found");
        Ok(())
    }
}

struct Insert {
    session: Session,
    statement: PreparedStatement,
    games: Vec<Game>,
}

impl Operation for Insert {
    async fn run(&self, id: i32) -> anyhow::Result<()> {
        let game = &self.games[(id.cast_unsigned() % GAMES.cast_unsigned()) as usize];
        let Game { game_name, description, release_date, developer, publisher, tags, .. } = game;
        let values = (id, game_name, description, release_date, developer, publisher, tags);
        self.session.execute_unpaged(&self.statement, values).await?;
        Ok(())
    }
}
