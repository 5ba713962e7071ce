//! `PUT` and `DELETE /api/overview/:gameId`.

use serde_json::{Value, json};

use crate::client::Request;
use crate::helpers::{FORM, JSON, TestStore};
use testkit::games::{game, game_with};

#[tokio::test]
async fn a_change_answers_200_ok() {
    let store = TestStore::start().await;
    let id = store.create(&game("Stardew_Valley")).await;
    let answer = store.put_json(id, json!({"developer": "Other"})).await;
    insta::assert_snapshot!(answer.golden());
    answer.is_text(200, "OK");
}

#[tokio::test]
async fn only_the_field_in_the_body_changes() {
    let store = TestStore::start().await;
    let id = store.create(&game("Stardew_Valley")).await;
    let mut expected = store.find(id).await.unwrap();
    for (field, value) in [
        ("game_name", json!("n")),
        ("description", json!("d")),
        ("release_date", json!("r")),
        ("developer", json!("e")),
        ("publisher", json!("")),
        ("tags", json!(["one", "two"])),
    ] {
        store.put_json(id, json!({ field: value })).await.is_text(200, "OK");
        expected[field] = value;
        assert_eq!(store.find(id).await.unwrap(), expected, "{field}");
    }
}

#[tokio::test]
async fn a_change_of_all_fields_at_once() {
    let store = TestStore::start().await;
    let id = store.create(&game("Stardew_Valley")).await;
    let new = json!({"game_name": "1", "description": "2", "release_date": "3", "developer": "4",
        "publisher": "5", "tags": ["6"]});
    store.put_json(id, &new).await.is_text(200, "OK");
    let mut found = store.find(id).await.unwrap();
    found.as_object_mut().unwrap().remove("game_id");
    assert_eq!(found, new);
}

#[tokio::test]
async fn tags_can_be_emptied() {
    let store = TestStore::start().await;
    for tags in [json!([]), Value::Null] {
        let id = store.create(&game("Stardew_Valley")).await;
        store.put_json(id, json!({ "tags": tags })).await.is_text(200, "OK");
        assert_eq!(store.find(id).await.unwrap()["tags"], json!([]));
    }
}

#[tokio::test]
async fn a_form_changes_fields_too() {
    let store = TestStore::start().await;
    let id = store.create(&game("Stardew_Valley")).await;
    let form = format!("game_id={id}&developer=A+%26+B&tags%5B0%5D=x&tags%5B1%5D=y");
    store.put_form(id, &form).await.is_text(200, "OK");
    let found = store.find(id).await.unwrap();
    assert_eq!(found["developer"], "A & B");
    assert_eq!(found["tags"], json!(["x", "y"]));
    assert_eq!(found["game_name"], "Stardew_Valley");
}

#[tokio::test]
async fn a_change_with_a_trailing_slash_and_its_own_id() {
    let store = TestStore::start().await;
    let id = store.create(&game("Stardew_Valley")).await;
    let request = Request::new("PUT", "/api/overview/1/");
    let request = request.body(JSON, r#"{"game_id":1,"developer":"x"}"#);
    store.send(request).await.is_text(200, "OK");
    assert_eq!(store.find(id).await.unwrap()["developer"], "x");
}

#[tokio::test]
async fn a_change_of_no_game_is_not_found_and_creates_none() {
    let store = TestStore::start().await;
    store.put_json(5, json!({"developer": "x"})).await.is_text(404, "Not Found");
    store.put_json(5, json!({"game_id": 5, "developer": "x"})).await.is_text(404, "Not Found");
    assert_eq!(store.find(5).await, None);
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let store = TestStore::start().await;
    let id = store.create(&game("Stardew_Valley")).await;
    let before = store.find(id).await;
    for (body, why) in [
        ("", "empty"),
        ("{}", "empty"),
        ("[]", "object"),
        ("{", "not JSON"),
        (r#"{"developer":"x","colour":"red"}"#, "`colour`"),
        (r#"{"developer":"x","game_id":2}"#, "`game_id`"),
        (r#"{"developer":"x","game_id":"1"}"#, "`game_id`"),
        (r#"{"developer":"x","game_name":null}"#, "`game_name`"),
        (r#"{"developer":"x","publisher":7}"#, "`publisher`"),
        (r#"{"developer":"x","tags":"one"}"#, "`tags`"),
        (r#"{"developer":"x\u0000"}"#, "`developer`"),
    ] {
        let answer = store.put_json(id, body).await;
        answer.is_text(400, answer.text());
        assert!(answer.text().starts_with("Malformed request"), "{}", answer.text());
        assert!(answer.text().contains(why), "{body}: {}", answer.text());
        assert_eq!(store.find(id).await, before, "{body}");
    }
}

#[tokio::test]
async fn a_change_without_any_body_is_malformed() {
    let store = TestStore::start().await;
    let id = store.create(&game("Stardew_Valley")).await;
    let target = format!("/api/overview/{id}");
    for request in [
        Request::new("PUT", &target),
        Request::new("PUT", &target).body("", ""),
        Request::new("PUT", &target).body(JSON, ""),
        Request::new("PUT", &target).body(FORM, ""),
    ] {
        let answer = store.send(request.clone()).await;
        assert_eq!(answer.status, 400, "{request:?}: {}", answer.golden());
        assert!(answer.text().starts_with("Malformed request"), "{}", answer.text());
        assert!(answer.text().contains("empty"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_removed_game_is_gone_and_a_second_removal_finds_none() {
    let store = TestStore::start().await;
    let (gone, kept) = (store.create(&game("A")).await, store.create(&game("B")).await);
    let answer = store.delete(gone).await;
    insta::assert_snapshot!(answer.golden());
    answer.is_text(200, "OK");
    store.get(&format!("/api/overview/{gone}")).await.is_text(404, "Not Found");
    store.delete(gone).await.is_text(404, "Not Found");
    assert_eq!(store.page("").await.0, [kept]);
}

#[tokio::test]
async fn the_id_of_a_removed_game_can_be_asked_for_again() {
    let store = TestStore::start().await;
    store.create(&game_with(json!({"game_id": 9}))).await;
    assert_eq!(store.delete(9).await.status, 200);
    assert_eq!(store.create(&game_with(json!({"game_id": 9, "developer": "x"}))).await, 9);
    assert_eq!(store.find(9).await.unwrap()["developer"], "x");
}
