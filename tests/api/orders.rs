//! `/orders`.

use serde_json::json;
use storefront::cart::model::{Amount, ItemId, Line, Order, OrderId, UserId};
use storefront::db::storage::ActContext;

use crate::client::Request;
use crate::shop::{MOST, Shop, without_ids};

#[tokio::test]
async fn every_answer_to_the_byte() {
    let shop = Shop::open().await;
    for (name, method, target) in [
        ("create", "POST", "/orders/create/{user}"),
        ("find", "GET", "/orders/find/{open}"),
        ("add_item", "POST", "/orders/addItem/{open}/{item}/1"),
        ("remove_item", "DELETE", "/orders/removeItem/{open}/{item}"),
        ("checkout", "POST", "/orders/checkout/{open}"),
        ("remove", "DELETE", "/orders/remove/{empty}"),
        ("batch_init", "POST", "/orders/batch_init/2/1/1/5"),
        ("gone", "GET", "/orders/find/{empty}"),
        ("malformed", "GET", "/orders/find/a.b"),
        ("refused", "DELETE", "/orders/remove/{paid}"),
    ] {
        insta::assert_snapshot!(name, without_ids(&shop.ask(method, target).await));
    }
    shop.store.agrees().await;
}

#[tokio::test]
async fn an_order_shows_what_is_in_it_by_item() {
    let shop = Shop::open().await;
    let other = shop.store.item(5, 4).await;
    shop.store.done(&shop.target(&format!("/orders/addItem/{{open}}/{other}/3"))).await;
    let mut items = [json!([shop.item, 2]), json!([other, 3])];
    items.sort_by_key(|line| line[0].to_string());
    let expected = json!({
        "order_id": shop.open,
        "paid": false,
        "items": items,
        "user_id": shop.user,
        "total_cost": 18,
    });
    assert_eq!(shop.store.ordered(&shop.open).await, expected);
    let paid = shop.store.ordered(&shop.paid).await;
    assert_eq!((&paid["paid"], &paid["total_cost"]), (&json!(true), &json!(3)));
}

#[tokio::test]
async fn an_order_may_be_of_a_user_who_is_not_there_yet() {
    let shop = Shop::open().await;
    let order = shop.store.order("who_is-this", &[(&shop.item, 1)]).await;
    assert_eq!(shop.store.ordered(&order).await["user_id"], "who_is-this");
    let why = shop.refuses("POST", &format!("/orders/checkout/{order}"), 404).await;
    assert_eq!(why, "There is no user who_is-this: create it first.");
}

#[tokio::test]
async fn the_same_item_adds_up_and_is_taken_off_one_by_one() {
    let shop = Shop::open().await;
    shop.store.done(&shop.target("/orders/addItem/{open}/{item}/3")).await;
    assert_eq!(shop.store.ordered(&shop.open).await["items"], json!([[shop.item, 5]]));
    for left in (0..5).rev() {
        shop.ask("DELETE", "/orders/removeItem/{open}/{item}").await;
        assert_eq!(shop.store.ordered(&shop.open).await["total_cost"], 3 * left);
    }
    assert_eq!(shop.store.ordered(&shop.open).await["items"], json!([]));
    let why = shop.refuses("DELETE", "/orders/removeItem/{open}/{item}", 409).await;
    assert_eq!(why, "The item is not in the order: add it first.");
}

#[tokio::test]
async fn an_item_beyond_the_limit_of_an_order_is_refused_by_its_name() {
    let shop = Shop::open().await;
    let line =
        |number| Line { item: ItemId::numbered(number), quantity: Amount::ONE, cost: Amount::ONE };
    let mut lines: Vec<_> = (0..1_000).map(line).collect();
    lines.sort_by(|a, b| a.item.cmp(&b.item));
    let (id, user) = (OrderId::new(), UserId::new());
    let full = Order { id: id.clone(), user, paid: false, lines };
    let stores = shop.store.database.open().await;
    stores.fixtures.put_orders(ActContext::new(), vec![full]).await.unwrap().unwrap();
    let why = shop.refuses("POST", &format!("/orders/addItem/{id}/{{item}}/1"), 400).await;
    assert_eq!(why, "The order has 1000 different items, which is the limit: use another order.");
}

