//! Following messages: one, the list, and discarding.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::paging::{IdInPath, Parameters, bad, first, missing};
use crate::activities::gate::Gate;
use crate::activities::model::MessageId;
use crate::db::storage::{Discard, Message, MessageState};
use crate::web::act::Act;
use crate::web::etag;
use crate::web::page;
use crate::web::problem::{Problem, ProblemBody};

/// A message as it is now.
#[derive(Serialize, ToSchema)]
pub(super) struct MessageBody {
    #[schema(value_type = String, format = "uuid")]
    id: MessageId,
    /// `queued`, `applied` or `rejected`.
    state: &'static str,
    /// Why it was rejected.
    error: Option<String>,
    /// The activity that failed, counted from 0.
    activity: Option<u32>,
    #[schema(value_type = String, format = "date-time")]
    received_at: Timestamp,
    #[schema(value_type = Option<String>, format = "date-time")]
    applied_at: Option<Timestamp>,
    /// How often it was begun alone, after crashes of the worker.
    attempts: u32,
    /// The rejected message that it repeats.
    #[schema(value_type = Option<String>, format = "uuid")]
    retry_of: Option<MessageId>,
    /// The message that repeats it.
    #[schema(value_type = Option<String>, format = "uuid")]
    retried_as: Option<MessageId>,
}

impl From<Message> for MessageBody {
    fn from(message: Message) -> Self {
        let Message { id, state, error, activity, received_at, applied_at, .. } = message;
        let Message { attempts, retry_of, retried_as, .. } = message;
        let state = state.as_str();
        Self { id, state, error, activity, received_at, applied_at, attempts, retry_of, retried_as }
    }
}

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// `queued`, `applied` or `rejected`; without it all.
    state: Option<String>,
    /// Messages on the page, 1 to 100; default 20.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ListBody {
    activities: Vec<MessageBody>,
    /// The next page's `after`; null on the last page.
    next: Option<String>,
}

/// List messages
///
/// Newest first.
#[utoipa::path(get, operation_id = "list_messages", path = "/api/activities", tag = "activities", params(ListQuery),
    responses(
        (status = 200, body = ListBody),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "A bad parameter"),
    ))]
pub(super) async fn list(
    State(gate): State<Arc<Gate>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<ListBody>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let state = query.state.as_deref().map(parse_state).transpose()?;
    let after = query.after.as_deref().map(parse_cursor).transpose()?;
    // One more than wanted tells whether there is a next page.
    let (messages, has_more) = first(gate.store().list(state, after, limit + 1).await?, limit);
    let next = messages.last().filter(|_| has_more).map(|message| message.id.to_string());
    Ok(Json(ListBody { activities: messages.into_iter().map(MessageBody::from).collect(), next }))
}

fn parse_state(text: &str) -> Result<MessageState, Problem> {
    let states = [MessageState::Queued, MessageState::Applied, MessageState::Rejected];
    states
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| bad("`state` must be queued, applied or rejected."))
}

fn parse_cursor(text: &str) -> Result<MessageId, Problem> {
    MessageId::parse(text).ok_or_else(page::bad_cursor)
}

/// Find a message
#[utoipa::path(get, operation_id = "find_message", path = "/api/activities/{id}", tag = "activities",
    params(("id" = String, Path, format = "uuid")),
    responses(
        (status = 200, body = MessageBody),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such message"),
    ))]
pub(super) async fn find(
    State(gate): State<Arc<Gate>>,
    IdInPath(id): IdInPath,
) -> Result<Json<MessageBody>, Problem> {
    let message = gate.store().find(id).await?.ok_or_else(missing)?;
    Ok(Json(message.into()))
}

/// Show the text of a message
///
/// As it was sent, so that it can be edited and sent again.
#[utoipa::path(get, operation_id = "message_payload", path = "/api/activities/{id}/payload", tag = "activities",
    params(("id" = String, Path, format = "uuid")),
    responses(
        (status = 200, body = serde_json::Value, content_type = "application/json"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such message"),
    ))]
pub(super) async fn payload(
    State(gate): State<Arc<Gate>>,
    IdInPath(id): IdInPath,
) -> Result<Response, Problem> {
    let text = gate.store().body(id).await?.ok_or_else(missing)?;
    Ok(([(CONTENT_TYPE, etag::JSON)], text.to_string()).into_response())
}

/// Discard a rejected message
#[utoipa::path(delete, operation_id = "discard_message", path = "/api/activities/{id}", tag = "activities",
    params(("id" = String, Path, format = "uuid")),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such message"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "It is not rejected"),
    ))]
pub(super) async fn discard(
    State(gate): State<Arc<Gate>>,
    IdInPath(id): IdInPath,
    Act(context): Act,
) -> Result<Response, Problem> {
    match gate.store().discard(context, id).await? {
        Discard::Discarded => Ok("The message was discarded.".into_response()),
        Discard::Missing => Err(missing()),
        Discard::NotRejected(state) => Err(not_rejected(state)),
        Discard::KeyReused => Err(Problem::key_reused()),
    }
}

/// 409 for what only a rejected message allows.
pub(super) fn not_rejected(state: MessageState) -> Problem {
    let detail = format!("The message is {}, not rejected.", state.as_str());
    Problem::new(StatusCode::CONFLICT, detail)
}
