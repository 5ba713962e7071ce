//! `/payment`.

use crate::shop::{MOST, Shop, without_ids};

#[tokio::test]
async fn every_answer_to_the_byte() {
    let shop = Shop::open().await;
    for (name, method, target) in [
        ("create_user", "POST", "/payment/create_user"),
        ("find_user", "GET", "/payment/find_user/{user}"),
        ("add_funds", "POST", "/payment/add_funds/{user}/1"),
        ("pay", "POST", "/payment/pay/{user}/1"),
        ("status", "POST", "/payment/status/{user}/{paid}"),
        ("get_status", "GET", "/payment/status/{user}/{open}"),
        ("cancel", "POST", "/payment/cancel/{user}/{paid}"),
        ("batch_init", "POST", "/payment/batch_init/2/3"),
        ("missing", "GET", "/payment/find_user/none"),
        ("malformed", "POST", "/payment/pay/{user}/x"),
        ("refused", "POST", "/payment/cancel/{user}/{paid}"),
    ] {
        insta::assert_snapshot!(name, without_ids(&shop.ask(method, target).await));
    }
}

#[tokio::test]
async fn credit_is_added_and_paid() {
    let shop = Shop::open().await;
    for (target, credit) in [("add_funds/ID/5", 12), ("pay/ID/12", 0), ("pay/ID/0", 0)] {
        shop.store.done(&format!("/payment/{}", target.replace("ID", &shop.user))).await;
        assert_eq!(shop.store.credit_of(&shop.user).await, credit);
    }
    shop.store.agrees().await;
}

#[tokio::test]
async fn more_than_there_is_cannot_be_paid() {
    let shop = Shop::open().await;
    for n in [8, MOST] {
        let why = shop.refuses("POST", &format!("/payment/pay/{{user}}/{n}"), 409).await;
        assert_eq!(why, "There is not enough credit: spend less, or add funds.");
    }
}

#[tokio::test]
async fn credit_is_never_more_than_an_amount() {
    let shop = Shop::open().await;
    // Seven are left, three were spent, and they may always be returned.
    let why = shop.refuses("POST", &format!("/payment/add_funds/{{user}}/{}", MOST - 9), 400).await;
    assert!(why.starts_with("The amount is too large"), "{why}");
    shop.store.done(&shop.target(&format!("/payment/add_funds/{{user}}/{}", MOST - 10))).await;
    assert_eq!(shop.store.credit_of(&shop.user).await, MOST - 3);
    shop.store.done(&shop.target("/payment/cancel/{user}/{paid}")).await;
    assert_eq!(shop.store.credit_of(&shop.user).await, MOST);
    shop.store.agrees().await;
}

#[tokio::test]
async fn a_paid_order_is_refunded_once() {
    let shop = Shop::open().await;
    shop.store
        .post(&shop.target("/payment/cancel/{user}/{paid}"))
        .await
        .is_text(200, "The payment was taken back.");
    assert_eq!(shop.store.credit_of(&shop.user).await, 10);
    assert_eq!(shop.store.stock_of(&shop.item).await, 11);
    assert_eq!(shop.store.ordered(&shop.paid).await["paid"], false);
    for order in ["{paid}", "{open}", "{empty}"] {
        let why = shop.refuses("POST", &format!("/payment/cancel/{{user}}/{order}"), 409).await;
        assert_eq!(why, "The order is not paid: there is nothing to cancel.");
    }
    assert_eq!(shop.store.checkout(&shop.paid).await.status, 200, "it is open again");
    shop.store.agrees().await;
}