#[tokio::test]
async fn a_price_is_that_at_the_time_of_adding() {
    let shop = Shop::open().await;
    shop.store.done("/stock/batch_init/1/10/3").await;
    let order = shop.store.order(&shop.user, &[("0", 1)]).await;
    shop.store.done("/stock/batch_init/1/10/4").await;
    shop.store.done(&format!("/orders/addItem/{order}/0/1")).await;
    assert_eq!(shop.store.ordered(&order).await["total_cost"], 7);
}

#[tokio::test]
async fn a_checkout_takes_stock_and_credit_once() {
    let shop = Shop::open().await;
    for _ in 0..3 {
        shop.store.checkout(&shop.open).await.is_text(200, "The order is paid.");
        assert_eq!(shop.store.credit_of(&shop.user).await, 1);
        assert_eq!(shop.store.stock_of(&shop.item).await, 8);
    }
    shop.store.agrees().await;
}

#[tokio::test]
async fn a_checkout_that_is_refused_changes_nothing() {
    let shop = Shop::open().await;
    let why = shop.refuses("POST", "/orders/checkout/{empty}", 409).await;
    assert_eq!(why, "The order is empty: add an item first.");
    let rich = shop.store.user(1_000).await;
    for (user, quantity, expected) in [
        (&shop.user, 3, "There is not enough credit: spend less, or add funds.".to_owned()),
        (
            &rich,
            11,
            format!("There is not enough of item {} in stock: take less, or add stock.", shop.item),
        ),
    ] {
        let order = shop.store.order(user, &[(&shop.item, quantity)]).await;
        let why = shop.refuses("POST", &format!("/orders/checkout/{order}"), 409).await;
        assert_eq!(why, expected);
        assert_eq!(shop.store.ordered(&order).await["paid"], false);
    }
    shop.store.agrees().await;
}

