//! `/payment`: users and their credit.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{ReplyBody, done, put_in_chunks};
use super::params::{Count, Params};
use crate::cart::model::{Amount, OrderId, UserId};
use crate::db::storage::{CartRefusal, FixtureStore, PaymentStore};
use crate::web::act::Act;
use crate::web::problem::{Problem, ProblemBody};

type Store = State<Arc<dyn PaymentStore>>;

/// The routes of this service.
pub fn router(store: Arc<dyn PaymentStore>, fixtures: Arc<dyn FixtureStore>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(create_user))
        .routes(routes!(find_user))
        .routes(routes!(add_funds))
        .routes(routes!(pay))
        .routes(routes!(cancel))
        .routes(routes!(status, post_status))
        .with_state(store)
        .merge(OpenApiRouter::new().routes(routes!(batch_init)).with_state(fixtures))
}

/// The id of a new user.
#[derive(Serialize, ToSchema)]
struct UserIdBody {
    #[schema(value_type = String)]
    user_id: UserId,
}

/// A user.
#[derive(Serialize, ToSchema)]
struct UserBody {
    #[schema(value_type = String)]
    user_id: UserId,
    #[schema(value_type = u64)]
    credit: Amount,
}

/// Whether an order is paid.
#[derive(Serialize, ToSchema)]
struct PaidBody {
    paid: bool,
}

/// Create a user
///
/// Without credit.
#[utoipa::path(
    post, path = "/payment/create_user", tag = "payment",
    responses((status = 200, body = UserIdBody)),
)]
async fn create_user(State(store): Store, Act(context): Act) -> Result<Json<UserIdBody>, Problem> {
    let user_id = store.create_user(context, UserId::new()).await??;
    Ok(Json(UserIdBody { user_id }))
}

/// Find a user
#[utoipa::path(
    get, path = "/payment/find_user/{user}", tag = "payment",
    params(("user" = String, Path)),
    responses(
        (status = 200, body = UserBody),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such user"),
    ),
)]
async fn find_user(
    State(store): Store,
    Params((user_id,)): Params<(UserId,)>,
) -> Result<Json<UserBody>, Problem> {
    match store.find_credit(&user_id).await? {
        Some(credit) => Ok(Json(UserBody { user_id, credit })),
        None => Err(CartRefusal::NoUser(user_id).into()),
    }
}

/// Add to a user's credit
#[utoipa::path(
    post, path = "/payment/add_funds/{user}/{n}", tag = "payment",
    params(("user" = String, Path), ("n" = u64, Path)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "A parameter is malformed, or the credit would be too large"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such user"),
    ),
)]
async fn add_funds(
    State(store): Store,
    Act(context): Act,
    Params((user, n)): Params<(UserId, Amount)>,
) -> Result<Response, Problem> {
    done(store.add_funds(context, user, n).await, "The credit was added.")
}

/// Take credit from a user
#[utoipa::path(
    post, operation_id = "pay_order", path = "/payment/pay/{user}/{n}", tag = "payment",
    params(("user" = String, Path), ("n" = u64, Path)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such user"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "There is not enough credit"),
    ),
)]
async fn pay(
    State(store): Store,
    Act(context): Act,
    Params((user, n)): Params<(UserId, Amount)>,
) -> Result<Response, Problem> {
    done(store.pay(context, user, n).await, "The credit was paid.")
}

/// Cancel the payment of an order
///
/// Credit and stock are returned, and the order is open again.
#[utoipa::path(
    post, operation_id = "cancel_payment", path = "/payment/cancel/{user}/{order}", tag = "payment",
    params(("user" = String, Path), ("order" = String, Path)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such order"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The order is not paid, or another user's"),
    ),
)]
async fn cancel(
    State(store): Store,
    Act(context): Act,
    Params((user, order)): Params<(UserId, OrderId)>,
) -> Result<Response, Problem> {
    done(store.cancel(context, user, order).await, "The payment was taken back.")
}

/// Whether a user's order is paid
#[utoipa::path(
    get, operation_id = "payment_status", path = "/payment/status/{user}/{order}", tag = "payment",
    params(("user" = String, Path), ("order" = String, Path)),
    responses(
        (status = 200, body = PaidBody),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The user has no such order"),
    ),
)]
async fn status(
    State(store): Store,
    Params((user, order)): Params<(UserId, OrderId)>,
) -> Result<Json<PaidBody>, Problem> {
    let paid = store.is_paid(&user, &order).await?.ok_or(CartRefusal::NoOrder)?;
    Ok(Json(PaidBody { paid }))
}

/// Whether a user's order is paid
#[utoipa::path(
    post, operation_id = "post_payment_status", path = "/payment/status/{user}/{order}", tag = "payment",
    params(("user" = String, Path), ("order" = String, Path)),
    responses(
        (status = 200, body = PaidBody),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The user has no such order"),
    ),
)]
async fn post_status(
    store: Store,
    params: Params<(UserId, OrderId)>,
) -> Result<Json<PaidBody>, Problem> {
    status(store, params).await
}

/// Reset the user fixtures `0..n-1`
///
/// For tests: they replace users of the same ids.
#[utoipa::path(
    post, operation_id = "batch_init_users", path = "/payment/batch_init/{n}/{credit}", tag = "payment",
    params(("n" = u64, Path), ("credit" = u64, Path)),
    responses((status = 200, body = ReplyBody)),
)]
async fn batch_init(
    State(store): State<Arc<dyn FixtureStore>>,
    Act(context): Act,
    Params((n, credit)): Params<(Count, Amount)>,
) -> Result<Json<ReplyBody>, Problem> {
    put_in_chunks(store.as_ref(), &context, n.0, |context, numbers| {
        store.put_users(context, numbers.map(UserId::numbered).collect(), credit)
    })
    .await?;
    Ok(Json(ReplyBody { msg: "Batch init for users successful" }))
}
