//! Ids and amounts in paths.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, de};

use crate::cart::batch;
use crate::cart::model::{Amount, ItemId, LONGEST_ID, OrderId, UserId};
use crate::wire::problem::Problem;

/// The parameters of a path; what is wrong with one is a 400 that names it.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refused = |e: PathRejection| Problem::new(StatusCode::BAD_REQUEST, e.body_text());
        let Path(params) = Path::<T>::from_request_parts(parts, state).await.map_err(refused)?;
        Ok(Self(params))
    }
}

/// Declares how an id is read from a path.
macro_rules! id_in_path {
    ($name:ident, $word:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| {
                    de::Error::custom(format_args!(
                        "the id of the {} is not 1 to {LONGEST_ID} letters, digits, `-` and `_`",
                        $word
                    ))
                })
            }
        }
    };
}

id_in_path!(OrderId, "order");
id_in_path!(ItemId, "item");
id_in_path!(UserId, "user");

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom("an amount is not a whole number from 0 to 9007199254740991")
        })
    }
}

/// How many a test bed has.
#[derive(Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let count = text.parse().ok().filter(|count| *count <= batch::MOST);
        count.map(Self).ok_or_else(|| {
            de::Error::custom(format_args!(
                "a number of orders, items or users is not a whole number from 0 to {}",
                batch::MOST
            ))
        })
    }
}
