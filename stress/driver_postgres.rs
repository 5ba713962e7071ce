//! The driver alone: reads the row of a game by the store's prepared statement, without HTTP.
//!
//! Part of the load harness, not of the product. By default all operations are pipelined on one
//! tokio-postgres connection; `--connections` opens more.

mod closed_loop;
mod latencies;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use clap::Parser;
use closed_loop::{ClosedLoop, Operation};
use tokio_postgres::{Client, NoTls, Statement};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FIND: &str = "SELECT game_id, game_name, description, release_date, developer, publisher, \
                    tags FROM overviews WHERE game_id = $1";

#[derive(Debug, Parser)]
#[command(about = "Point reads through tokio-postgres alone; prints one JSON object")]
struct Args {
    /// postgres://USER:PASSWORD@127.0.0.1:PORT/DATABASE?sslmode=disable
    #[arg(long)]
    url: String,
    /// Connections to the database, each with its share of the operations.
    #[arg(long, value_name = "C", default_value = "1")]
    connections: NonZeroUsize,
    #[command(flatten)]
    load: ClosedLoop,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(args.url.contains("@127.0.0.1:"), "load goes to 127.0.0.1 only");
    let mut lanes = Vec::new();
    for _ in 0..args.connections.get() {
        let (client, connection) =
            tokio_postgres::connect(&args.url, NoTls).await.context("cannot connect")?;
        // An operation on a broken connection fails by itself, so its end needs no handling here.
        tokio::spawn(connection);
        let statement = client.prepare(FIND).await?;
        lanes.push((client, statement));
    }
    let find = Find { lanes, turn: AtomicUsize::new(0) };
    let report = args.load.run(find).await?;
    println!("{report}");
    Ok(())
}

struct Find {
    lanes: Vec<(Client, Statement)>,
    turn: AtomicUsize,
}

impl Operation for Find {
    /// Reads every column, as the store does.
    async fn run(&self, id: i32) -> anyhow::Result<()> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (client, statement) = &self.lanes[turn % self.lanes.len()];
        let row = client.query_one(statement, &[&id]).await?;
        let found: i32 = row.try_get(0)?;
        for column in 1..6 {
            let _: String = row.try_get(column)?;
        }
        let _: Option<Vec<Option<String>>> = row.try_get(6)?;
        ensure!(found == id, "another game was found");
        Ok(())
    }
}
