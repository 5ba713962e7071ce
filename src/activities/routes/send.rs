//! Sending a message, and sending a rejected one again.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::messages::not_rejected;
use super::paging::{IdInPath, Parameters, bad, missing};
use crate::activities::Invalid;
use crate::activities::gate::{Gate, Refused};
use crate::activities::model::{Activity, MessageId};
use crate::activities::plan::{DryRun, RejectionBody};
use crate::db::storage::{ActContext, Message, MessageState, Retry};
use crate::web::act::Act;
use crate::web::body::{Encoding, Payload};
use crate::web::etag;
use crate::web::problem::{Problem, ProblemBody};

/// The longest that an answer waits for the message to end.
const MAX_WAIT: u64 = 10;
const VALID: &str = "Valid Schema";
const INVALID: &str = "Invalid Schema";

/// The answer to a message, whose members are those of the earlier gatekeeper.
#[derive(Serialize)]
struct Answer<'a> {
    status: u16,
    /// The request's body as it was sent, or null if it was not JSON.
    payload: Option<&'a RawValue>,
    message: &'static str,
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Option<MessageId>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    end: Option<EndBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<DryRun>,
}

/// What became of a message that the answer waited for.
#[derive(Serialize)]
struct EndBody {
    /// Null if the message is not kept any more: it was discarded, or ended long ago.
    state: Option<&'static str>,
    rejection: Option<RejectionBody>,
}

/// For the OpenAPI document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes an answer for the OpenAPI document")]
pub(super) struct AnswerBody {
    status: u16,
    /// The request's body.
    payload: serde_json::Value,
    /// `Valid Schema` or `Invalid Schema`.
    message: String,
    /// What is wrong, and where, as a JSON pointer.
    error: Option<String>,
    /// The message's id; null in a dry run.
    id: Option<String>,
    /// With `Prefer: wait`: `queued`, `applied` or `rejected`; null if it is not kept any more.
    state: Option<String>,
    /// With `Prefer: wait`: why it was rejected.
    rejection: Option<RejectionBody>,
    /// With `dry_run=1`: what the message would do.
    plan: Option<DryRun>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SendQuery {
    /// `1`: queue nothing, and tell what the message would do to the present tables.
    dry_run: Option<String>,
}

/// Send a message
///
/// Answered once the message is durably queued; it is applied later, all of it or nothing. With
/// `Prefer: wait=N` the answer waits up to N seconds (at most 10) for that.
#[utoipa::path(post, operation_id = "send_message", path = "/api/activities", tag = "activities",
    params(SendQuery, ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for the end of the message, 1 to 10")),
    request_body(content = serde_json::Value, content_type = "application/json", description = "See `/api/activities/schema`"),
    responses(
        (status = 200, body = AnswerBody),
        (status = 400, body = AnswerBody, description = "The message is invalid"),
        (status = 413, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The message is too long"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The queue is full, or the store cannot be reached; `Retry-After` is set"),
    ))]
pub(super) async fn send(
    State(gate): State<Arc<Gate>>,
    Parameters(query): Parameters<SendQuery>,
    headers: HeaderMap,
    Act(context): Act,
    payload: Payload,
) -> Result<Response, Problem> {
    let is_dry_run = dry_run(query.dry_run.as_deref())?;
    let body = json(payload)?;
    let activities = match gate.check(&body) {
        Ok(activities) => activities,
        Err(Refused::Invalid(invalid)) => return invalid_answer(&body, &invalid),
        Err(refused) => return Err(refused.into()),
    };
    let text = text(&body)?;
    if is_dry_run {
        return dry_run_answer(&gate, text, activities).await;
    }
    let id = gate.accept(context, text).await?;
    valid_answer(&gate, text, id, &headers).await
}

/// Retry a rejected message
///
/// With a body that takes the place of the rejected one, or without. The new message is queued behind all
/// others.
#[utoipa::path(post, operation_id = "retry_message", path = "/api/activities/{id}/retry", tag = "activities",
    params(("id" = String, Path, format = "uuid")),
    request_body(content = Option<serde_json::Value>, content_type = "application/json", description = "The message to queue in place of the rejected one"),
    responses(
        (status = 200, body = AnswerBody),
        (status = 400, body = AnswerBody, description = "The message in the body is invalid"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such message"),
        (status = 409, body = ProblemBody<'_>, content_type = "application/problem+json", description = "It is not rejected, or was retried before"),
    ))]
pub(super) async fn retry(
    State(gate): State<Arc<Gate>>,
    IdInPath(id): IdInPath,
    headers: HeaderMap,
    Act(context): Act,
    payload: Payload,
) -> Result<Response, Problem> {
    let body = json(payload)?;
    if !body.is_empty() {
        match gate.check(&body) {
            Ok(_) => {}
            Err(Refused::Invalid(invalid)) => return invalid_answer(&body, &invalid),
            Err(refused) => return Err(refused.into()),
        }
    }
    let new = retried(&gate, context, id, text(&body)?).await?;
    let stored = if body.is_empty() { stored_text(&gate, new, id).await? } else { None };
    let text = stored.as_deref().map_or_else(|| text(&body), Ok)?;
    valid_answer(&gate, text, new, &headers).await
}

