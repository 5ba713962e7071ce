//! Faults that are drawn into a job: what pauses or kills a server is done by [`ServerControl`], what cuts or
//! delays it by a proxy in front of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::model::{Fault, FaultAction, Target};
use super::proxy::{Proxy, Traffic};
use super::servers::ServerControl;
use crate::config::database::{replica_url, server_of};

/// The faults of one job, and the proxies that they need.
pub(super) struct Faults {
    faults: Vec<Fault>,
    primary: Option<Arc<Proxy>>,
    replica: Option<Arc<Proxy>>,
}

/// Whether it is done by a proxy.
pub(super) const fn is_of_the_network(action: FaultAction) -> bool {
    matches!(action, FaultAction::Cut | FaultAction::Delay)
}

fn is_of_the_replica(fault: &Fault) -> bool {
    fault.target.ends_with("-replica")
}

impl Faults {
    /// Starts proxies for the faults that need one, and changes the target so that it is reached by them.
    ///
    /// # Errors
    /// A sentence, where there can be no proxy.
    pub(super) async fn prepare(faults: &[Fault], target: &mut Target) -> Result<Self, String> {
        let needs_proxy = |of_the_replica| {
            let network = faults.iter().filter(|fault| is_of_the_network(fault.action));
            network.into_iter().any(|fault| is_of_the_replica(fault) == of_the_replica)
        };
        if needs_proxy(true) && target.replica_url.is_none() {
            return Err("There is no replica whose network could fail.".to_owned());
        }
        let (mut primary, mut replica) = (None, None);
        if needs_proxy(false) {
            primary = Some(in_front_of(&mut target.url).await?);
        }
        if let Some(url) = &mut target.replica_url
            && needs_proxy(true)
        {
            replica = Some(in_front_of(url).await?);
        }
        Ok(Self { faults: faults.to_vec(), primary, replica })
    }

    /// Lets each fault begin at its second. Dropping the set undoes those that are under way.
    pub(super) fn start(
        self,
        servers: &Arc<dyn ServerControl>,
        start_at: Timestamp,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for fault in self.faults {
            let proxy = if is_of_the_replica(&fault) { &self.replica } else { &self.primary };
            let (proxy, servers) = (proxy.clone(), Arc::clone(servers));
            tasks.spawn(async move {
                let due = start_at + Duration::from_secs(fault.at.into());
                let wait = Duration::try_from(due.duration_since(Timestamp::now()));
                tokio::time::sleep(wait.unwrap_or_default()).await;
                let duration = Duration::from_secs(fault.seconds.into());
                tracing::info!(target = fault.target, action = ?fault.action, "fault begins");
                let injected = match (fault.action, proxy) {
                    (FaultAction::Cut, Some(proxy)) => {
                        disturb(&proxy, Traffic::Cut, duration).await
                    }
                    (FaultAction::Delay, Some(proxy)) => {
                        disturb(&proxy, Traffic::Delay, duration).await
                    }
                    _ => servers.inject(&fault, duration).await,
                };
                if let Err(why) = injected {
                    tracing::error!(target = fault.target, why, "fault could not be injected");
                }
            });
        }
        // Kept until the run ends: its connections go through them.
        let proxies = (self.primary, self.replica);
        tasks.spawn(async move {
            std::future::pending::<()>().await;
            drop(proxies);
        });
        tasks
    }
}

async fn disturb(proxy: &Proxy, traffic: Traffic, duration: Duration) -> Result<(), String> {
    proxy.set(traffic);
    tokio::time::sleep(duration).await;
    proxy.set(Traffic::Pass);
    Ok(())
}

/// Starts a proxy in front of the server of a URL, and names the proxy in it.
async fn in_front_of(url: &mut String) -> Result<Arc<Proxy>, String> {
    let server = server_of(url)
        .ok_or("`cut` and `delay` are possible for one PostgreSQL server that is reached by TCP")?;
    let proxy =
        Proxy::start(server).await.map_err(|error| format!("no proxy can listen: {error}"))?;
    *url = replica_url(url, &proxy.address().to_string())?;
    Ok(Arc::new(proxy))
}
