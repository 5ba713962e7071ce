//! The reader of standard error is gone when the database fails: the lines about it are lost, and
//! nothing else is.

use reqwest::Method;

use crate::requests::{
    AT_ONCE, ProxiedServer, answer, every_request, everything_works_again, is_unavailable,
};
use testkit::process::{Server, storefront};
use testkit::proxy::Mode;
use testkit::wait::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_ends_although_nobody_can_read_of_it() {
    let (reader, writer) = std::io::pipe().unwrap();
    let start = |folder: &std::path::Path, url: &str| {
        let mut command = storefront(folder);
        Server::spawn_with_stderr(command.args(["serve", "--database-url", url]), writer)
    };
    let ProxiedServer { server, proxy, .. } = &ProxiedServer::started("postgres", start).await;
    everything_works_again(server).await;
    drop(reader);
    for _ in 0..3 {
        proxy.set(Mode::Cut);
        for request in every_request() {
            is_unavailable(&answer(server, AT_ONCE, request).await);
        }
        let ready = (Method::GET, "/readyz", None);
        is_unavailable(&answer(server, AT_ONCE, ready).await);
        proxy.restore();
        everything_works_again(server).await;
    }
    let lost = async || server.metric("storefront_log_lines_dropped_total").await > 0.0;
    eventually("lines that were lost are counted", lost).await;
    assert_eq!(server.metric("storefront_task_restarts_total").await, 0.0);
}
