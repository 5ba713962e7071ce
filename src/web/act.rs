//! The context that a route gives to its write.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::db::storage::{ActContext, IdempotencyKey, Permit};

/// The context of the one write of a request. It holds the request's permit until the write has
/// ended, because a client that disconnects does not cancel its write: what bounds memory is the
/// number of writes, not of open requests. It has the request's idempotency key too.
pub struct Act(pub ActContext);

impl<S: Send + Sync> FromRequestParts<S> for Act {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let permit = parts.extensions.get::<Permit>().cloned();
        let key = parts.extensions.get::<IdempotencyKey>().cloned();
        Ok(Self(ActContext::new().with_permit(permit).with_key(key)))
    }
}
