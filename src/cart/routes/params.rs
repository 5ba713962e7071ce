//! Ids and amounts in paths, parsed before a handler runs.

use std::fmt;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use http::StatusCode;
use http::request::Parts;
use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};

use crate::cart::fixtures;
use crate::cart::model::{Amount, ItemId, OrderId, UserId};
use crate::web::problem::Problem;

/// The parameters of a path as a tuple, even of one; an invalid one is a 400 that names it and what
/// it must be.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(params) = Path::<T>::from_request_parts(parts, state).await.map_err(refused)?;
        Ok(Self(params))
    }
}

fn refused(rejection: PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return Problem::defect(rejection.body_text());
    };
    let detail = match failed.into_kind() {
        ErrorKind::DeserializeError { key, message, .. } => format!("`{key}` {message}."),
        ErrorKind::InvalidUtf8InPathParam { key } => format!("`{key}` must be UTF-8."),
        other => return Problem::defect(other.to_string()),
    };
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// How a parameter is parsed, and the error if it cannot be.
struct Parsed<T> {
    parse: fn(&str) -> Option<T>,
    must: &'static str,
}

/// Parses inside serde, because axum adds the parameter's name to an error only there.
impl<T> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.must)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::custom(self.must))
    }
}

/// Declares how a type is parsed from a path.
macro_rules! in_path {
    ($name:ident, $parse:expr, $must:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Parsed { parse: $parse, must: $must })
            }
        }
    };
}

in_path!(OrderId, Self::parse, "must be 1 to 64 letters, digits, `-` and `_`");
in_path!(ItemId, Self::parse, "must be 1 to 64 letters, digits, `-` and `_`");
in_path!(UserId, Self::parse, "must be 1 to 64 letters, digits, `-` and `_`");
in_path!(Amount, Self::parse, "must be a whole number from 0 to 9007199254740991");
in_path!(Count, Self::parse, "must be a whole number from 0 to 10000000");

/// How many fixtures to make.
#[derive(Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl Count {
    fn parse(text: &str) -> Option<Self> {
        let count = Amount::parse(text).map(Amount::get);
        count.filter(|count| *count <= fixtures::MAX_COUNT).map(Self)
    }
}