#[tokio::test]
async fn another_users_order_is_not_refunded() {
    let shop = Shop::open().await;
    let other_user = shop.store.user(0).await;
    for (order, by) in
        [("{paid}", &other_user), ("{open}", &other_user), ("{paid}", &"none".into())]
    {
        let why = shop.refuses("POST", &format!("/payment/cancel/{by}/{order}"), 409).await;
        assert_eq!(why, "The order is another user's: name the user whose it is.");
    }
    for method in ["GET", "POST"] {
        let why =
            shop.refuses(method, &format!("/payment/status/{other_user}/{{paid}}"), 404).await;
        assert_eq!(why, "There is no such order: create it first.");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let shop = Shop::open().await;
    let (user, order) =
        ("There is no user none: create it first.", "There is no such order: create it first.");
    for (method, target, why) in [
        ("GET", "/payment/find_user/none", user),
        ("POST", "/payment/add_funds/none/1", user),
        ("POST", "/payment/pay/none/0", user),
        ("POST", "/payment/cancel/{user}/none", order),
        ("POST", "/payment/status/{user}/none", order),
        ("GET", "/payment/status/{user}/none", order),
    ] {
        assert_eq!(shop.refuses(method, target, 404).await, why, "{target}");
    }
}

#[tokio::test]
async fn what_is_malformed_is_named() {
    let shop = Shop::open().await;
    for id in ["a.b", "%00", "%FF", &"x".repeat(65)] {
        for (field, method, target) in [
            ("user", "GET", "find_user/ID"),
            ("user", "POST", "add_funds/ID/1"),
            ("user", "POST", "pay/ID/1"),
            ("user", "POST", "cancel/ID/{paid}"),
            ("order", "POST", "cancel/{user}/ID"),
            ("user", "POST", "status/ID/{paid}"),
            ("order", "GET", "status/{user}/ID"),
        ] {
            let target = format!("/payment/{}", target.replace("ID", id));
            let why = shop.refuses(method, &target, 400).await;
            assert!(why.starts_with(&format!("`{field}` must be ")), "{target}: {why}");
        }
    }
    for number in ["-1", "1.5", "x", "9007199254740992"] {
        for (field, target) in [
            ("n", "add_funds/{user}/NUMBER"),
            ("n", "pay/{user}/NUMBER"),
            ("credit", "batch_init/1/NUMBER"),
        ] {
            let target = format!("/payment/{}", target.replace("NUMBER", number));
            let why = shop.refuses("POST", &target, 400).await;
            assert_eq!(why, format!("`{field}` must be a whole number from 0 to {MOST}."));
        }
    }
    let why = shop.refuses("POST", "/payment/batch_init/x/1", 400).await;
    assert_eq!(why, "`n` must be a whole number from 0 to 10000000.");
}

#[tokio::test]
async fn fixture_users_can_be_reset_any_number_of_times() {
    let shop = Shop::open().await;
    for credit in [5, 9] {
        shop.store.done(&format!("/payment/batch_init/3/{credit}")).await;
        shop.store.done("/payment/pay/1/2").await;
        for (user, left) in ["0", "1", "2"].iter().zip([credit, credit - 2, credit]) {
            assert_eq!(shop.store.credit_of(user).await, left);
        }
        assert_eq!(shop.store.get("/payment/find_user/3").await.status, 404);
        shop.store.agrees().await;
    }
}

/// What a reset has forgotten is neither charged nor refunded.
#[tokio::test]
async fn an_order_that_was_paid_before_a_reset_refunds_nothing() {
    let shop = Shop::open().await;
    shop.store.done("/payment/batch_init/1/9").await;
    shop.store.done("/stock/batch_init/1/9/1").await;
    let order = shop.store.order("0", &[("0", 2)]).await;
    assert_eq!(shop.store.checkout(&order).await.status, 200);
    shop.store.done(&format!("/payment/batch_init/1/{MOST}")).await;
    shop.store.done(&format!("/stock/batch_init/1/{MOST}/1")).await;
    shop.store.done(&format!("/payment/cancel/0/{order}")).await;
    assert_eq!(shop.store.credit_of("0").await, MOST);
    assert_eq!(shop.store.stock_of("0").await, MOST);
    shop.store.agrees().await;
}
