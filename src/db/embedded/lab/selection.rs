//! Which databases are leased for what is wanted, or why none are.

use jiff::Timestamp;

use super::registry::Entry;
use crate::db::storage::{BusyReason, DatabaseState, LeaseOutcome};
use crate::lab::model::{DatabaseSize, DatabaseType};

/// What is registered, and where a reset is under way.
pub(super) struct Selection<'a> {
    pub(super) entries: &'a [Entry],
    /// Identity of the server at which a reset is under way: it would disturb a measurement there.
    pub(super) reset_at: Option<&'a str>,
}

impl<'a> Selection<'a> {
    /// One database for each that is wanted, no two of one server; otherwise the refusal for the first
    /// that cannot be had together with those before it.
    pub(super) fn choose(
        &self,
        wanted: &[(DatabaseType, DatabaseSize)],
    ) -> Result<Vec<&'a Entry>, LeaseOutcome> {
        let candidates: Vec<_> = wanted.iter().map(|wanted| self.candidates(*wanted)).collect();
        if let Some(missing) = candidates.iter().position(Vec::is_empty) {
            return Err(LeaseOutcome::NotRegistered(wanted[missing].0, wanted[missing].1));
        }
        let free: Vec<Vec<_>> = candidates
            .iter()
            .map(|of_one| of_one.iter().copied().filter(|e| self.is_free(e)).collect())
            .collect();
        let mut chosen = Vec::new();
        if assign(&free, &mut chosen) {
            return Ok(chosen);
        }
        let refused = (0..free.len()).find(|last| !assign(&free[..=*last], &mut Vec::new()));
        let index = refused.unwrap_or_default();
        let reason = self.reason(&candidates[index]);
        Err(LeaseOutcome::Busy(wanted[index].0, wanted[index].1, reason))
    }

    /// Those of a type and size; stand-ins only where nothing else is registered, even if it is broken: a
    /// measurement must not change silently from a real database to a stand-in.
    fn candidates(&self, wanted: (DatabaseType, DatabaseSize)) -> Vec<&'a Entry> {
        let mut found: Vec<_> = self
            .entries
            .iter()
            .filter(|e| (e.database().database_type, e.database().database_size) == wanted)
            .collect();
        if found.iter().any(|entry| !entry.database().stand_in) {
            found.retain(|entry| !entry.database().stand_in);
        }
        found
    }

    fn is_free(&self, entry: &Entry) -> bool {
        entry.registered.state == DatabaseState::Free
            && !self.is_reset_at(entry)
            && self.lease_end(entry).is_none()
    }

    fn is_reset_at(&self, entry: &Entry) -> bool {
        self.reset_at == Some(entry.database().identity.as_str())
    }

    /// When the lease at the server of a database ends, if there is one.
    fn lease_end(&self, entry: &Entry) -> Option<Timestamp> {
        let identity = &entry.database().identity;
        let at_server = |other: &&Entry| other.database().identity == *identity;
        self.entries.iter().filter(at_server).find_map(Entry::lease_end)
    }

    fn reason(&self, candidates: &[&Entry]) -> BusyReason {
        // A broken one does not become free when a lease at its server ends.
        let usable = || {
            candidates
                .iter()
                .filter(|entry| !matches!(entry.registered.state, DatabaseState::Broken(_)))
        };
        if let Some(end) = usable().filter_map(|entry| self.lease_end(entry)).min() {
            return BusyReason::Leased(end);
        }
        let is_resetting =
            |e: &&Entry| e.registered.state == DatabaseState::Resetting || self.is_reset_at(e);
        if usable().any(is_resetting) {
            return BusyReason::Resetting;
        }
        let why = candidates.iter().find_map(|entry| match &entry.registered.state {
            DatabaseState::Broken(why) => Some(why.clone()),
            _ => None,
        });
        match why {
            Some(why) if usable().next().is_none() => BusyReason::Broken(why),
            _ => BusyReason::SameServer,
        }
    }
}

/// Completes a choice of one of each list, so that no two are of one server.
fn assign<'a>(free: &[Vec<&'a Entry>], chosen: &mut Vec<&'a Entry>) -> bool {
    let Some(options) = free.get(chosen.len()) else { return true };
    for option in options {
        if chosen.iter().any(|other| other.database().identity == option.database().identity) {
            continue;
        }
        chosen.push(option);
        if assign(free, chosen) {
            return true;
        }
        chosen.pop();
    }
    false
}
