//! Bodies as JSON and as forms: the same game in every spelling that clients use.

use serde_json::{Value, json};

use crate::client::Request;
use crate::helpers::{FORM, TestStore, created};
use testkit::games::game;

const TEXTS: &str = "game_name=Stardew_Valley&description=Inherit+your+grandfather%27s+farm.\
                     &release_date=2016-02-26T00%3A00%3A00.000Z&developer=ConcernedApe\
                     &publisher=Chucklefish";

fn without_id(mut game: Value) -> Value {
    game.as_object_mut().expect("a game").remove("game_id");
    game
}

#[tokio::test]
async fn a_form_writes_its_list_in_any_known_way() {
    let store = TestStore::start().await;
    for tags in [
        "tags[0]=Farming+Sim&tags[1]=RPG",
        "tags%5B0%5D=Farming+Sim&tags%5B1%5D=RPG",
        "tags%5b0%5d=Farming%20Sim&tags%5b1%5d=RPG",
        "tags[]=Farming+Sim&tags[]=RPG",
        "tags%5B%5D=Farming+Sim&tags%5B%5D=RPG",
        "tags=Farming+Sim&tags=RPG",
    ] {
        let id = created(&store.post_form(&format!("{TEXTS}&{tags}")).await);
        let found = store.find(id).await.unwrap();
        assert_eq!(without_id(found), game("Stardew_Valley"), "{tags}");
    }
}

#[tokio::test]
async fn a_list_with_indices_is_in_their_order() {
    let store = TestStore::start().await;
    let tags: Vec<_> = (0..12).rev().map(|n| format!("tags%5B{n}%5D=t{n}")).collect();
    let id = created(&store.post_form(&format!("{TEXTS}&{}", tags.join("&"))).await);
    let expected: Vec<_> = (0..12).map(|n| format!("t{n}")).collect();
    assert_eq!(store.find(id).await.unwrap()["tags"], json!(expected));
}

#[tokio::test]
async fn one_tag_in_a_form_is_a_list_of_one_and_none_is_an_empty_list() {
    let store = TestStore::start().await;
    for (tags, expected) in [("&tags=RPG", json!(["RPG"])), ("", json!([]))] {
        let id = created(&store.post_form(&format!("{TEXTS}{tags}")).await);
        assert_eq!(store.find(id).await.unwrap()["tags"], expected);
    }
}

#[tokio::test]
async fn json_without_tags_or_with_null_has_an_empty_list() {
    let store = TestStore::start().await;
    let mut body = game("A");
    body["tags"] = Value::Null;
    let null = store.create(&body).await;
    body.as_object_mut().unwrap().remove("tags");
    let none = store.create(&body).await;
    for id in [null, none] {
        assert_eq!(store.find(id).await.unwrap()["tags"], json!([]));
    }
}

#[tokio::test]
async fn numbers_are_texts_in_forms() {
    let store = TestStore::start().await;
    for id in [7, -7, i64::from(i32::MAX)] {
        assert_eq!(created(&store.post_form(&format!("{TEXTS}&game_id={id}")).await), id);
        assert_eq!(store.find(id).await.unwrap()["game_id"], id, "a number again");
    }
}

#[tokio::test]
async fn a_text_of_digits_stays_a_text() {
    let store = TestStore::start().await;
    let form = TEXTS.replace("ConcernedApe", "1942");
    let id = created(&store.post_form(&form).await);
    assert_eq!(store.find(id).await.unwrap()["developer"], "1942");
}

#[tokio::test]
async fn the_content_type_may_have_a_charset_and_any_case() {
    let store = TestStore::start().await;
    let json = game("A").to_string();
    for (content_type, body) in [
        ("application/json; charset=utf-8", json.as_str()),
        ("Application/JSON;charset=UTF-8", &json),
        ("application/x-www-form-urlencoded; charset=UTF-8", TEXTS),
    ] {
        let request = Request::new("POST", "/api/overview").body(content_type, body);
        assert_eq!(store.send(request).await.status, 201, "{content_type}");
    }
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let store = TestStore::start().await;
    for content_type in ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""] {
        let request = Request::new("POST", "/api/overview");
        let answer = store.send(request.body(content_type, game("A").to_string())).await;
        assert!(answer.problem(415).contains("application/json"), "{content_type}");
    }
    assert!(store.page("").await.0.is_empty());
}

#[tokio::test]
async fn malformed_forms_are_told_apart() {
    let store = TestStore::start().await;
    for (more, why) in [
        ("&game_id=", "`game_id`"),
        ("&game_id=one", "`game_id`"),
        ("&game_id=2147483648", "`game_id`"),
        ("&game_id=1.5", "`game_id`"),
        ("&colour=red", "`colour`"),
        ("&tags[x]=a", "`tags[x]`"),
        ("&developer=again", "`developer`"),
        ("&tags=a%00b", "`tags`"),
    ] {
        let answer = store.post_form(&format!("{TEXTS}{more}")).await;
        answer.is_text(400, answer.text());
        assert!(answer.text().starts_with("Malformed request: "), "{}", answer.text());
        assert!(answer.text().contains(why), "{more}: {}", answer.text());
    }
    let answer = store.post_form(&TEXTS.replace("ConcernedApe", "a%00")).await;
    assert!(answer.text().contains("`developer` must not hold U+0000"), "{}", answer.text());
    assert!(store.page("").await.0.is_empty());
}

#[tokio::test]
async fn a_chunked_body_is_a_body() {
    let store = TestStore::start().await;
    let (one, two) = TEXTS.split_at(40);
    let head = Request::new("POST", "/api/overview")
        .header("content-type", FORM)
        .header("transfer-encoding", "chunked")
        .head();
    let chunks = format!("{:x}\r\n{one}\r\n{:X};a=b\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let mut connection = store.connect().await;
    connection.send(&[head, chunks.into_bytes()].concat()).await.unwrap();
    assert_eq!(created(&connection.answer_to("POST").await), 1);
    assert_eq!(store.find(1).await.unwrap()["publisher"], "Chucklefish");
}
