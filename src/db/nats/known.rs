//! What the server says of the stream: its identity, how far it goes, and whether it may be used.

use async_nats::Client;
use async_nats::jetstream::stream::{
    ClusterInfo, Config, DiscardPolicy, Info, PersistenceMode, RetentionPolicy, StorageType,
};
use uuid::Uuid;

use super::message::Subjects;
use crate::db::storage::{ErrorKind, StorageError};

/// Under this name the stream's metadata has its identity, written when it is made: another stream of the
/// same name has another one.
pub(super) const IDENTITY: &str = "storefront_stream_id";

/// A connection to a server. Another one has other numbers, also to the same server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Connection {
    server: String,
    client: u64,
}

impl Connection {
    /// The one that the client has, or had last.
    pub(super) fn of(client: &Client) -> Self {
        let info = client.server_info();
        Self { server: info.server_id, client: info.client_id }
    }
}

/// What is known of the stream.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Its identity.
    pub(super) id: Uuid,
    /// The one over which it was looked at.
    pub(super) connection: Connection,
    /// The sequence of the last message that it has taken.
    pub(super) last: u64,
    /// The lowest sequence of a message that it has.
    pub(super) first: u64,
    /// Messages that it has, and their bytes with headers.
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// The longest message that it takes, if there is a limit.
    pub(super) max_message: Option<usize>,
}

/// What is known by the server's answer, or why the stream must not be used.
pub(super) fn known(
    name: &str,
    subjects: &Subjects,
    info: &Info,
    connection: Connection,
) -> Result<Known, String> {
    let Info { config, state, .. } = info;
    if let Some((setting, cure)) = unsound(subjects, config) {
        return Err(format!(
            "the stream {name} of --queue has {setting}, so that messages could be lost, not be read or \
             not be removed: {cure}, or name another stream"
        ));
    }
    let id = identity(config).ok_or_else(|| {
        format!(
            "the stream {name} of --queue was made by another program: name one that does not exist, \
             which is then made, or add the metadata {IDENTITY} with a new UUID"
        )
    })?;
    let max_message = usize::try_from(config.max_message_size).ok().filter(|size| *size > 0);
    Ok(Known {
        id,
        connection,
        last: state.last_sequence,
        first: state.first_sequence,
        messages: state.messages,
        bytes: state.bytes,
        max_message,
    })
}

/// A setting by which messages could be lost, and how it is changed.
fn unsound(subjects: &Subjects, config: &Config) -> Option<(&'static str, String)> {
    let edit = |flag: &str| format!("run `nats stream edit {} {flag}`", config.name);
    let recreate = || "remove it when all its messages are applied".to_owned();
    // No others: the stream would have what wakes workers up, too.
    let has_subjects = config.subjects == [subjects.all()];
    Some(if !config.max_age.is_zero() {
        ("a max_age", edit("--max-age=-1"))
    } else if config.discard != DiscardPolicy::New {
        ("discard other than `new`", edit("--discard=new"))
    } else if config.storage != StorageType::File {
        ("memory storage", recreate())
    } else if config.retention != RetentionPolicy::Limits {
        ("retention other than `limits`", recreate())
    } else if config.persist_mode == Some(PersistenceMode::Async) {
        ("persist_mode `async`", recreate())
    } else if config.no_ack {
        ("no_ack", edit("--ack"))
    } else if !has_subjects {
        ("other subjects", edit(&format!("--subjects={}", subjects.all())))
    } else if !config.allow_direct {
        ("no direct access", edit("--allow-direct"))
    } else if config.subject_transform.is_some() {
        ("a transform of subjects", recreate())
    } else if config.sealed {
        ("been sealed", recreate())
    } else if config.deny_purge {
        ("deny_purge", recreate())
    } else {
        return None;
    })
}

pub(super) fn identity(config: &Config) -> Option<Uuid> {
    config.metadata.get(IDENTITY).and_then(|id| Uuid::try_parse(id).ok())
}

/// Fails while the replicas of a stream elect a leader: any of them answers then, and may lack messages.
pub(super) fn led(info: Info) -> Result<Info, StorageError> {
    let is_electing = |cluster: &ClusterInfo| {
        let is_empty = |name: &Option<String>| name.as_ref().is_none_or(String::is_empty);
        !is_empty(&cluster.raft_group) && is_empty(&cluster.leader)
    };
    if info.cluster.as_ref().is_some_and(is_electing) {
        let text = "the replicas of the stream are electing a leader";
        return Err(StorageError::new(ErrorKind::Unavailable, text));
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn info(cluster: serde_json::Value) -> Info {
        let state = json!({
            "messages": 0, "bytes": 0, "first_seq": 0, "first_ts": "0001-01-01T00:00:00Z",
            "last_seq": 0, "last_ts": "0001-01-01T00:00:00Z", "consumer_count": 0,
        });
        let config = serde_json::to_value(Config::default()).unwrap();
        let created = "2026-01-01T00:00:00Z";
        serde_json::from_value(
            json!({ "config": config, "created": created, "state": state, "cluster": cluster }),
        )
        .unwrap()
    }

    #[test]
    fn a_stream_without_a_leader_is_not_looked_at() {
        for (cluster, has_leader) in [
            (json!(null), true),
            (json!({ "leader": "a" }), true),
            (json!({ "name": "c", "raft_group": "g", "leader": "a", "replicas": [] }), true),
            (json!({ "name": "c", "raft_group": "g", "replicas": [] }), false),
        ] {
            let found = led(info(cluster.clone()));
            assert_eq!(found.is_ok(), has_leader, "{cluster}");
            assert!(found.err().is_none_or(|error| error.kind() == ErrorKind::Unavailable));
        }
    }
}
