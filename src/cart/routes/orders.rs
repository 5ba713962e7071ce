//! `/orders`: orders and their checkout.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{Array, ArrayBuilder, ObjectBuilder, OneOfBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{ReplyBody, done, put_in_chunks};
use super::params::{Count, Params};
use crate::cart::fixtures;
use crate::cart::model::{Amount, ItemId, Order, OrderId, UserId};
use crate::db::storage::{CartRefusal, FixtureStore, OrderStore};
use crate::web::act::Act;
use crate::web::problem::{Problem, ProblemBody};

type Store = State<Arc<dyn OrderStore>>;

/// The routes of this service.
pub fn router(store: Arc<dyn OrderStore>, fixtures: Arc<dyn FixtureStore>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(find))
        .routes(routes!(add_item))
        .routes(routes!(remove_item))
        .routes(routes!(remove))
        .routes(routes!(checkout))
        .with_state(store)
        .merge(OpenApiRouter::new().routes(routes!(batch_init)).with_state(fixtures))
}

/// The id of a new order.
#[derive(Serialize, ToSchema)]
struct OrderIdBody {
    #[schema(value_type = String)]
    order_id: OrderId,
}

/// An order.
#[derive(Serialize, ToSchema)]
struct OrderBody {
    #[schema(value_type = String)]
    order_id: OrderId,
    paid: bool,
    /// Pairs of item and quantity.
    #[schema(schema_with = pairs)]
    items: Vec<(ItemId, Amount)>,
    #[schema(value_type = String)]
    user_id: UserId,
    #[schema(value_type = u64)]
    total_cost: Amount,
}

/// The schema of pairs of item and quantity; the derived one of a tuple is none of OpenAPI 3.1.
fn pairs() -> Array {
    let item = ObjectBuilder::new().schema_type(Type::String).build();
    let quantity = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
    let either = OneOfBuilder::new().item(item).item(quantity);
    let pair = ArrayBuilder::new().items(either).min_items(Some(2)).max_items(Some(2));
    ArrayBuilder::new().items(pair).description(Some("Pairs of item and quantity")).build()
}

impl From<Order> for OrderBody {
    fn from(order: Order) -> Self {
        let total_cost = order.total_cost();
        let items = order.lines.into_iter().map(|line| (line.item, line.quantity)).collect();
        let Order { id: order_id, user: user_id, paid, .. } = order;
        Self { order_id, paid, items, user_id, total_cost }
    }
}

/// Create an order
///
/// An empty one; the user need not exist yet.
#[utoipa::path(
    post, operation_id = "create_order", path = "/orders/create/{user}", tag = "orders",
    params(("user" = String, Path)),
    responses(
        (status = 200, body = OrderIdBody),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The id of the user is malformed"),
    ),
)]
async fn create(
    State(store): Store,
    Act(context): Act,
    Params((user,)): Params<(UserId,)>,
) -> Result<Json<OrderIdBody>, Problem> {
    let order_id = store.create_order(context, OrderId::new(), user).await??;
    Ok(Json(OrderIdBody { order_id }))
}

/// Find an order
#[utoipa::path(
    get, operation_id = "find_order", path = "/orders/find/{order}", tag = "orders",
    params(("order" = String, Path)),
    responses(
        (status = 200, body = OrderBody),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such order"),
    ),
)]
async fn find(
    State(store): Store,
    Params((order,)): Params<(OrderId,)>,
) -> Result<Json<OrderBody>, Problem> {
    let order = store.find_order(&order).await?.ok_or(CartRefusal::NoOrder)?;
    Ok(Json(order.into()))
}

/// Add an item to an order
///
/// At its present price. The quantity is added to what the order has of the item already.
#[utoipa::path(
    post, path = "/orders/addItem/{order}/{item}/{quantity}", tag = "orders",
    params(("order" = String, Path), ("item" = String, Path), ("quantity" = u64, Path, minimum = 1)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "A parameter is malformed, or the order would cost too much or have more than 1,000 different items"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such order or item"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The order is paid"),
    ),
)]
async fn add_item(
    State(store): Store,
    Act(context): Act,
    Params((order, item, quantity)): Params<(OrderId, ItemId, Amount)>,
) -> Result<Response, Problem> {
    if quantity == Amount::ZERO {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "`quantity` must be at least 1."));
    }
    done(store.add_item(context, order, item, quantity).await, "The item is in the order.")
}

/// Remove one piece of an item from an order
#[utoipa::path(
    delete, path = "/orders/removeItem/{order}/{item}", tag = "orders",
    params(("order" = String, Path), ("item" = String, Path)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such order"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The item is not in the order, or the order is paid"),
    ),
)]
async fn remove_item(
    State(store): Store,
    Act(context): Act,
    Params((order, item)): Params<(OrderId, ItemId)>,
) -> Result<Response, Problem> {
    done(store.remove_item(context, order, item).await, "One of the item was taken off the order.")
}

/// Remove an unpaid order
#[utoipa::path(
    delete, operation_id = "remove_order", path = "/orders/remove/{order}", tag = "orders",
    params(("order" = String, Path)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such order"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The order is paid"),
    ),
)]
async fn remove(
    State(store): Store,
    Act(context): Act,
    Params((order,)): Params<(OrderId,)>,
) -> Result<Response, Problem> {
    done(store.remove_order(context, order).await, "The order was removed.")
}

/// Check an order out
///
/// All stock is taken, all credit charged and the order paid, together or not at all. Repeating it
/// is safe: a paid order is charged once.
#[utoipa::path(
    post, operation_id = "checkout_order", path = "/orders/checkout/{order}", tag = "orders",
    params(("order" = String, Path)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such order, item or user"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The order is empty, an item is sold out, or the credit is too small; nothing has changed"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The outcome may be unknown: the text says which requests may be repeated"),
    ),
)]
async fn checkout(
    State(store): Store,
    Act(context): Act,
    Params((order,)): Params<(OrderId,)>,
) -> Result<Response, Problem> {
    done(store.checkout(context, order).await, "The order is paid.")
}

/// Reset the order fixtures `0..n-1`
///
/// For tests: unpaid orders of random users, each of two random items at the given price. They replace
/// orders of the same ids.
#[utoipa::path(
    post, operation_id = "batch_init_orders", path = "/orders/batch_init/{n}/{n_items}/{n_users}/{item_price}", tag = "orders",
    params(("n" = u64, Path), ("n_items" = u64, Path), ("n_users" = u64, Path), ("item_price" = u64, Path)),
    responses((status = 200, body = ReplyBody)),
)]
async fn batch_init(
    State(store): State<Arc<dyn FixtureStore>>,
    Act(context): Act,
    Params((n, items, users, price)): Params<(Count, Count, Count, Amount)>,
) -> Result<Json<ReplyBody>, Problem> {
    let (Count(n), Count(items), Count(users)) = (n, items, users);
    if n > 0 && (items == 0 || users == 0) {
        let detail = "`n_items` and `n_users` must be at least 1 where there are orders.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    if price.plus(price).is_none() {
        let detail = "`item_price` must be so small that two of them are an amount.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let mut rng = StdRng::seed_from_u64(rand::random());
    put_in_chunks(store.as_ref(), &context, n, |context, numbers| {
        let orders = numbers.map(|n| fixtures::order(n, items, users, price, &mut rng)).collect();
        store.put_orders(context, orders)
    })
    .await?;
    Ok(Json(ReplyBody { msg: "Batch init for orders successful" }))
}
