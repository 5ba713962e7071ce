//! A statement of the cart that reaches PostgreSQL late, long after its server has died.
//!
//! Its client does not know what became of the request, repeats it at another server, and goes on from
//! there. What is late must not undo what was acknowledged since.

use reqwest::{Method, Url};
use serde_json::Value;

use crate::requests::serve;
use testkit::postgres::{NEWEST, OwnSchema, address, column};
use testkit::process::{Server, storefront};
use testkit::proxy::{Mode, Proxy};
use testkit::wait::eventually;

const CREDIT: u64 = 100;
const PRICE: u64 = 3;

/// Two servers on one database, the first behind a proxy, and an order that the first has made.
struct Shop {
    first: Option<Server>,
    second: Server,
    proxy: Proxy,
    user: String,
    item: String,
    order: String,
    /// By which the database knows the connections of the first.
    name: String,
    _folder: tempfile::TempDir,
    schema: OwnSchema,
}

impl Shop {
    async fn open() -> Self {
        let schema = OwnSchema::create(NEWEST).await;
        let folder = tempfile::tempdir().unwrap();
        let mut url: Url = address(NEWEST).parse().unwrap();
        let proxy = Proxy::to(url.socket_addrs(|| Some(5432)).unwrap()[0]).await;
        url.set_ip_host(proxy.address.ip()).unwrap();
        url.set_port(Some(proxy.address.port())).unwrap();
        let name = format!("first_{:016x}", rand::random::<u64>());
        // Without encryption the proxy can tell which statement it holds.
        let own = format!("application_name={name}&sslmode=disable");
        let url = format!("{}&{own}", schema.url_at(url.as_str()));
        // Alone, so that nothing else uses the connection on which a statement is prepared.
        let mut command = storefront(folder.path());
        command.args(["serve", "--database-url", &url, "--services", "overview,cart"]);
        let first = Server::spawn(&mut command, folder.path());
        let other = tempfile::tempdir_in(folder.path()).unwrap();
        let second = serve(other.path(), &schema.url());
        let user = post(&first, "/payment/create_user", "user_id").await;
        post(&first, &format!("/payment/add_funds/{user}/{CREDIT}"), "").await;
        let item = post(&first, &format!("/stock/item/create/{PRICE}"), "item_id").await;
        post(&first, &format!("/stock/add/{item}/10"), "").await;
        let order = post(&first, &format!("/orders/create/{user}"), "order_id").await;
        post(&first, &format!("/orders/addItem/{order}/{item}/1"), "").await;
        // The statement of a cancel is prepared by now on every connection, so that what is held is its
        // execution.
        let cancel = format!("/payment/cancel/{user}/{order}");
        for _ in 0..3 {
            let cancels = (0..16).map(|_| first.send(Method::POST, &cancel, None));
            for answer in futures::future::join_all(cancels).await {
                assert_eq!(answer.unwrap().status(), 409);
            }
        }
        let first = Some(first);
        Self { first, second, proxy, user, item, order, name, _folder: folder, schema }
    }

    /// The same with an order that `batch_init` has put.
    async fn with_a_fixture() -> Self {
        let mut shop = Self::open().await;
        shop.done(&format!("/payment/batch_init/1/{CREDIT}")).await;
        shop.done(&format!("/stock/batch_init/2/10/{PRICE}")).await;
        (shop.order, shop.user) = ("0".to_owned(), "0".to_owned());
        shop.put_order().await;
        shop
    }

    /// Puts the order of the fixtures, in place of the one that there is.
    async fn put_order(&self) {
        self.done(&format!("/orders/batch_init/1/2/1/{PRICE}")).await;
    }

    fn checkout(&self) -> String {
        format!("/orders/checkout/{}", self.order)
    }

    fn cancel(&self) -> String {
        format!("/payment/cancel/{}/{}", self.user, self.order)
    }

    fn add_item(&self) -> String {
        format!("/orders/addItem/{}/{}/1", self.order, self.item)
    }

    /// The first server sends the statement of this request and dies; the statement is on its way. It is
    /// known by its parameter, the order's id: other connections may still be preparing theirs.
    async fn hold(&mut self, path: &str) {
        self.proxy.set(Mode::Freeze);
        let first = self.first.take().expect("it is alive");
        let request = first.client.post(format!("{}{path}", first.base)).send();
        let sent = tokio::spawn(request);
        let length = u32::try_from(self.order.len()).unwrap().to_be_bytes();
        self.proxy.holds(&[&length, self.order.as_bytes()].concat()).await;
        drop(first);
        sent.await.unwrap().expect_err("its client gets no answer");
    }

