//! Any bytes as the body of a message of activities.
//!
//! The gate must not panic, and what it accepts must be JSON for others too, be read by the worker as the
//! same activities, and be planned by the rules of every backend without a panic: else an accepted message
//! would stop the queue.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use serde::de::IgnoredAny;
use storefront::activities::catalogue::Catalogue;
use storefront::activities::model::Work;
use storefront::activities::plan::DryRun;
use storefront::activities::validate::{MessageLimits, MessageValidator};

static VALIDATOR: LazyLock<MessageValidator> = LazyLock::new(|| {
    MessageValidator::new(MessageLimits { depth: 16, activities: 1_000, columns: 1_000 })
});

fuzz_target!(|body: &[u8]| -> Corpus {
    // The gate answers 400 to what is not UTF-8.
    let Ok(text) = std::str::from_utf8(body) else { return Corpus::Reject };
    let activities = match VALIDATOR.check(text) {
        Ok(activities) => activities,
        Err(invalid) => {
            assert!(!invalid.to_string().is_empty());
            return Corpus::Keep;
        }
    };
    // Not a `Value`: members that are ignored may hold numbers beyond every type.
    serde_json::from_str::<IgnoredAny>(text).expect("accepted text is JSON");
    let work = Work::parse(text).expect("the worker reads what the gate accepted");
    assert_eq!(work, Work::Activities(activities));
    drop(DryRun::of(&Catalogue::default(), &work));
    Corpus::Keep
});
