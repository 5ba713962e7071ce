//! Rejected messages by cause.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::paging::{PageQuery, Parameters, bad, first, text_cursor};
use crate::activities::gate::{Gate, Refused};
use crate::activities::model::MessageId;
use crate::db::storage::{ActContext, Retry};
use crate::web::act::Act;
use crate::web::page;
use crate::web::problem::{Problem, ProblemBody};

/// Messages that one call retries.
const MAX_RETRIED: u32 = 1_000;

/// Rejected messages of one cause.
#[derive(Serialize, ToSchema)]
pub(super) struct GroupBody {
    /// Kind, table and column, such as `column_type "games"."price"`.
    cause: String,
    count: u64,
    /// The id of one of them.
    #[schema(value_type = String, format = "uuid")]
    example: MessageId,
}

#[derive(Serialize, ToSchema)]
pub(super) struct GroupsBody {
    rejections: Vec<GroupBody>,
    /// The next page's `after`; null on the last page.
    next: Option<String>,
}

/// List causes of rejections
///
/// Without messages that were retried or discarded.
#[utoipa::path(get, operation_id = "list_rejections", path = "/api/activities/rejections", tag = "activities", params(PageQuery),
    responses(
        (status = 200, body = GroupsBody),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "A bad parameter"),
    ))]
pub(super) async fn list(
    State(gate): State<Arc<Gate>>,
    Parameters(query): Parameters<PageQuery>,
) -> Result<Json<GroupsBody>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let after = query.after.as_deref().map(decode).transpose()?;
    let (groups, has_more) = first(gate.store().rejections(after, limit + 1).await?, limit);
    let next = groups.last().filter(|_| has_more);
    let next = next.map(|group| page::encode(&group.cause));
    let groups = groups.into_iter();
    let rejections = groups.map(|group| GroupBody {
        cause: group.cause,
        count: group.count,
        example: group.example,
    });
    Ok(Json(GroupsBody { rejections: rejections.collect(), next }))
}

fn decode(text: &str) -> Result<String, Problem> {
    let cause = text_cursor(text)?;
    if cause.contains('\0') { Err(page::bad_cursor()) } else { Ok(cause) }
}

/// Which messages to retry.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RetryQuery {
    /// A cause as the list has it.
    #[param(required)]
    cause: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RetriedBody {
    /// Messages that were queued again.
    retried: u64,
    /// Messages of the cause that are left: call again.
    left: u64,
}

/// Retry the rejected messages of a cause
///
/// The oldest first, at most 1,000 a call. Calling again goes on with what is left, so it is safe to
/// repeat without a key.
#[utoipa::path(post, operation_id = "retry_rejections", path = "/api/activities/rejections/retry", tag = "activities", params(RetryQuery),
    responses(
        (status = 200, body = RetriedBody),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "`cause` is missing"),
        (status = 503, body = ProblemBody<'_>, content_type = "application/problem+json", description = "The queue is full; some may have been retried"),
    ))]
pub(super) async fn retry(
    State(gate): State<Arc<Gate>>,
    Parameters(query): Parameters<RetryQuery>,
    Act(context): Act,
) -> Result<Json<RetriedBody>, Problem> {
    let cause =
        query.cause.ok_or_else(|| bad("`cause` is missing; the list of rejections has it."))?;
    let (ids, all) = gate.store().rejected_by(&cause, MAX_RETRIED).await?;
    let (mut retried, mut gone) = (0, 0);
    for id in ids {
        // Each retry has time of its own; the key is that of the whole request.
        let own = ActContext::new().with_permit_of(&context);
        match gate.retry(own, id, "").await {
            Ok(Retry::Queued(_)) => retried += 1,
            // Another request was faster.
            Ok(_) => gone += 1,
            // What was retried is told; a further call goes on.
            Err(Refused::Full(_) | Refused::Store(_)) if retried > 0 => break,
            Err(refused) => return Err(refused.into()),
        }
    }
    Ok(Json(RetriedBody { retried, left: all.saturating_sub(retried + gone) }))
}
