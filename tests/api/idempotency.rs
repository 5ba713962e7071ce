//! `Idempotency-Key` on every route that changes the store, and `If-Match` on changes of a game.

use serde_json::json;

use crate::client::{Request, Response};
use crate::helpers::{FORM, JSON, Setup, TestStore};
use crate::shop::Shop;
use testkit::games::game;

const KEY: &str = "idempotency-key";
const REPLAYED: &str = "idempotency-replayed";

/// Sends a request twice: the second answer is the first one, and says so.
async fn twice(store: &TestStore, request: &Request) -> Response {
    let (first, second) = (store.send(request.clone()).await, store.send(request.clone()).await);
    assert!((200..300).contains(&first.status), "{}", first.golden());
    assert_eq!(first.header(REPLAYED), None);
    assert_eq!(second.header(REPLAYED), Some("true"), "{}", second.golden());
    let same = |answer: &Response| {
        let place = answer.header("location").map(str::to_owned);
        let kind = answer.header("content-type").map(str::to_owned);
        (answer.status, answer.body.clone(), place, kind)
    };
    assert_eq!(same(&first), same(&second));
    first
}

#[tokio::test]
async fn a_repeat_of_any_write_gets_the_same_answer() {
    let shop = Shop::open().await;
    let store = &shop.store;
    for (number, (method, target)) in [
        ("POST", "/payment/create_user"),
        ("POST", "/payment/add_funds/{user}/5"),
        ("POST", "/payment/pay/{user}/2"),
        ("POST", "/payment/cancel/{user}/{paid}"),
        ("POST", "/stock/item/create/4"),
        ("POST", "/stock/add/{item}/5"),
        ("POST", "/stock/subtract/{item}/1"),
        ("POST", "/orders/create/{user}"),
        ("POST", "/orders/addItem/{open}/{item}/1"),
        ("DELETE", "/orders/removeItem/{open}/{item}"),
        ("POST", "/orders/checkout/{open}"),
        ("DELETE", "/orders/remove/{empty}"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = Request::new(method, &shop.target(target)).header(KEY, &number.to_string());
        twice(store, &request).await;
    }
    // 7 + 5 - 2 + 3 (cancelled) - 6 (two for 3 each) of credit; 10 + 5 - 1 + 1 - 2 in stock.
    assert_eq!((store.credit_of(&shop.user).await, store.stock_of(&shop.item).await), (7, 13));
    store.agrees().await;
    for (number, target) in
        ["/payment/batch_init/3/100", "/stock/batch_init/3/10/2", "/orders/batch_init/2500/3/3/2"]
            .into_iter()
            .enumerate()
    {
        let request = Request::new("POST", target).header(KEY, &format!("batch-{number}"));
        twice(store, &request).await;
        if number == 0 {
            store.done("/payment/pay/0/1").await;
            twice_more(store, &request).await;
            assert_eq!(store.credit_of("0").await, 99, "a repeat resets nothing");
        }
    }
}

async fn twice_more(store: &TestStore, request: &Request) {
    for _ in 0..2 {
        let answer = store.send(request.clone()).await;
        assert_eq!((answer.status, answer.header(REPLAYED)), (200, Some("true")));
    }
}

#[tokio::test]
async fn a_repeat_of_a_write_to_a_game_gets_the_same_answer() {
    let store = TestStore::start().await;
    let create = Request::new("POST", "/api/overview").header(KEY, "\"1\"");
    let created = twice(&store, &create.body(JSON, game("A").to_string())).await;
    let place = created.header("location").unwrap().to_owned();
    let form = "game_name=B&description=&release_date=&developer=&publisher=";
    let create = Request::new("POST", "/api/overview/").header(KEY, "2").body(FORM, form);
    twice(&store, &create).await;
    assert_eq!(store.page("").await.0.len(), 2);
    let body = json!({"developer": "x"}).to_string();
    twice(&store, &Request::new("PUT", &place).header(KEY, "3").body(JSON, body)).await;
    twice(&store, &Request::new("DELETE", &place).header(KEY, "4")).await;
    assert_eq!(store.page("").await.0.len(), 1);
}

#[tokio::test]
async fn a_replayed_answer_to_the_byte() {
    let store = TestStore::start().await;
    let create = Request::new("POST", "/api/overview").header(KEY, "k");
    let create = create.body(JSON, game("A").to_string());
    store.send(create.clone()).await;
    insta::assert_snapshot!(store.send(create).await.golden());
}

#[tokio::test]
async fn another_request_under_the_key_is_422_and_changes_nothing() {
    let shop = Shop::open().await;
    let store = &shop.store;
    let target = |path: &str| shop.target(path);
    let first = Request::new("POST", &target("/payment/add_funds/{user}/1")).header(KEY, "k");
    twice(store, &first).await;
    let again = Request::new("POST", &target("/payment/add_funds/{user}/1"));
    for other in [
        Request::new("POST", &target("/payment/add_funds/{user}/2")),
        Request::new("POST", &target("/payment/pay/{user}/1")),
        Request::new("POST", &target("/payment/add_funds/{user}/1?a")),
        Request::new("POST", &target("/orders/checkout/{open}")),
        Request::new("DELETE", &target("/orders/remove/{open}")),
        Request::new("POST", "/payment/batch_init/1/1"),
        Request::new("POST", "/api/overview").body(JSON, game("A").to_string()),
        again.clone().body("", "body"),
        again.header("content-type", "text/plain"),
    ] {
        let why = store.send(other.header(KEY, "k")).await.problem(422);
        assert!(why.contains("Idempotency-Key"), "{why}");
    }
    assert_eq!(store.credit_of(&shop.user).await, 8);
    assert_eq!(store.page("").await.0.len(), 0);
    assert_eq!(store.send(first).await.header(REPLAYED), Some("true"));
}

#[tokio::test]
async fn what_is_no_key_is_400_and_changes_nothing() {
    let shop = Shop::open().await;
    let store = &shop.store;
    let target = shop.target("/payment/add_funds/{user}/1");
    let long = "k".repeat(256);
    for bad in ["", "a b", "a\tb", "é", &long] {
        let request = Request::new("POST", &target).header(KEY, bad);
        let why = store.send(request).await.problem(400);
        assert_eq!(
            why,
            "`Idempotency-Key` must be given once and have 1 to 255 visible ASCII characters."
        );
    }
    let request = Request::new("POST", &target).header(KEY, "k").header(KEY, "k");
    store.send(request).await.problem(400);
    assert_eq!(store.credit_of(&shop.user).await, 7);
    // A read has no use for a key, so that none is refused.
    let answer = store.get_with(&shop.target("/payment/find_user/{user}"), KEY, "a b").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_refusal_is_judged_anew_and_a_malformed_request_is_not_remembered() {
    let shop = Shop::open().await;
    let store = &shop.store;
    let pay = Request::new("POST", &shop.target("/payment/pay/{user}/8")).header(KEY, "k");
    for _ in 0..2 {
        let answer = store.send(pay.clone()).await;
        assert_eq!(answer.header(REPLAYED), None);
        answer.problem(409);
    }
    store.done(&shop.target("/payment/add_funds/{user}/1")).await;
    assert_eq!(store.send(pay).await.status, 200);
    let malformed = Request::new("POST", "/api/overview").header(KEY, "m").body(JSON, "{");
    assert_eq!(store.send(malformed).await.status, 400);
    let sent = Request::new("POST", "/api/overview").header(KEY, "m");
    twice(store, &sent.body(JSON, game("A").to_string())).await;
}

#[tokio::test]
async fn a_request_with_a_key_has_the_same_limits() {
    let mut setup = Setup::default();
    setup.limits.max_body = 400;
    let store = TestStore::start_with(setup).await;
    let long = game("A").to_string() + &" ".repeat(400);
    let create = Request::new("POST", "/api/overview").header(KEY, "k");
    store.send(create.clone().body(JSON, long)).await.problem(413);
    store.send(create.clone().body("text/plain", "x")).await.problem(415);
    twice(&store, &create.body(JSON, game("A").to_string())).await;
}

async fn tag(store: &TestStore, id: i64) -> String {
    let answer = store.get(&format!("/api/overview/{id}")).await;
    answer.header("etag").expect("a tag").to_owned()
}

async fn change(store: &TestStore, id: i64, tags: &[&str]) -> Response {
    let mut request = Request::new("PUT", &format!("/api/overview/{id}"));
    for tag in tags {
        request = request.header("if-match", tag);
    }
    store.send(request.body(JSON, json!({"publisher": tags.concat()}).to_string())).await
}

#[tokio::test]
async fn a_change_is_made_only_to_what_if_match_names() {
    let store = TestStore::start().await;
    let id = store.create(&game("A")).await;
    let old = tag(&store, id).await;
    change(&store, id, &[&old]).await.is_text(200, "OK");
    let why = change(&store, id, &[&old]).await.problem(412);
    assert!(why.contains("If-Match"), "{why}");
    assert_eq!(store.find(id).await.unwrap()["publisher"], old);
    for list in [
        |tag: &str| vec![tag.to_owned()],
        |tag: &str| vec![tag.trim_start_matches("W/").to_owned()],
        |tag: &str| vec![format!("\"x\", {tag}")],
        |tag: &str| vec!["\"x\"".to_owned(), tag.to_owned()],
        |_: &str| vec!["*".to_owned()],
    ] {
        let tags = list(&tag(&store, id).await);
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        change(&store, id, &tags).await.is_text(200, "OK");
        change(&store, id, &["\"x\"", "W/\"y\""]).await.problem(412);
        change(&store, id, &[""]).await.problem(412);
    }
    change(&store, id + 1, &["\"x\""]).await.is_text(404, "Not Found");
    change(&store, id + 1, &["*"]).await.is_text(404, "Not Found");
}

#[tokio::test]
async fn a_removal_is_made_only_of_what_if_match_names() {
    let store = TestStore::start().await;
    let id = store.create(&game("A")).await;
    let remove = |tag: String| {
        Request::new("DELETE", &format!("/api/overview/{id}")).header("if-match", &tag)
    };
    store.send(remove("W/\"x\"".to_owned())).await.problem(412);
    let tag = tag(&store, id).await;
    store.send(remove(tag.clone())).await.is_text(200, "OK");
    store.send(remove(tag)).await.is_text(404, "Not Found");
    store.send(remove("*".to_owned())).await.is_text(404, "Not Found");
}

#[tokio::test]
async fn a_repeat_is_answered_although_its_own_change_has_changed_the_tag() {
    let store = TestStore::start().await;
    let id = store.create(&game("A")).await;
    let request = Request::new("PUT", &format!("/api/overview/{id}"))
        .header("if-match", &tag(&store, id).await)
        .header(KEY, "k")
        .body(JSON, json!({"publisher": "p"}).to_string());
    twice(&store, &request).await.is_text(200, "OK");
}

#[tokio::test]
async fn the_document_names_the_key_on_every_route_that_changes_the_store() {
    let store = TestStore::start().await;
    let document = store.get("/openapi.json").await.json();
    let mut with_key = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named = parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
            let changes = matches!(method.as_str(), "post" | "put" | "delete")
                && !path.starts_with("/payment/status");
            assert_eq!(named, changes, "{method} {path}");
            assert_eq!(operation["responses"].get("422").is_some(), changes, "{method} {path}");
            with_key += u32::from(named);
        }
    }
    assert_eq!(with_key, 23);
}