    /// Lets the statement arrive, and waits until the database has done with it.
    async fn release(&self) {
        assert!(self.sessions().await > 0, "the statement is on its way");
        self.proxy.restore();
        eventually("the database ends the sessions of a dead client", async || {
            self.sessions().await == 0
        })
        .await;
    }

    async fn sessions(&self) -> usize {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}'",
            self.name
        );
        column(&self.schema.url(), &sql).await[0].parse().unwrap()
    }

    async fn done(&self, path: &str) {
        post(&self.second, path, "").await;
    }

    /// Whether the order is paid, and the user's credit, which must agree with that.
    async fn is_paid(&self) -> bool {
        let order = get(&self.second, &format!("/orders/find/{}", self.order)).await;
        let user = get(&self.second, &format!("/payment/find_user/{}", self.user)).await;
        let is_paid = order["paid"].as_bool().unwrap();
        let cost = if is_paid { order["total_cost"].as_u64().unwrap() } else { 0 };
        assert_eq!(user["credit"].as_u64(), Some(CREDIT - cost), "{order}");
        is_paid
    }
}

/// A field of the answer to a post that must succeed; "" for none.
async fn post(server: &Server, path: &str, field: &str) -> String {
    let answer = server.send(Method::POST, path, None).await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{path}: {text}\n{}", server.log());
    if field.is_empty() {
        return String::new();
    }
    let body: Value = serde_json::from_str(&text).unwrap();
    body[field].as_str().expect("a text").to_owned()
}

async fn get(server: &Server, path: &str) -> Value {
    serde_json::from_str(&server.get(path).await).unwrap()
}

/// So the tests below show something: what is late does arrive, and works where nothing has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_checkout_of_an_unchanged_order_pays_it() {
    let mut shop = Shop::open().await;
    shop.hold(&shop.checkout()).await;
    assert!(!shop.is_paid().await);
    shop.release().await;
    assert!(shop.is_paid().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_cancel_of_an_unchanged_order_opens_it() {
    let mut shop = Shop::open().await;
    shop.done(&shop.checkout()).await;
    shop.hold(&shop.cancel()).await;
    assert!(shop.is_paid().await);
    shop.release().await;
    assert!(!shop.is_paid().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_checkout_does_not_pay_again_after_an_acknowledged_cancel() {
    let mut shop = Shop::open().await;
    shop.hold(&shop.checkout()).await;
    shop.done(&shop.checkout()).await;
    shop.done(&shop.cancel()).await;
    shop.release().await;
    assert!(!shop.is_paid().await, "it was cancelled");
    shop.done(&shop.checkout()).await;
    assert!(shop.is_paid().await, "it can be paid again by a new request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_checkout_does_not_pay_for_what_was_added_since() {
    let mut shop = Shop::open().await;
    shop.hold(&shop.checkout()).await;
    shop.done(&shop.add_item()).await;
    shop.release().await;
    assert!(!shop.is_paid().await, "nobody has asked to check out two of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_cancel_does_not_undo_an_acknowledged_payment() {
    let mut shop = Shop::open().await;
    shop.done(&shop.checkout()).await;
    shop.hold(&shop.cancel()).await;
    shop.done(&shop.cancel()).await;
    shop.done(&shop.checkout()).await;
    shop.release().await;
    assert!(shop.is_paid().await, "it was paid after the cancel");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_checkout_of_an_unchanged_fixture_pays_it() {
    let mut shop = Shop::with_a_fixture().await;
    shop.hold(&shop.checkout()).await;
    shop.release().await;
    assert!(shop.is_paid().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_checkout_does_not_pay_the_order_that_replaced_its_own() {
    let mut shop = Shop::with_a_fixture().await;
    shop.hold(&shop.checkout()).await;
    shop.put_order().await;
    shop.release().await;
    assert!(!shop.is_paid().await, "no request asked to check out the new one");
    shop.done(&shop.checkout()).await;
    assert!(shop.is_paid().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_cancel_does_not_open_the_order_that_replaced_its_own() {
    let mut shop = Shop::with_a_fixture().await;
    shop.done(&shop.checkout()).await;
    shop.hold(&shop.cancel()).await;
    shop.put_order().await;
    shop.done(&format!("/payment/batch_init/1/{CREDIT}")).await;
    shop.done(&shop.checkout()).await;
    shop.release().await;
    assert!(shop.is_paid().await, "the new one was paid");
}
