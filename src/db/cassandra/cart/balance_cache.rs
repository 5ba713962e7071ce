//! The balances that this process wrote last. A batch planned from one saves a read; if another
//! server has changed the account since, the condition refuses the batch, the account is read, and
//! for a while its balance is not cached. Nothing is decided without that condition.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::accounts_table::AccountKey;
use super::saga::balance::Balance;

/// Balances that are kept; then all are dropped, which costs a read each.
const CAPACITY: usize = 100_000;
/// How long an account that another server changes too is read first.
const CONTENTION_PERIOD: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(super) struct BalanceCache(Mutex<HashMap<AccountKey, CachedBalance>>);

enum CachedBalance {
    Balance(Balance),
    Contended(Instant),
}

impl BalanceCache {
    pub(super) fn get(&self, key: &AccountKey) -> Option<Balance> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            Some(CachedBalance::Balance(balance)) => Some(*balance),
            _ => None,
        }
    }

    /// Stores a balance that was written.
    pub(super) fn put(&self, key: &AccountKey, balance: Balance) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match cache.get_mut(key) {
            Some(CachedBalance::Contended(since)) if since.elapsed() < CONTENTION_PERIOD => {}
            Some(guess) => *guess = CachedBalance::Balance(balance),
            None => {
                if cache.len() >= CAPACITY {
                    cache.clear();
                }
                cache.insert(key.clone(), CachedBalance::Balance(balance));
            }
        }
    }

    /// Another server has changed the account.
    pub(super) fn mark_contended(&self, key: &AccountKey) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(key.clone(), CachedBalance::Contended(Instant::now()));
    }
}
