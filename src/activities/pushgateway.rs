//! Pushing the gate's counters to a Prometheus Pushgateway, as the earlier gatekeeper did.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use reqwest::{Client, Url};
use tokio_util::sync::CancellationToken;

use super::metrics::ActivityMetrics;
use crate::web::http_client;

const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Where counters are pushed.
#[derive(Debug, Clone)]
pub struct Pushgateway {
    /// Such as `http://127.0.0.1:9091`.
    pub url: Url,
    /// Tells the counters of several servers apart; the same after a restart.
    pub instance: String,
}

impl Pushgateway {
    /// Pushes again and again, and once more when told to stop.
    pub(super) async fn run(&self, metrics: &ActivityMetrics, stop: &CancellationToken) {
        let Ok(client) = http_client::client(TIMEOUT) else {
            tracing::error!("no HTTP client for the Pushgateway");
            return;
        };
        let mut works = true;
        loop {
            let result = self.push(&client, metrics).await;
            match &result {
                Err(error) if works => {
                    tracing::warn!(%error, url = %self.url, "counters cannot be pushed, trying again");
                }
                Ok(()) if !works => tracing::info!(url = %self.url, "counters are pushed again"),
                _ => {}
            }
            works = result.is_ok();
            if stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    async fn push(&self, client: &Client, metrics: &ActivityMetrics) -> reqwest::Result<()> {
        for (job, name, counter) in [
            ("valid_payload_schema", "valid_payload_count_total", &metrics.valid),
            ("invalid_payload_schema", "invalid_payload_count_total", &metrics.invalid),
        ] {
            let request = client.put(self.target(job)).body(text(name, counter));
            request.send().await?.error_for_status()?;
        }
        Ok(())
    }

    fn target(&self, job: &str) -> Url {
        let mut url = self.url.clone();
        let path = ["metrics", "job", job, "instance", self.instance.as_str()];
        // Parts are escaped. An error is a URL without a host, which the setting refuses.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// The text format of Prometheus.
fn text(name: &str, counter: &Counter) -> String {
    format!("# TYPE {name} counter\n{name} {}\n", counter.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_is_a_part_of_the_path() {
        let gateway = Pushgateway {
            url: "http://127.0.0.1:9091".parse().unwrap(),
            instance: "host [::1]:80/x".to_owned(),
        };
        let target = gateway.target("valid_payload_schema").to_string();
        let path = "/metrics/job/valid_payload_schema/instance/host%20[::1]:80%2Fx";
        assert_eq!(target, format!("http://127.0.0.1:9091{path}"));
    }
}
