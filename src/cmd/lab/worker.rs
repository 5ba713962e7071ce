//! `storefront lab worker`: a worker for a lab in another process, here or elsewhere.

use anyhow::Context;
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use super::places::TOKEN;
use crate::cmd::signals::Signals;
use crate::cmd::start::{Settings, runtime};
use crate::lab::workers::client::WorkerClient;

/// Offer load for a lab elsewhere
///
/// Asks the lab for tasks, opens the databases that they name, and sends what it has measured. Start as many
/// as a run needs: its intensity times its databases.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The lab, which was started with --workers elsewhere
    #[arg(long, value_name = "URL")]
    orchestrator: Url,
    /// What the lab printed when it started
    #[arg(long, env = TOKEN, value_name = "TOKEN", hide_env_values = true)]
    token: String,
    /// End after one task
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    settings: Settings<false, false, false>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    args.settings.start()?;
    runtime()?.block_on(work(args))
}

async fn work(args: &Args) -> anyhow::Result<()> {
    let client = WorkerClient::new(args.orchestrator.clone(), args.token.clone())
        .context("cannot make an HTTP client")?;
    let (signals, stop) = (Signals::watch()?, CancellationToken::new());
    let signal = {
        let stop = stop.clone();
        async move {
            signals.nth(1).await;
            stop.cancel();
            std::future::pending::<()>().await;
        }
    };
    tracing::info!(orchestrator = %args.orchestrator, "worker asks for tasks");
    tokio::select! {
        ended = client.run(args.once, &stop) => ended.map_err(anyhow::Error::msg),
        () = signal => Ok(()),
    }
}
