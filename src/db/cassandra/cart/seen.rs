//! The heads of accounts as this process wrote them last: guesses, which save a read where they are
//! right. A wrong one is refused and corrected, and not made again for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::accounts::Key;
use super::ledger::Head;

/// Heads that are remembered; then all are forgotten, which costs a read each.
const MOST: usize = 100_000;
/// How long an account that others change as well is read first.
const CONTESTED: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<Key, Guess>>);

enum Guess {
    Head(Head),
    Contested(Instant),
}

impl Seen {
    pub(super) fn get(&self, key: &Key) -> Option<Head> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            Some(Guess::Head(head)) => Some(*head),
            _ => None,
        }
    }

    /// This was written.
    pub(super) fn head(&self, key: &Key, head: Head) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(key) {
            Some(Guess::Contested(since)) if since.elapsed() < CONTESTED => {}
            Some(guess) => *guess = Guess::Head(head),
            None => {
                if seen.len() >= MOST {
                    seen.clear();
                }
                seen.insert(key.clone(), Guess::Head(head));
            }
        }
    }

    /// Somebody else has changed the account.
    pub(super) fn is_contested(&self, key: &Key) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(key.clone(), Guess::Contested(Instant::now()));
    }
}
