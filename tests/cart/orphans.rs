//! What `storefront audit` on Cassandra says of checkouts that nothing would end, and how `--repair`
//! ends them. Each state is written into the store beside a running program.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::{NoContext, Timestamp, Uuid};

use crate::http::Answer;
use crate::server_group::ServerGroup;
use testkit::process::{output, stderr, stdout, storefront};

const BALANCE: &str = "00000000-0000-0000-0000-000000000000";

/// Two users with 10 each, an item of which there is 1 at a price of 2, and an order of it by each
/// user; the first order's checkout is what is damaged.
struct Damaged {
    group: ServerGroup,
    /// The attempt of the first order's checkout. It began an hour ago.
    attempt_id: Uuid,
    order: String,
    /// The other user's.
    other: String,
}

impl Damaged {
    async fn new() -> Self {
        let group = ServerGroup::start("cassandra", 1).await;
        group.done("/payment/batch_init/2/10").await;
        group.done("/stock/batch_init/1/1/2").await;
        let order = order_of(&group, 0).await;
        let other = order_of(&group, 1).await;
        let begun = SystemTime::now() - Duration::from_secs(3_600);
        let begun = begun.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let attempt_id = Uuid::new_v7(Timestamp::from_unix(NoContext, begun, 0));
        Self { group, attempt_id, order, other }
    }

    /// Sets the sums of an account.
    async fn set(&self, (kind, id): (&str, u64), available: u64, sum: &str, amount: u64) {
        self.group
            .damage(&format!(
                "UPDATE cart_accounts SET available = {available}, {sum} = {amount}, version = 100 \
                 WHERE kind = '{kind}' AND id = '{id}' AND op_id = {BALANCE}"
            ))
            .await;
    }

    /// The attempt has reserved so much, and so much is left.
    async fn reserve(&self, account: (&str, u64), amount: u64, left: u64) {
        self.set(account, left, "reserved", amount).await;
        let (kind, id) = account;
        self.group
            .damage(&format!(
                "UPDATE cart_accounts SET state = 'reserved', amount = {amount} \
                 WHERE kind = '{kind}' AND id = '{id}' AND op_id = {}",
                self.attempt_id
            ))
            .await;
    }

    /// The attempt has reserved all that it needs.
    async fn reserve_all(&self) {
        self.reserve(("user", 0), 2, 8).await;
        self.reserve(("item", 0), 1, 0).await;
    }

    /// The attempt owns the order.
    async fn own(&self, state: &str) {
        let (attempt_id, order) = (self.attempt_id, &self.order);
        self.group
            .damage(&format!(
                "UPDATE cart_orders SET state = '{state}', attempt_id = {attempt_id}, \
                 epochs = [0, 0], version = {} WHERE order_id = '{order}'",
                Uuid::now_v7()
            ))
            .await;
    }

    fn audit(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = storefront(self.group.folder());
        command.arg("audit").args(arguments).args(["--database-url", self.group.database_url()]);
        let ended = output(&mut command);
        (ended.status.code(), stdout(&ended), stderr(&ended))
    }

    /// The audit finds these, in any order: as JSON, and each in a line that names the attempt.
    fn finds(&self, expected: &[Value]) {
        let report = self.group.audit();
        let found = report["differences"].as_array().unwrap();
        assert_eq!((found.len(), &report["unsettled"]), (expected.len(), &0.into()), "{report}");
        assert!(expected.iter().all(|difference| found.contains(difference)), "{report}");
        let (code, text, error) = self.audit(&[]);
        assert_eq!(code, Some(1), "{text}");
        let named = text.lines().filter(|line| line.contains(&self.attempt_id.to_string()));
        assert_eq!(named.count(), expected.len(), "{text}");
        assert!(text.ends_with("not everything agrees\n"), "{text}");
        let differences = format!("storefront: {} differences", expected.len());
        assert!(error.contains(&differences), "{error}");
        // Looking has changed nothing.
        assert_eq!(self.group.audit()["differences"], report["differences"]);
    }

    /// `--repair` says so often what it did; repeated, it has nothing to do.
    fn repaired(&self, what: &str, times: usize) {
        let (code, text, error) = self.audit(&["--repair"]);
        assert_eq!(code, Some(0), "{text}{error}");
        assert_eq!(text.matches(what).count(), times, "{text}");
        assert!(text.contains(&format!("  repaired     {times:>12}\n")), "{text}");
        assert!(text.ends_with("everything agrees\n"), "{text}");
        let (code, text, error) = self.audit(&["--repair"]);
        assert_eq!(code, Some(0), "{text}{error}");
        assert!(text.contains(&format!("  repaired     {:>12}\n", 0)), "{text}");
    }

