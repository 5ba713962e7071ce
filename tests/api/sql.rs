//! What only SQL beside the program can arrange. A run on a backend without SQL says `--skip sql::`.

use crate::helpers::TestStore;
use testkit::games::game;

#[tokio::test]
async fn null_tags_of_an_older_row_are_an_empty_list() {
    let store = TestStore::start().await;
    store.create(&game("Stardew_Valley")).await;
    store.database.execute("UPDATE overviews SET tags = NULL").await;
    let answer = store.get("/api/overview/1").await;
    assert!(answer.text().ends_with("\"publisher\":\"Chucklefish\",\"tags\":[]}]"));
    assert_eq!(store.page("").await.0, [1]);
}
