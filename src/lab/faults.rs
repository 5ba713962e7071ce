//! Faults that are drawn into a job: what pauses or kills a server is done by [`ServerControl`], what cuts or
//! delays it by a proxy in front of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

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

    /// Lets each fault begin at its second.
    pub(super) fn start(
        self,
        servers: &Arc<dyn ServerControl>,
        start_at: Timestamp,
    ) -> RunningFaults {
        let (mut tasks, cancelled) = (JoinSet::new(), CancellationToken::new());
        for fault in self.faults {
            let proxy = if is_of_the_replica(&fault) { &self.replica } else { &self.primary };
            let (proxy, servers) = (proxy.clone(), Arc::clone(servers));
            let cancelled = cancelled.clone();
            tasks.spawn(async move {
                let due = start_at + Duration::from_secs(fault.at.into());
                let wait = Duration::try_from(due.duration_since(Timestamp::now()));
                tokio::select! {
                    () = tokio::time::sleep(wait.unwrap_or_default()) => {}
                    () = cancelled.cancelled() => return,
                }
                tracing::info!(target = fault.target, action = ?fault.action, "fault begins");
                if let Err(why) = inject(&fault, proxy, servers.as_ref(), &cancelled).await {
                    tracing::error!(target = fault.target, why, "fault could not be injected");
                }
            });
        }
        RunningFaults { tasks, cancelled, _proxies: (self.primary, self.replica) }
    }
}

/// The faults of a job that runs. Dropping it undoes those that are under way, in the background.
pub(super) struct RunningFaults {
    tasks: JoinSet<()>,
    cancelled: CancellationToken,
    /// The job's connections go through them.
    _proxies: (Option<Arc<Proxy>>, Option<Arc<Proxy>>),
}

impl RunningFaults {
    /// Returns once all that are under way are undone.
    pub(super) async fn end(mut self) {
        self.cancelled.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn inject(
    fault: &Fault,
    proxy: Option<Arc<Proxy>>,
    servers: &dyn ServerControl,
    cancelled: &CancellationToken,
) -> Result<(), String> {
    let duration = Duration::from_secs(fault.seconds.into());
    let traffic = match fault.action {
        FaultAction::Cut => Traffic::Cut,
        FaultAction::Delay => Traffic::Delay,
        FaultAction::Pause | FaultAction::Kill => {
            return servers.inject(fault, duration, cancelled).await;
        }
    };
    let proxy = proxy.ok_or("there is no proxy in front of it")?;
    proxy.set(traffic);
    tokio::select! {
        () = tokio::time::sleep(duration) => {}
        () = cancelled.cancelled() => {}
    }
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
