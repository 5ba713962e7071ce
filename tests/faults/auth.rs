//! A cluster that requires a user and a password.

use std::path::Path;

use crate::requests::{everything_works_again, serve};
use testkit::db_server::DbServer;
use testkit::process::{output, stderr, stdout, storefront};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_or_password_that_the_cluster_does_not_know_is_one_sentence() {
    let asks = "authenticator=PasswordAuthenticator";
    let start = move || DbServer::start(&["cassandra", "--heap", "512M", "--yaml", asks]);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    let (folder, url) = (tempfile::tempdir().unwrap(), cluster.value("cassandra"));
    let (_, place) = url.split_once('@').expect("a user and a password");
    for (who, sentence) in [
        ("", "it asks for a user; write cassandra://USER:PASSWORD@HOST/KEYSPACE"),
        ("cassandra:s3cret@", "it does not know this user or password; correct them in"),
        ("nobody:s3cret@", "it does not know this user or password; correct them in"),
    ] {
        let said = refusal(folder.path(), &format!("cassandra://{who}{place}"));
        assert!(said.contains(sentence), "{said}");
        assert!(!said.contains("s3cret"), "no password: {said}");
    }
    everything_works_again(&serve(folder.path(), url)).await;
}

/// The one sentence of a server that does not start.
fn refusal(folder: &Path, url: &str) -> String {
    let mut command = storefront(folder);
    command.env("STOREFRONT_LISTEN", "127.0.0.1:0");
    let refused = output(command.args(["serve", "--database-url", url]));
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""));
    let said = stderr(&refused);
    assert_eq!(said.lines().filter(|line| line.starts_with("storefront: ")).count(), 1, "{said}");
    said
}