#[tokio::test]
async fn a_paid_order_is_not_changed() {
    let shop = Shop::open().await;
    for (method, target) in [
        ("POST", "/orders/addItem/{paid}/{item}/1"),
        ("DELETE", "/orders/removeItem/{paid}/{item}"),
        ("DELETE", "/orders/remove/{paid}"),
    ] {
        let why = shop.refuses(method, target, 409).await;
        assert_eq!(why, "The order is paid: cancel the payment first.");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let shop = Shop::open().await;
    for (method, target, why) in [
        ("GET", "/orders/find/none", "There is no such order: create it first."),
        ("POST", "/orders/addItem/none/{item}/1", "There is no such order: create it first."),
        ("POST", "/orders/addItem/{open}/none/1", "There is no item none: create it first."),
        ("DELETE", "/orders/removeItem/none/{item}", "There is no such order: create it first."),
        ("DELETE", "/orders/remove/none", "There is no such order: create it first."),
        ("POST", "/orders/checkout/none", "There is no such order: create it first."),
    ] {
        assert_eq!(shop.refuses(method, target, 404).await, why, "{target}");
    }
}

#[tokio::test]
async fn what_is_malformed_is_named() {
    let shop = Shop::open().await;
    let long = "x".repeat(65);
    for id in ["a.b", "%00", "a%20b", "%C3%A4", "%FF", "a%2Fb", &long] {
        for (field, method, target) in [
            ("user", "POST", "/orders/create/ID"),
            ("order", "GET", "/orders/find/ID"),
            ("order", "POST", "/orders/addItem/ID/{item}/1"),
            ("item", "POST", "/orders/addItem/{open}/ID/1"),
            ("order", "DELETE", "/orders/removeItem/ID/{item}"),
            ("item", "DELETE", "/orders/removeItem/{open}/ID"),
            ("order", "DELETE", "/orders/remove/ID"),
            ("order", "POST", "/orders/checkout/ID"),
        ] {
            let why = shop.refuses(method, &target.replace("ID", id), 400).await;
            assert!(why.starts_with(&format!("`{field}` must be ")), "{target} {id}: {why}");
        }
    }
}

#[tokio::test]
async fn a_quantity_is_a_whole_number_from_1() {
    let shop = Shop::open().await;
    for quantity in ["-1", "+1", "1.0", "1e3", "x", "%20", "9007199254740992", "1_0"] {
        let target = format!("/orders/addItem/{{open}}/{{item}}/{quantity}");
        let why = shop.refuses("POST", &target, 400).await;
        assert_eq!(why, format!("`quantity` must be a whole number from 0 to {MOST}."));
    }
    let why = shop.refuses("POST", "/orders/addItem/{open}/{item}/0", 400).await;
    assert_eq!(why, "`quantity` must be at least 1.");
}

#[tokio::test]
async fn an_order_never_costs_more_than_an_amount() {
    let shop = Shop::open().await;
    let dear = shop.store.item(1, MOST).await;
    for (item, quantity) in [(&shop.item, MOST), (&shop.item, MOST / 3), (&dear, 1), (&dear, 2)] {
        let target = format!("/orders/addItem/{{open}}/{item}/{quantity}");
        let why = shop.refuses("POST", &target, 400).await;
        assert!(why.starts_with("The amount is too large"), "{why}");
    }
    shop.store.done(&shop.target(&format!("/orders/addItem/{{empty}}/{dear}/1"))).await;
    assert_eq!(shop.store.ordered(&shop.empty).await["total_cost"], MOST);
}

#[tokio::test]
async fn fixture_orders_have_two_items_each() {
    let shop = Shop::open().await;
    for round in 0..2 {
        shop.store.done("/payment/batch_init/3/100").await;
        shop.store.done("/stock/batch_init/4/50/7").await;
        shop.store.done("/orders/batch_init/10/4/3/7").await;
        for number in 0..10 {
            let order = shop.store.ordered(&number.to_string()).await;
            assert_eq!((&order["paid"], &order["total_cost"]), (&json!(false), &json!(14)));
            let items = order["items"].as_array().expect("lines");
            assert_eq!(items.iter().map(|line| line[1].as_u64().unwrap()).sum::<u64>(), 2);
            let user: u64 = order["user_id"].as_str().unwrap().parse().expect("a number");
            assert!(user < 3);
        }
        for number in 0..5 {
            let answer = shop.store.checkout(&number.to_string()).await;
            assert_eq!(answer.status, 200, "round {round}: {}", answer.golden());
        }
        shop.store.agrees().await;
    }
}

#[tokio::test]
async fn impossible_fixture_orders_are_refused_with_a_reason() {
    let shop = Shop::open().await;
    let none = "`n_items` and `n_users` must be at least 1 where there are orders.";
    let dear = "`item_price` must be so small that two of them are an amount.";
    let count = |name| format!("`{name}` must be a whole number from 0 to 10000000.");
    for (target, why) in [
        ("1/0/1/1".to_owned(), none.to_owned()),
        ("1/1/0/1".to_owned(), none.to_owned()),
        ("1/1/1/4503599627370496".to_owned(), dear.to_owned()),
        ("10000001/1/1/1".to_owned(), count("n")),
        ("1/x/1/1".to_owned(), count("n_items")),
        ("1/1/-1/1".to_owned(), count("n_users")),
        (
            format!("1/1/1/{}", MOST + 1),
            format!("`item_price` must be a whole number from 0 to {MOST}."),
        ),
    ] {
        let target = format!("/orders/batch_init/{target}");
        assert_eq!(shop.refuses("POST", &target, 400).await, why, "{target}");
    }
    shop.store.done("/orders/batch_init/0/0/0/0").await;
}

#[tokio::test]
async fn methods_and_slashes_are_as_everywhere() {
    let shop = Shop::open().await;
    let refused = shop.ask("GET", "/orders/checkout/{open}").await;
    refused.problem(405);
    assert_eq!(refused.header("allow"), Some("POST"));
    assert_eq!(shop.ask("GET", "/orders/find/{open}/").await.status, 200);
    assert_eq!(shop.ask("HEAD", "/orders/find/{open}").await.status, 200);
    let answer = shop.store.send(Request::new("GET", "/orders/find")).await;
    answer.problem(404);
}
