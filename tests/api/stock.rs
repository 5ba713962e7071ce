//! `/stock`.

use crate::shop::{MOST, Shop, without_ids};

#[tokio::test]
async fn every_answer_to_the_byte() {
    let shop = Shop::open().await;
    for (name, method, target) in [
        ("create", "POST", "/stock/item/create/5"),
        ("find", "GET", "/stock/find/{item}"),
        ("add", "POST", "/stock/add/{item}/1"),
        ("subtract", "POST", "/stock/subtract/{item}/1"),
        ("batch_init", "POST", "/stock/batch_init/2/3/4"),
        ("missing", "GET", "/stock/find/none"),
        ("malformed", "POST", "/stock/item/create/-1"),
        ("refused", "POST", "/stock/subtract/{item}/100"),
    ] {
        insta::assert_snapshot!(name, without_ids(&shop.ask(method, target).await));
    }
}

#[tokio::test]
async fn stock_is_added_and_subtracted() {
    let shop = Shop::open().await;
    for (target, stock) in [("add/ID/5", 15), ("subtract/ID/15", 0), ("add/ID/0", 0)] {
        shop.store.done(&format!("/stock/{}", target.replace("ID", &shop.item))).await;
        assert_eq!(shop.store.stock_of(&shop.item).await, stock);
    }
    shop.store.agrees().await;
}

#[tokio::test]
async fn more_than_there_is_cannot_be_subtracted() {
    let shop = Shop::open().await;
    for n in [11, MOST] {
        let why = shop.refuses("POST", &format!("/stock/subtract/{{item}}/{n}"), 409).await;
        let expected = "There is not enough of item ID in stock: take less, or add stock.";
        assert_eq!(why, expected.replace("ID", &shop.item));
    }
}

#[tokio::test]
async fn stock_is_never_more_than_an_amount() {
    let shop = Shop::open().await;
    // Ten are left; one is sold, and it may always be returned.
    let why = shop.refuses("POST", &format!("/stock/add/{{item}}/{}", MOST - 10), 400).await;
    assert!(why.starts_with("The amount is too large"), "{why}");
    shop.store.done(&shop.target(&format!("/stock/add/{{item}}/{}", MOST - 11))).await;
    assert_eq!(shop.store.stock_of(&shop.item).await, MOST - 1);
    shop.store.done(&shop.target("/payment/cancel/{user}/{paid}")).await;
    assert_eq!(shop.store.stock_of(&shop.item).await, MOST);
    shop.store.agrees().await;
}

/// The store sums up all that was ever added, and that must not break an item.
#[tokio::test]
async fn adding_any_amounts_never_causes_a_server_error() {
    let shop = Shop::open().await;
    let item = shop.store.item(0, 1).await;
    let statuses = futures::future::join_all((0..1_100).map(async |_| {
        let added = shop.store.post(&format!("/stock/add/{item}/{MOST}")).await.status;
        let taken = shop.store.post(&format!("/stock/subtract/{item}/{MOST}")).await.status;
        [added, taken]
    }));
    for status in statuses.await.concat() {
        assert!(matches!(status, 200 | 400 | 409), "{status}");
    }
    shop.store.agrees().await;
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let shop = Shop::open().await;
    for (method, target) in [
        ("GET", "/stock/find/none"),
        ("POST", "/stock/add/none/1"),
        ("POST", "/stock/subtract/none/0"),
    ] {
        let why = shop.refuses(method, target, 404).await;
        assert_eq!(why, "There is no item none: create it first.");
    }
}

#[tokio::test]
async fn what_is_malformed_is_named() {
    let shop = Shop::open().await;
    for id in ["a.b", "%00", "%FF", &"x".repeat(65)] {
        for (method, target) in
            [("GET", "find/ID"), ("POST", "add/ID/1"), ("POST", "subtract/ID/1")]
        {
            let target = format!("/stock/{}", target.replace("ID", id));
            let why = shop.refuses(method, &target, 400).await;
            assert!(why.starts_with("`item` must be "), "{target}: {why}");
        }
    }
    let amount = format!("must be a whole number from 0 to {MOST}.");
    for number in ["-1", "1.5", "x", "9007199254740992", "99999999999999999999"] {
        for (field, target) in [
            ("price", "item/create/NUMBER"),
            ("n", "add/{item}/NUMBER"),
            ("n", "subtract/{item}/NUMBER"),
            ("stock", "batch_init/1/NUMBER/1"),
            ("price", "batch_init/1/1/NUMBER"),
        ] {
            let target = format!("/stock/{}", target.replace("NUMBER", number));
            let why = shop.refuses("POST", &target, 400).await;
            assert_eq!(why, format!("`{field}` {amount}"), "{target}");
        }
    }
    let why = shop.refuses("POST", "/stock/batch_init/10000001/1/1", 400).await;
    assert_eq!(why, "`n` must be a whole number from 0 to 10000000.");
}

#[tokio::test]
async fn fixture_items_can_be_reset_any_number_of_times() {
    let shop = Shop::open().await;
    for stock in [5, 9] {
        shop.store.done(&format!("/stock/batch_init/3/{stock}/2")).await;
        let order = shop.store.order(&shop.user, &[("1", 1)]).await;
        assert_eq!(shop.store.checkout(&order).await.status, 200);
        let left = [stock, stock - 1, stock];
        for (item, left) in ["0", "1", "2"].iter().zip(left) {
            assert_eq!(shop.store.stock_of(item).await, left);
        }
        assert_eq!(shop.store.get("/stock/find/3").await.status, 404);
        shop.store.agrees().await;
    }
}
