//! The version of a store's schema, and the sentences for one that does not fit.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::db::storage::{ErrorKind, MigrationPolicy, StorageError};

/// One numbered step of a schema, as it stands in `schema/`.
pub(in crate::db) type Step = &'static str;

/// A checksum of a step's text, recorded when the step is applied: a store that was made by another
/// text under the same number is not this program's.
pub(in crate::db) fn checksum(step: Step) -> i64 {
    xxh3_64(step.as_bytes()).cast_signed()
}

/// What a migration has to do.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::db) enum Migration {
    /// Nothing.
    UpToDate,
    /// Apply the steps from this one on.
    From(usize),
}

/// Compares the steps that a store has had, by their recorded checksums, with this program's.
///
/// # Errors
/// [`ErrorKind::Invalid`], a sentence for the operator, where the schema is newer, was made by other
/// steps, or is older and must not be migrated.
pub(in crate::db) fn plan(
    store: &impl fmt::Display,
    steps: &[Step],
    recorded: &[i64],
    policy: MigrationPolicy,
) -> Result<Migration, StorageError> {
    let found = recorded.len();
    let refuse = |why: &str| {
        let text = format!(
            "the schema of {store} is version {found} (this program's is {}), {why}",
            steps.len()
        );
        Err(StorageError::new(ErrorKind::Invalid, text))
    };
    if found > steps.len() {
        return refuse("newer than this program: use a newer storefront");
    }
    let differs = steps.iter().zip(recorded).position(|(step, sum)| checksum(step) != *sum);
    if let Some(step) = differs {
        let why = format!(
            "and its step {} was made by another build of storefront: use that build, or an empty \
             database",
            step + 1
        );
        return refuse(&why);
    }
    match policy {
        _ if found == steps.len() => Ok(Migration::UpToDate),
        MigrationPolicy::Require => refuse("older than this program: run `storefront migrate`"),
        MigrationPolicy::Migrate => Ok(Migration::From(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 2] = ["CREATE a", "CREATE b"];

    fn planned(recorded: &[i64], policy: MigrationPolicy) -> Result<Migration, String> {
        plan(&"x.db", &STEPS, recorded, policy).map_err(|error| error.to_string())
    }

    #[test]
    fn a_store_gets_the_steps_that_it_lacks() {
        let sums = STEPS.map(checksum);
        let migrate = MigrationPolicy::Migrate;
        assert_eq!(planned(&[], migrate), Ok(Migration::From(0)));
        assert_eq!(planned(&sums[..1], migrate), Ok(Migration::From(1)));
        assert_eq!(planned(&sums, migrate), Ok(Migration::UpToDate));
        assert_eq!(planned(&sums, MigrationPolicy::Require), Ok(Migration::UpToDate));
    }

    #[test]
    fn a_schema_that_does_not_fit_is_refused_in_a_sentence() {
        let sums = STEPS.map(checksum);
        let older = planned(&sums[..1], MigrationPolicy::Require).unwrap_err();
        assert!(older.contains("version 1 (this program's is 2), older"), "{older}");
        let newer = planned(&[sums[0], sums[1], 7], MigrationPolicy::Migrate).unwrap_err();
        assert!(newer.contains("newer than this program"), "{newer}");
        let other = planned(&[sums[0], 7], MigrationPolicy::Migrate).unwrap_err();
        assert!(other.contains("step 2 was made by another build"), "{other}");
    }
}
