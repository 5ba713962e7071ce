//! The audit of a store at rest.

use std::time::{Duration, Instant};

use storefront::db::storage::{Audit, CartAudit};

/// How long a store may take to end what was answered, or left half done.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the audit finds once nothing is under way: on Cassandra an order may be paid a moment before
/// what it holds is settled.
pub async fn at_rest(store: &dyn CartAudit) -> Audit {
    let begun = Instant::now();
    loop {
        let audit = store.audit().await.expect("an audit");
        if audit.unfinished == 0 {
            return audit;
        }
        assert!(begun.elapsed() < PATIENCE, "something is never ended: {audit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
