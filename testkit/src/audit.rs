//! The audit of a store at rest.

use storefront::db::storage::{Audit, CartAudit};

use crate::wait::until;

/// What the audit finds once no checkout is unfinished: on Cassandra an order may be paid a moment
/// before its reservations are captured.
pub async fn settled_audit(store: &dyn CartAudit) -> Audit {
    until("an audit without unfinished checkouts", async || {
        let audit = store.audit().await.expect("an audit");
        (audit.unfinished == 0).then_some(audit)
    })
    .await
}
