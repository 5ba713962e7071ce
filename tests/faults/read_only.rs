//! A database that takes no writes, as after a failover to the wrong side.

use crate::every_route::{every_route, is_read};
use crate::requests::{
    ANSWER_TIMEOUT, AT_ONCE, answer, are_unavailable, every_request, everything_works_again,
    is_unavailable, serve, works_again,
};
use testkit::postgres_database::{PASSWORD, PostgresDatabase};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_becomes_read_only_refuses_writes_and_answers_reads() {
    let database = PostgresDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), database.url().as_str());
    everything_works_again(&server).await;
    let (reads, writes): (Vec<_>, Vec<_>) =
        every_route(&server).await.into_iter().partition(is_read);
    let alter = format!("ALTER DATABASE {}", database.name);
    for _ in 0..testkit::random::rounds(1) {
        database.administer(&format!("{alter} SET default_transaction_read_only = on")).await;
        database.disconnect_all().await;
        for (method, path, body) in &reads {
            works_again(&server, &(method.clone(), path.as_str(), body.clone())).await;
        }
        for _ in 0..2 {
            are_unavailable(&server, &writes, AT_ONCE).await;
        }
        assert_eq!(server.status("/readyz").await, 200, "it is ready to answer reads");
        database.administer(&format!("{alter} RESET default_transaction_read_only")).await;
        database.disconnect_all().await;
        everything_works_again(&server).await;
    }
    server.has_logged("PostgreSQL takes no writes: it is read-only or a replica").await;
    let log = server.log();
    assert!(!log.contains(PASSWORD), "{log}");
}

/// A session keeps the setting that it was opened with, so nothing but a new one helps.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_the_read_only_time_are_replaced_when_it_is_over() {
    let database = PostgresDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), database.url().as_str());
    everything_works_again(&server).await;
    let alter = format!("ALTER DATABASE {}", database.name);
    database.administer(&format!("{alter} SET default_transaction_read_only = on")).await;
    database.disconnect_all().await;
    let [find, page, writes @ ..] = every_request();
    works_again(&server, &find).await;
    works_again(&server, &page).await;
    let create_user = (reqwest::Method::POST, "/payment/create_user", None);
    // Several at once, so that every pool has several such sessions.
    let many = writes.into_iter().chain([create_user.clone()]).cycle().take(24);
    let answers = many.map(|request| answer(&server, ANSWER_TIMEOUT, request));
    futures::future::join_all(answers).await.iter().for_each(is_unavailable);
    database.administer(&format!("{alter} RESET default_transaction_read_only")).await;
    works_again(&server, &create_user).await;
    everything_works_again(&server).await;
}
