//! A database that takes no writes, as after a failover to the wrong side.

use crate::requests::{
    AT_ONCE, answer, every_request, everything_works_again, is_unavailable, serve, works_again,
};
use testkit::postgres_database::{PASSWORD, PostgresDatabase};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_becomes_read_only_refuses_writes_and_answers_reads() {
    let database = PostgresDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), database.url().as_str());
    everything_works_again(&server).await;
    let alter = format!("ALTER DATABASE {}", database.name);
    for _ in 0..testkit::random::rounds(1) {
        database.administer(&format!("{alter} SET default_transaction_read_only = on")).await;
        database.disconnect_all().await;
        let [find, page, writes @ ..] = every_request();
        works_again(&server, &find).await;
        works_again(&server, &page).await;
        for request in writes.into_iter().cycle().take(9) {
            is_unavailable(&answer(&server, AT_ONCE, request).await);
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
