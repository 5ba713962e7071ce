//! The dashboard and the alert rules name metrics that a server has.

use std::collections::BTreeSet;

use regex_lite::Regex;
use testkit::process::Server;

const DASHBOARD: &str = include_str!("../../deploy/grafana/storefront.json");
const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yml");

#[tokio::test]
async fn every_metric_that_the_dashboard_and_the_alerts_name_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.get("/readyz").await;
    let metrics = server.get("/metrics").await;
    let shown = Regex::new(r"(?m)^\w+").unwrap();
    let shown: BTreeSet<_> = shown.find_iter(&metrics).map(|name| name.as_str()).collect();
    let named = Regex::new(r"\b(?:storefront|(?:in)?valid_payload)_\w+").unwrap();
    let named: BTreeSet<_> = [DASHBOARD, ALERTS]
        .iter()
        .flat_map(|text| named.find_iter(text))
        .map(|name| name.as_str())
        .collect();
    assert!(named.len() >= 15, "{named:?}");
    let missing: Vec<_> = named.difference(&shown).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