    fn reservation(&self, of: &str, amount: u64, owner: Option<&str>) -> Value {
        let order = owner.map(|_| &self.order);
        json!({
            "kind": "reservation", "of": of, "amount": amount,
            "attempt_id": self.attempt_id.to_string(), "order": order, "state": owner,
        })
    }

    fn order_under_way(&self, state: &str) -> Value {
        json!({
            "kind": "order", "order": self.order, "state": state, "amount": 2,
            "attempt_id": self.attempt_id.to_string(),
        })
    }

    async fn checkout(&self, order: &str) -> Answer {
        self.group.ask(Method::POST, &format!("/orders/checkout/{order}")).await
    }

    async fn is_paid(&self, order: &str) {
        assert!(matches!(self.checkout(order).await, Answer::Done(_)));
    }
}

async fn order_of(group: &ServerGroup, user: u64) -> String {
    let order = group.done(&format!("/orders/create/{user}")).await.text("order_id");
    group.done(&format!("/orders/addItem/{order}/0/1")).await;
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn leaked_stock_of_a_sold_out_item_is_found_and_released() {
    let damaged = Damaged::new().await;
    damaged.reserve(("item", 0), 1, 0).await;
    damaged.finds(&[damaged.reservation("stock of item 0", 1, None)]);
    damaged.repaired("which owns no order (released)", 1);
    damaged.is_paid(&damaged.other).await;
    assert_eq!(damaged.checkout(&damaged.order).await, Answer::Refused(409));
    damaged.group.agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaked_credit_is_found_and_released() {
    let damaged = Damaged::new().await;
    damaged.reserve(("user", 0), 10, 0).await;
    damaged.finds(&[damaged.reservation("credit of user 0", 10, None)]);
    damaged.repaired("which owns no order (released)", 1);
    damaged.is_paid(&damaged.order).await;
    damaged.group.agrees();
}

/// The order was paid by another attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_beside_a_paid_order_is_released() {
    let damaged = Damaged::new().await;
    damaged.is_paid(&damaged.order).await;
    damaged.group.agrees();
    damaged.reserve(("user", 0), 3, 5).await;
    damaged.finds(&[damaged.reservation("credit of user 0", 3, None)]);
    damaged.repaired("which owns no order (released)", 1);
    assert_eq!(damaged.group.ask(Method::GET, "/payment/find_user/0").await.number("credit"), 8);
    damaged.group.agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_under_way_without_an_entry_is_found_and_left_to_recovery() {
    for state in ["pending", "aborting"] {
        let damaged = Damaged::new().await;
        damaged.own(state).await;
        damaged.reserve_all().await;
        damaged.finds(&[
            damaged.order_under_way(state),
            damaged.reservation("credit of user 0", 2, Some(state)),
            damaged.reservation("stock of item 0", 1, Some(state)),
        ]);
        damaged.repaired("(left to recovery)", 3);
        damaged.group.agrees();
        damaged.is_paid(&damaged.other).await;
        assert_eq!(damaged.checkout(&damaged.order).await, Answer::Refused(409), "{state}");
        damaged.group.agrees();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_without_an_entry_is_found_and_left_to_recovery() {
    let damaged = Damaged::new().await;
    damaged.own("cancelling").await;
    damaged.set(("user", 0), 8, "captured", 2).await;
    damaged.set(("item", 0), 0, "captured", 1).await;
    damaged.finds(&[damaged.order_under_way("cancelling")]);
    damaged.repaired("(left to recovery)", 1);
    damaged.group.agrees();
    damaged.is_paid(&damaged.other).await;
    damaged.group.agrees();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_paid_order_has_not_captured_is_found_and_captured() {
    let damaged = Damaged::new().await;
    damaged.own("paid").await;
    damaged.reserve_all().await;
    damaged.finds(&[
        damaged.reservation("credit of user 0", 2, Some("paid")),
        damaged.reservation("stock of item 0", 1, Some("paid")),
    ]);
    damaged.repaired("(captured)", 2);
    assert_eq!(damaged.checkout(&damaged.other).await, Answer::Refused(409));
    assert_eq!(damaged.group.agrees()["paid_orders"], 1);
}

/// Reserved, but there is no record of it: nothing can be released, so the sum is reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_sum_without_records_is_a_difference_that_stays() {
    let damaged = Damaged::new().await;
    damaged.set(("item", 0), 0, "reserved", 1).await;
    let sum = json!(
        [{"kind": "sum", "what": "reserved stock of item 0", "found": 1, "expected": 0}]
    );
    assert_eq!(damaged.group.audit()["differences"], sum);
    let (code, text, _) = damaged.audit(&["--repair"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("reserved stock of item 0 is 1, should be 0\n"), "{text}");
}