async fn retried(
    gate: &Gate,
    context: ActContext,
    id: MessageId,
    text: &str,
) -> Result<MessageId, Problem> {
    match gate.retry(context, id, text).await? {
        Retry::Queued(new) => Ok(new),
        Retry::Missing => Err(missing()),
        Retry::NotRejected(state) => Err(not_rejected(state)),
        Retry::AlreadyRetried(as_id) => Err(Problem::new(
            StatusCode::CONFLICT,
            format!("The message was retried already; `retried_as` is {as_id}."),
        )),
        Retry::KeyReused => Err(Problem::key_reused()),
    }
}

/// The text that was queued again: the new message may have ended, then that of the rejected one.
async fn stored_text(
    gate: &Gate,
    new: MessageId,
    rejected: MessageId,
) -> Result<Option<Arc<str>>, Problem> {
    match gate.store().body(new).await? {
        Some(text) => Ok(Some(text)),
        None => Ok(gate.store().body(rejected).await?),
    }
}

fn json(payload: Payload) -> Result<Bytes, Problem> {
    match payload.encoding {
        Encoding::Json => Ok(payload.bytes),
        Encoding::Form => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send the message in UTF-8 with Content-Type application/json.",
        )),
    }
}

/// A body that was checked.
fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|e| Problem::defect(format!("a checked message: {e}")))
}

fn dry_run(text: Option<&str>) -> Result<bool, Problem> {
    match text {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => Err(bad("`dry_run` must be 1 or 0.")),
    }
}

async fn valid_answer(
    gate: &Gate,
    text: &str,
    id: MessageId,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let end = match wait(headers) {
        None => None,
        Some(at_most) => Some(match gate.wait(id, at_most).await {
            Ok(message) => end(message),
            // It is accepted, so a failure of the wait changes nothing.
            Err(error) => {
                tracing::debug!(%error, %id, "the end of a message could not be waited for");
                EndBody { state: Some(MessageState::Queued.as_str()), rejection: None }
            }
        }),
    };
    respond(StatusCode::OK, text, |answer| Answer { id: Some(Some(id)), end, ..answer })
}

async fn dry_run_answer(
    gate: &Gate,
    text: &str,
    activities: Vec<Activity>,
) -> Result<Response, Problem> {
    let plan = Some(gate.plan(activities).await?);
    respond(StatusCode::OK, text, |answer| Answer { id: Some(None), plan, ..answer })
}

fn invalid_answer(body: &[u8], invalid: &Invalid) -> Result<Response, Problem> {
    let text = std::str::from_utf8(body).ok().filter(|_| invalid.is_json).unwrap_or_default();
    let error = Some(invalid.to_string());
    respond(StatusCode::BAD_REQUEST, text, |answer| Answer { error, ..answer })
}

/// The answer of that status to a text, with what `complete` adds.
fn respond<'a>(
    status: StatusCode,
    text: &'a str,
    complete: impl FnOnce(Answer<'a>) -> Answer<'a>,
) -> Result<Response, Problem> {
    let answer = complete(Answer {
        status: status.as_u16(),
        payload: serde_json::from_str(text).ok(),
        message: if status == StatusCode::OK { VALID } else { INVALID },
        error: None,
        id: None,
        end: None,
        plan: None,
    });
    let body = serde_json::to_vec(&answer)
        .map_err(|e| Problem::defect(format!("an answer cannot be JSON: {e}")))?;
    Ok((status, [(CONTENT_TYPE, etag::JSON)], body).into_response())
}

fn end(message: Option<Message>) -> EndBody {
    let Some(message) = message else { return EndBody { state: None, rejection: None } };
    let is_rejected = message.state == MessageState::Rejected;
    let error = message.error.filter(|_| is_rejected);
    let rejection = error.map(|error| RejectionBody { error, activity: message.activity });
    EndBody { state: Some(message.state.as_str()), rejection }
}

/// How long `Prefer` (RFC 7240) asks to wait. A preference that cannot be understood is ignored.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let seconds = preferences.find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("wait")
            .then(|| value.trim().trim_matches('"').parse().ok())?
    })?;
    (seconds > 0).then(|| Duration::from_secs(u64::min(seconds, MAX_WAIT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_to_wait_is_read_and_bounded() {
        for (value, expected) in [
            ("wait=3", Some(3)),
            ("respond-async, Wait = \"10\"", Some(10)),
            ("wait=60; x=y", Some(10)),
            ("wait=0", None),
            ("wait=-1", None),
            ("wait", None),
            ("waiting=3", None),
        ] {
            let headers =
                HeaderMap::from_iter([("prefer".parse().unwrap(), value.parse().unwrap())]);
            assert_eq!(wait(&headers), expected.map(Duration::from_secs), "{value}");
        }
    }
}
