//! `/api/overview`: create, find, list, update and remove game pages.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRef, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::id::Id;
use super::input;
use super::model::{GameId, NewOverview, Overview};
use crate::db::storage::{
    Create, Cursor, OverviewStore, Precondition, Remove, Update, WriteRefusal,
};
use crate::web::act::Act;
use crate::web::body::{BodyLimits, Payload};
use crate::web::problem::{Problem, ProblemBody, Refusal, text};
use crate::web::{etag, page, read_token};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct Overviews {
    /// The game pages.
    pub store: Arc<dyn OverviewStore>,
    /// Limits of request bodies.
    pub body: BodyLimits,
}

/// The routes.
pub fn router(state: Overviews) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(find, update, remove))
        .with_state(state)
}

/// Which page of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// Games on the page, 1 to 100; default 20.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// A page of games.
#[derive(Serialize, ToSchema)]
struct PageBody {
    overviews: Vec<Overview>,
    /// The next page's `after`; null on the last page.
    next: Option<String>,
}

/// A game as it is sent to be created. In a form, `game_id` is text and `tags` may be written
/// `tags[0]=a&tags[1]=b`, `tags[]=a&tags[]=b` or `tags=a&tags=b`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body for the OpenAPI document; `input` parses it")]
struct CreateBody {
    /// Without it the store assigns the next id.
    game_id: Option<i32>,
    game_name: String,
    description: String,
    release_date: String,
    developer: String,
    publisher: String,
    tags: Option<Vec<String>>,
}

/// The fields to change; at least one.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body for the OpenAPI document; `input` parses it")]
struct UpdateBody {
    /// If given, the number in the path.
    game_id: Option<i32>,
    game_name: Option<String>,
    description: Option<String>,
    release_date: Option<String>,
    developer: Option<String>,
    publisher: Option<String>,
    tags: Option<Vec<String>>,
}

/// Find a game
///
/// An array with the one game.
#[utoipa::path(
    get, operation_id = "find_game", path = "/api/overview/{game_id}", tag = "overview",
    params(("game_id" = i32, Path, description = "Number of the game")),
    responses(
        (status = 200, body = [Overview], description = "An array with one game"),
        (status = 304, description = "`If-None-Match` has the game's tag"),
        (status = 404, body = String, content_type = "text/plain", description = "`Not Found`: no such game, or not an int32"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The store cannot be reached or is overloaded; `Retry-After` is set"),
    ),
)]
async fn find(
    State(store): State<Arc<dyn OverviewStore>>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let token = read_token::from_request(store.as_ref(), &headers);
    let game = store.find(id, token).await?.ok_or(Refusal::NotFound)?;
    Ok(etag::json(&headers, &[game])?)
}

/// List games
///
/// Ascending by id, on Cassandra in token order. All pages together have each game once, however many
/// are created meanwhile.
#[utoipa::path(
    get, operation_id = "list_games", path = "/api/overview", tag = "overview", params(PageQuery),
    responses(
        (status = 200, body = PageBody),
        (status = 304, description = "`If-None-Match` has the page's tag"),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "A bad `limit` or `after`"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The store cannot be reached or is overloaded; `Retry-After` is set"),
    ),
)]
async fn list(
    State(store): State<Arc<dyn OverviewStore>>,
    query: Result<Query<PageQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, e.body_text()))?;
    let limit = page::limit(query.limit.as_deref())?;
    let after = query.after.as_deref().map(decode).transpose()?;
    let token = read_token::from_request(store.as_ref(), &headers);
    let page = store.page(after, limit, token).await?;
    let body = PageBody { overviews: page.games, next: page.next.map(encode) };
    etag::json(&headers, &body)
}

/// Create a game
#[utoipa::path(
    post, operation_id = "create_game", path = "/api/overview", tag = "overview",
    request_body(content(
        (CreateBody = "application/json"),
        (CreateBody = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 201, body = String, content_type = "text/plain", description = "`Successfuly created game overview.` (spelled as clients know it)",
            headers(("Location" = String, description = "`/api/overview/{game_id}`"))),
        (status = 400, body = String, content_type = "text/plain", description = "`Malformed request: ` and which field, and why"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The id is taken; nothing changed"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The outcome may be unknown: the text says which requests may be repeated"),
    ),
)]
async fn create(
    State(store): State<Arc<dyn OverviewStore>>,
    Act(context): Act,
    payload: Payload,
) -> Result<Response, Refusal> {
    let game: NewOverview = input::new_overview(&payload).map_err(Refusal::Malformed)?;
    match store.create(context, game).await? {
        Create::Created(id) => {
            let answer = text(StatusCode::CREATED, "Successfuly created game overview.");
            let answer = ([(LOCATION, format!("/api/overview/{id}"))], answer).into_response();
            Ok(read_token::attach(store.as_ref(), answer).await)
        }
        Create::Refused(why) => Err(refused(why)),
        Create::Taken => Err(conflict("A game with this `game_id` exists; nothing was changed.")),
        Create::Exhausted => Err(conflict("No further id can be assigned; give a `game_id`.")),
    }
}

