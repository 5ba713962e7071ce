//! What shoppers and shopkeepers do.

use serde_json::{Value, json};

use crate::client::{Request, Response};
use crate::helpers::TestStore;
use testkit::audit::settled_audit;

/// The largest amount, 2^53 - 1.
pub(crate) const MOST: u64 = 9_007_199_254_740_991;

impl TestStore {
    pub(crate) async fn post(&self, target: &str) -> Response {
        self.send(Request::new("POST", target)).await
    }

    /// A post that must succeed without a word worth reading.
    pub(crate) async fn done(&self, target: &str) {
        let answer = self.post(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.golden());
    }

    /// A new user with that credit.
    pub(crate) async fn user(&self, credit: u64) -> String {
        let user = self.made("/payment/create_user", "user_id").await;
        self.done(&format!("/payment/add_funds/{user}/{credit}")).await;
        user
    }

    /// A new item of which there are so many at that price.
    pub(crate) async fn item(&self, stock: u64, price: u64) -> String {
        let item = self.made(&format!("/stock/item/create/{price}"), "item_id").await;
        self.done(&format!("/stock/add/{item}/{stock}")).await;
        item
    }

    /// A new order of that user with these quantities.
    pub(crate) async fn order(&self, user: &str, items: &[(&str, u64)]) -> String {
        let order = self.made(&format!("/orders/create/{user}"), "order_id").await;
        for (item, quantity) in items {
            self.done(&format!("/orders/addItem/{order}/{item}/{quantity}")).await;
        }
        order
    }

    async fn made(&self, target: &str, key: &str) -> String {
        let answer = self.post(target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.golden());
        answer.json()[key].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn checkout(&self, order: &str) -> Response {
        self.post(&format!("/orders/checkout/{order}")).await
    }

    pub(crate) async fn stock_of(&self, item: &str) -> u64 {
        self.get(&format!("/stock/find/{item}")).await.json()["stock"].as_u64().expect("a number")
    }

    pub(crate) async fn credit_of(&self, user: &str) -> u64 {
        let answer = self.get(&format!("/payment/find_user/{user}")).await;
        answer.json()["credit"].as_u64().expect("a number")
    }

    /// What was ordered, as the store shows it.
    pub(crate) async fn ordered(&self, order: &str) -> Value {
        let answer = self.get(&format!("/orders/find/{order}")).await;
        assert_eq!(answer.status, 200, "{}", answer.golden());
        answer.json()
    }

    /// Every sum follows from the orders.
    pub(crate) async fn agrees(&self) {
        assert_eq!(settled_audit(self.cart_audit.as_ref()).await.differences, []);
    }
}

/// A shop where everything has happened once: a user with 7 left, an item of which 10 at 3 each are
/// left, an open order of two of it, a paid one of one and an empty one.
pub(crate) struct Shop {
    pub(crate) store: TestStore,
    pub(crate) user: String,
    pub(crate) item: String,
    pub(crate) open: String,
    pub(crate) paid: String,
    pub(crate) empty: String,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let store = TestStore::start().await;
        let (user, item) = (store.user(10).await, store.item(11, 3).await);
        let open = store.order(&user, &[(&item, 2)]).await;
        let paid = store.order(&user, &[(&item, 1)]).await;
        let empty = store.order(&user, &[]).await;
        store.checkout(&paid).await.is_text(200, "The order is paid.");
        Self { store, user, item, open, paid, empty }
    }

    /// The target with the shop's ids in place of their names in braces.
    pub(crate) fn target(&self, target: &str) -> String {
        let ids = [
            ("{user}", &self.user),
            ("{item}", &self.item),
            ("{open}", &self.open),
            ("{paid}", &self.paid),
            ("{empty}", &self.empty),
        ];
        ids.into_iter().fold(target.to_owned(), |text, (name, id)| text.replace(name, id))
    }

    pub(crate) async fn ask(&self, method: &str, target: &str) -> Response {
        self.store.send(Request::new(method, &self.target(target))).await
    }

    /// Everything that there is.
    pub(crate) async fn everything(&self) -> Value {
        json!({
            "credit": self.store.credit_of(&self.user).await,
            "stock": self.store.stock_of(&self.item).await,
            "open": self.store.ordered(&self.open).await,
            "paid": self.store.ordered(&self.paid).await,
            "empty": self.store.ordered(&self.empty).await,
        })
    }

    /// A problem of that status, and nothing has changed; its sentence.
    pub(crate) async fn refuses(&self, method: &str, target: &str, status: u16) -> String {
        let before = self.everything().await;
        let why = self.ask(method, target).await.problem(status);
        assert_eq!(self.everything().await, before, "{method} {target}");
        assert!(why.ends_with('.') && why.len() < 200, "one sentence: {why}");
        why
    }
}

/// The answer without the ids that the store drew.
pub(crate) fn without_ids(answer: &Response) -> String {
    let id = regex_lite::Regex::new("[0-9a-f]{32}").expect("an expression");
    id.replace_all(&answer.golden(), "[id]").into_owned()
}
