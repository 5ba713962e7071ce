//! Outcomes as they are stored under an idempotency key.

use crate::activities::model::MessageId;
use crate::cart::model::{ItemId, OrderId, UserId};
use crate::db::storage::{
    Accept, CartRefusal, Create, Discard, Remove, Retry, Update, WriteRefusal,
};
use crate::overview::model::GameId;

/// An outcome that is stored with the key of its request, so that a repeat gets the same one.
pub(in crate::db) trait Recorded: Sized {
    /// The outcome as text; `None` if nothing was changed, so that it is not stored.
    fn record(&self) -> Option<String>;

    /// The outcome of a repeat; `None` if no request of this kind has such a record.
    fn replay(record: &str) -> Option<Self>;

    /// The outcome of another request under the same key.
    fn key_reused() -> Self;
}

impl Recorded for Create {
    fn record(&self) -> Option<String> {
        match self {
            Self::Created(id) => Some(id.to_string()),
            Self::Taken | Self::Exhausted | Self::Refused(_) => None,
        }
    }

    fn replay(record: &str) -> Option<Self> {
        record.parse().ok().map(|id| Self::Created(GameId(id)))
    }

    fn key_reused() -> Self {
        Self::Refused(WriteRefusal::KeyReused)
    }
}

impl Recorded for Update {
    fn record(&self) -> Option<String> {
        (*self == Self::Updated).then(String::new)
    }

    fn replay(_record: &str) -> Option<Self> {
        Some(Self::Updated)
    }

    fn key_reused() -> Self {
        Self::Refused(WriteRefusal::KeyReused)
    }
}

impl Recorded for Remove {
    fn record(&self) -> Option<String> {
        (*self == Self::Removed).then(String::new)
    }

    fn replay(_record: &str) -> Option<Self> {
        Some(Self::Removed)
    }

    fn key_reused() -> Self {
        Self::Refused(WriteRefusal::KeyReused)
    }
}

impl Recorded for Accept {
    fn record(&self) -> Option<String> {
        match self {
            Self::Queued(id) => Some(id.to_string()),
            Self::KeyReused | Self::Full => None,
        }
    }

    fn replay(record: &str) -> Option<Self> {
        MessageId::parse(record).map(Self::Queued)
    }

    fn key_reused() -> Self {
        Self::KeyReused
    }
}

impl Recorded for Retry {
    fn record(&self) -> Option<String> {
        match self {
            Self::Queued(id) => Some(id.to_string()),
            _ => None,
        }
    }

    fn replay(record: &str) -> Option<Self> {
        MessageId::parse(record).map(Self::Queued)
    }

    fn key_reused() -> Self {
        Self::KeyReused
    }
}

impl Recorded for Discard {
    fn record(&self) -> Option<String> {
        (*self == Self::Discarded).then(String::new)
    }

    fn replay(_record: &str) -> Option<Self> {
        Some(Self::Discarded)
    }

    fn key_reused() -> Self {
        Self::KeyReused
    }
}

/// What a write of the cart made: an id, or nothing that its request does not name.
pub(in crate::db) trait Made: Sized {
    /// As text.
    fn to_record(&self) -> String;
    /// From that text.
    fn from_record(record: &str) -> Option<Self>;
}

impl Made for () {
    fn to_record(&self) -> String {
        String::new()
    }

    fn from_record(_record: &str) -> Option<Self> {
        Some(())
    }
}

/// Ids are recorded as they are.
macro_rules! made {
    ($($id:ident)+) => {$(
        impl Made for $id {
            fn to_record(&self) -> String {
                self.to_string()
            }

            fn from_record(record: &str) -> Option<Self> {
                Self::parse(record)
            }
        }
    )+};
}

made!(OrderId ItemId UserId MessageId);

impl<T: Made> Recorded for Result<T, CartRefusal> {
    fn record(&self) -> Option<String> {
        self.as_ref().ok().map(T::to_record)
    }

    fn replay(record: &str) -> Option<Self> {
        T::from_record(record).map(Ok)
    }

    fn key_reused() -> Self {
        Err(CartRefusal::KeyReused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a repeat of a request with that outcome gets, if the outcome is stored.
    fn repeated<T: Recorded>(outcome: &T) -> Option<T> {
        outcome.record().map(|record| T::replay(&record).unwrap())
    }

    #[test]
    fn a_repeat_gets_the_outcome_of_a_change() {
        for outcome in [Create::Created(GameId(-7)), Create::Created(GameId(i32::MAX))] {
            assert_eq!(repeated(&outcome), Some(outcome));
        }
        assert_eq!(repeated(&Update::Updated), Some(Update::Updated));
        assert_eq!(repeated(&Remove::Removed), Some(Remove::Removed));
        assert_eq!(repeated(&Ok(())), Some(Ok(())));
        let created = Ok(OrderId::new());
        assert_eq!(repeated(&created), Some(created));
    }

    #[test]
    fn a_refusal_is_not_stored() {
        assert_eq!(repeated(&Create::Taken), None);
        assert_eq!(repeated(&Create::key_reused()), None);
        assert_eq!(repeated(&Update::Missing), None);
        assert_eq!(repeated(&Update::PreconditionFailed), None);
        assert_eq!(repeated(&Remove::Missing), None);
        assert_eq!(repeated::<Result<(), _>>(&Err(CartRefusal::NotEnoughCredit)), None);
    }
}