/// Change a game
///
/// Only the fields in the body change.
#[utoipa::path(
    put, operation_id = "update_game", path = "/api/overview/{game_id}", tag = "overview",
    params(
        ("game_id" = i32, Path, description = "Number of the game"),
        ("If-Match" = Option<String>, Header, description = "Tags of which the game must have one, as `GET` gives them; or `*`"),
    ),
    request_body(content(
        (UpdateBody = "application/json"),
        (UpdateBody = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "`OK`"),
        (status = 400, body = String, content_type = "text/plain", description = "`Malformed request: ` and which field, and why"),
        (status = 404, body = String, content_type = "text/plain", description = "`Not Found`"),
        (status = 412, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The game is not the one that `If-Match` names; nothing changed"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The outcome may be unknown: the text says which requests may be repeated"),
    ),
)]
async fn update(
    State(store): State<Arc<dyn OverviewStore>>,
    Id(id): Id,
    Act(context): Act,
    headers: HeaderMap,
    payload: Payload,
) -> Result<Response, Refusal> {
    let changes = input::changes(&payload, id).map_err(Refusal::Malformed)?;
    let context = context.with_precondition(precondition(&headers));
    match store.update(context, id, changes).await? {
        Update::Updated => Ok(read_token::attach(store.as_ref(), text(StatusCode::OK, "OK")).await),
        Update::Missing => Err(Refusal::NotFound),
        Update::PreconditionFailed => Err(precondition_failed()),
        Update::Refused(why) => Err(refused(why)),
    }
}

/// Remove a game
#[utoipa::path(
    delete, operation_id = "remove_game", path = "/api/overview/{game_id}", tag = "overview",
    params(
        ("game_id" = i32, Path, description = "Number of the game"),
        ("If-Match" = Option<String>, Header, description = "Tags of which the game must have one, as `GET` gives them; or `*`"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "`OK`"),
        (status = 404, body = String, content_type = "text/plain", description = "`Not Found`"),
        (status = 412, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The game is not the one that `If-Match` names; nothing changed"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The outcome may be unknown: the text says which requests may be repeated"),
    ),
)]
async fn remove(
    State(store): State<Arc<dyn OverviewStore>>,
    Id(id): Id,
    Act(context): Act,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let context = context.with_precondition(precondition(&headers));
    match store.remove(context, id).await? {
        Remove::Removed => Ok(read_token::attach(store.as_ref(), text(StatusCode::OK, "OK")).await),
        Remove::Missing => Err(Refusal::NotFound),
        Remove::PreconditionFailed => Err(precondition_failed()),
        Remove::Refused(why) => Err(refused(why)),
    }
}

/// A refusal: a value that does not fit its column is malformed, the key of another request is
/// unprocessable, everything else is a conflict.
fn refused(why: WriteRefusal) -> Refusal {
    let named = |what: &str, name: Option<String>| {
        name.map_or_else(|| format!("a {what} of the table"), |name| format!("the {what} `{name}`"))
    };
    match why {
        WriteRefusal::Malformed(column) => {
            Refusal::Malformed(format!("a value does not fit {}", named("column", column)))
        }
        WriteRefusal::Forbidden(constraint) => conflict(&format!(
            "The database refused it by {}; nothing was changed.",
            named("constraint", constraint)
        )),
        WriteRefusal::KeyReused => Problem::key_reused().into(),
    }
}

/// The condition of `If-Match`: tags are those of answers to `find`.
fn precondition(headers: &HeaderMap) -> Option<Precondition> {
    let tags = etag::IfMatch::of(headers)?;
    Some(Precondition::new(move |game| tags.has_tag_of(&[game])))
}

fn precondition_failed() -> Refusal {
    let detail =
        "The game is not the one that `If-Match` names; nothing was changed: read it again.";
    Problem::new(StatusCode::PRECONDITION_FAILED, detail).into()
}

fn conflict(detail: &str) -> Refusal {
    Problem::new(StatusCode::CONFLICT, detail).into()
}

fn encode(cursor: Cursor) -> String {
    page::encode(cursor.0.0.to_be_bytes())
}

fn decode(text: &str) -> Result<Cursor, Problem> {
    let bytes = page::decode(text)?.try_into().map_err(|_| page::bad_cursor())?;
    Ok(Cursor(GameId(i32::from_be_bytes(bytes))))
}
