//! The connection to the NATS server, which is made in the background and again whenever it is lost.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Subscriber};
use futures::StreamExt;
use tokio::sync::Notify;

use super::stream::Stream;
use crate::config::queue::NatsQueue;
use crate::db::storage::{ErrorKind, StorageError};

/// A server that answers none of three pings is given up and connected to again: meanwhile nothing can be
/// sent, and what waits would be delivered late.
const PING: Duration = Duration::from_secs(2);

/// A client, connected or not; `connected` is notified each time it is.
pub(super) async fn connect(
    settings: &NatsQueue,
    connected: &Arc<Notify>,
) -> Result<Client, StorageError> {
    let connected = Arc::clone(connected);
    let options = ConnectOptions::new()
        .name("storefront")
        .retry_on_initial_connect()
        .require_tls(settings.tls)
        .ping_interval(PING)
        .event_callback(move |event| {
            let connected = Arc::clone(&connected);
            async move { log(&event, &connected) }
        });
    let options = match &settings.login {
        Some((user, password)) => options.user_and_password(user.clone(), password.clone()),
        None => options,
    };
    let scheme = if settings.tls { "tls" } else { "nats" };
    let address = format!("{scheme}://{}:{}", settings.host, settings.port);
    options.connect(address).await.map_err(|error| {
        let text = "the address of --queue cannot be used";
        StorageError::with_source(ErrorKind::Invalid, text, error)
    })
}

fn log(event: &Event, connected: &Notify) {
    match event {
        Event::Connected => {
            tracing::info!("connected to NATS");
            connected.notify_one();
        }
        Event::Disconnected => tracing::warn!("the connection to NATS of --queue is lost"),
        Event::ServerError(_) | Event::ClientError(_) => tracing::warn!(
            %event,
            "NATS refuses a connection or a request: check the server, the user and the password in --queue, \
             and the rights of that user"
        ),
        _ => tracing::debug!(%event, "NATS"),
    }
}

/// Looks at the stream after each connection, and passes on that messages were queued. Never ends.
pub(super) async fn watch(stream: &Stream, connected: &Notify, queued: &Notify) {
    loop {
        // It lasts through lost connections.
        match stream.client().subscribe(stream.subjects.wakeup()).await {
            Ok(wakeups) => watch_with(stream, connected, queued, wakeups).await,
            Err(error) => {
                tracing::debug!(%error, "cannot listen for messages");
                connected.notified().await;
            }
        }
    }
}

async fn watch_with(stream: &Stream, connected: &Notify, queued: &Notify, mut wakeups: Subscriber) {
    loop {
        tokio::select! {
            wakeup = wakeups.next() => match wakeup {
                Some(_) => queued.notify_one(),
                None => return,
            },
            () = connected.notified() => {
                // Messages may have come while nothing listened.
                queued.notify_one();
                if let Err(error) = stream.check().await {
                    tracing::warn!(error = error.with_causes(), "the stream of --queue cannot be used");
                }
            }
        }
    }
}
