//! `/stock`: the quantity and the price of items.

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
use crate::cart::model::{Amount, Item, ItemId};
use crate::db::storage::{CartRefusal, FixtureStore, StockStore};
use crate::web::act::Act;
use crate::web::problem::{Problem, ProblemBody};

type Store = State<Arc<dyn StockStore>>;

/// The routes of this service.
pub fn router(store: Arc<dyn StockStore>, fixtures: Arc<dyn FixtureStore>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(find))
        .routes(routes!(add))
        .routes(routes!(subtract))
        .with_state(store)
        .merge(OpenApiRouter::new().routes(routes!(batch_init)).with_state(fixtures))
}

/// The id of a new item.
#[derive(Serialize, ToSchema)]
struct ItemIdBody {
    #[schema(value_type = String)]
    item_id: ItemId,
}

/// An item.
#[derive(Serialize, ToSchema)]
struct ItemBody {
    #[schema(value_type = u64)]
    stock: Amount,
    #[schema(value_type = u64)]
    price: Amount,
}

/// Create an item
///
/// Its stock is 0.
#[utoipa::path(
    post, operation_id = "create_item", path = "/stock/item/create/{price}", tag = "stock",
    params(("price" = u64, Path)),
    responses(
        (status = 200, body = ItemIdBody),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The price is malformed"),
    ),
)]
async fn create(
    State(store): Store,
    Act(context): Act,
    Params((price,)): Params<(Amount,)>,
) -> Result<Json<ItemIdBody>, Problem> {
    let item_id = store.create_item(context, ItemId::new(), price).await??;
    Ok(Json(ItemIdBody { item_id }))
}

/// Find an item
#[utoipa::path(
    get, operation_id = "find_item", path = "/stock/find/{item}", tag = "stock",
    params(("item" = String, Path)),
    responses(
        (status = 200, body = ItemBody),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such item"),
    ),
)]
async fn find(
    State(store): Store,
    Params((item,)): Params<(ItemId,)>,
) -> Result<Json<ItemBody>, Problem> {
    let found = store.find_item(&item).await?;
    let Item { stock, price } = found.ok_or(CartRefusal::NoItem(item))?;
    Ok(Json(ItemBody { stock, price }))
}

/// Add to the stock
#[utoipa::path(
    post, operation_id = "add_stock", path = "/stock/add/{item}/{n}", tag = "stock",
    params(("item" = String, Path), ("n" = u64, Path)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "A parameter is malformed, or the stock would be too large"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such item"),
    ),
)]
async fn add(
    State(store): Store,
    Act(context): Act,
    Params((item, n)): Params<(ItemId, Amount)>,
) -> Result<Response, Problem> {
    done(store.add_stock(context, item, n).await, "The stock was added.")
}

/// Take from the stock
#[utoipa::path(
    post, operation_id = "subtract_stock", path = "/stock/subtract/{item}/{n}", tag = "stock",
    params(("item" = String, Path), ("n" = u64, Path)),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such item"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "There is not enough"),
    ),
)]
async fn subtract(
    State(store): Store,
    Act(context): Act,
    Params((item, n)): Params<(ItemId, Amount)>,
) -> Result<Response, Problem> {
    done(store.subtract_stock(context, item, n).await, "The stock was subtracted.")
}

/// Reset the item fixtures `0..n-1`
///
/// For tests: they replace items of the same ids.
#[utoipa::path(
    post, operation_id = "batch_init_items", path = "/stock/batch_init/{n}/{stock}/{price}", tag = "stock",
    params(("n" = u64, Path), ("stock" = u64, Path), ("price" = u64, Path)),
    responses((status = 200, body = ReplyBody)),
)]
async fn batch_init(
    State(store): State<Arc<dyn FixtureStore>>,
    Act(context): Act,
    Params((n, stock, price)): Params<(Count, Amount, Amount)>,
) -> Result<Json<ReplyBody>, Problem> {
    put_in_chunks(store.as_ref(), &context, n.0, |context, numbers| {
        store.put_items(context, numbers.map(ItemId::numbered).collect(), Item { stock, price })
    })
    .await?;
    Ok(Json(ReplyBody { msg: "Batch init for stock successful" }))
}
