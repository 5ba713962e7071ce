//! `storefront activities`: messages and tables of activities, for terminals and scripts.

mod print;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};

use self::print::Output;
use super::start::{GlobalSettings, runtime};
use crate::activities::model::{MessageId, Name};
use crate::db::storage::{
    ActContext, ActivityStore, Discard, Message, MessageState, NewMessage, Retry,
};
use crate::db::{self, MigrationPolicy};
use crate::telemetry::Registry;

/// Show and retry messages of activities, and show their tables
///
/// Reads the store directly, so that no server needs to run; servers may run meanwhile.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    /// JSON, one object in a line, in place of aligned text
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    settings: GlobalSettings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List messages, newest first
    List {
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Only those that are older than this message
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Show a message
    Show {
        /// Its id
        id: String,
    },
    /// Queue a rejected message again
    Retry {
        /// Its id
        id: String,
    },
    /// Remove a rejected message
    Discard {
        /// Its id
        id: String,
    },
    /// List causes of rejections
    Rejections,
    /// List the tables
    Tables,
    /// List the rows of a table
    Rows {
        /// Its name
        table: String,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        /// Continue after the page that ended with this cursor
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Queued,
    Applied,
    Rejected,
}

impl From<State> for MessageState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Applied => Self::Applied,
            State::Rejected => Self::Rejected,
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let config = args.settings.start()?;
    runtime()?.block_on(async {
        let policy = MigrationPolicy::Require;
        let stores = db::connect(&config.database, policy, &Registry::default()).await?;
        let Some(store) = stores.activities else {
            bail!("{} has no activities", stores.backend);
        };
        carry_out(store.as_ref(), &args.command, Output { json: args.json }).await
    })
}

async fn carry_out(
    store: &dyn ActivityStore,
    command: &Command,
    output: Output,
) -> anyhow::Result<()> {
    match command {
        Command::List { state, after, limit } => {
            let after = after.as_deref().map(id).transpose()?;
            let messages = store.list(state.map(MessageState::from), after, *limit).await?;
            output.messages(&messages)
        }
        Command::Show { id: text } => output.message(&find(store, id(text)?).await?),
        Command::Retry { id: text } => retry(store, id(text)?, output).await,
        Command::Discard { id: text } => discard(store, id(text)?, output).await,
        Command::Rejections => output.rejections(&store.rejections(None, u32::MAX).await?),
        Command::Tables => output.tables(&store.tables().await?),
        Command::Rows { table, limit, after } => {
            let name = Name::parse(table).context("that is no name of a table")?;
            let rows = store.rows(&name, after.clone(), *limit).await?;
            output.rows(&rows.with_context(|| format!("there is no table `{table}`"))?)
        }
    }
}

fn id(text: &str) -> anyhow::Result<MessageId> {
    MessageId::parse(text).with_context(|| format!("`{text}` is no id of a message"))
}

async fn find(store: &dyn ActivityStore, id: MessageId) -> anyhow::Result<Message> {
    store.find(id).await?.with_context(|| format!("there is no message {id}"))
}

async fn retry(store: &dyn ActivityStore, id: MessageId, output: Output) -> anyhow::Result<()> {
    let new = NewMessage { id: MessageId::new(), body: "".into() };
    match store.retry(ActContext::new(), id, new).await? {
        Retry::Queued(new) => output.message(&find(store, new).await?),
        Retry::Missing => bail!("there is no message {id}"),
        Retry::NotRejected(_) => bail!("the message {id} is not rejected"),
        Retry::AlreadyRetried(new) => bail!("the message {id} was retried already, as {new}"),
        Retry::KeyReused => bail!("the message {id} was not retried"),
    }
}

async fn discard(store: &dyn ActivityStore, id: MessageId, output: Output) -> anyhow::Result<()> {
    match store.discard(ActContext::new(), id).await? {
        Discard::Discarded => output.sentence(&format!("{id} was discarded")),
        Discard::Missing => bail!("there is no message {id}"),
        Discard::NotRejected(_) | Discard::KeyReused => bail!("the message {id} is not rejected"),
    }
}
