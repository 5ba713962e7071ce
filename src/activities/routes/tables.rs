//! The tables and their rows.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use super::paging::{Parameters, bad, text_cursor};
use crate::activities::gate::Gate;
use crate::activities::model::{Name, Value, Work};
use crate::db::storage::{ErrorKind, MessageState, Rows};
use crate::web::act::Act;
use crate::web::page;
use crate::web::problem::{Problem, ProblemBody};

/// How long the answer to a drop waits for the messages before it.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Serialize, ToSchema)]
pub(super) struct TableBody {
    #[schema(value_type = String)]
    table: Name,
    columns: Vec<ColumnBody>,
    rows: u64,
    #[schema(value_type = String, format = "date-time")]
    last_applied_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct ColumnBody {
    #[schema(value_type = String)]
    name: Name,
    /// `INTEGER`, `TEXT`, `DOUBLE`, `BOOLEAN` or `DECIMAL(p,s)`.
    r#type: String,
}

/// List the tables
#[utoipa::path(get, operation_id = "list_tables", path = "/api/activities/tables", tag = "activities",
    responses((status = 200, body = [TableBody])))]
pub(super) async fn list(State(gate): State<Arc<Gate>>) -> Result<Json<Vec<TableBody>>, Problem> {
    let tables = gate.store().tables().await?.into_iter().map(|table| TableBody {
        table: table.name,
        columns: table
            .columns
            .into_iter()
            .map(|(name, column_type)| ColumnBody { name, r#type: column_type.to_string() })
            .collect(),
        rows: table.rows,
        last_applied_at: table.last_applied_at,
    });
    Ok(Json(tables.collect()))
}

/// Which table.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TableQuery {
    /// Its name.
    #[param(required)]
    table: Option<String>,
}

/// Drop a table
///
/// In the order of messages: after those that were accepted before. Waits up to 10 s for them.
#[utoipa::path(delete, path = "/api/activities/tables", tag = "activities", params(TableQuery),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "It was dropped, or will be"),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "`table` is missing"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such table"),
    ))]
pub(super) async fn drop_table(
    State(gate): State<Arc<Gate>>,
    Parameters(query): Parameters<TableQuery>,
    Act(context): Act,
) -> Result<Response, Problem> {
    let table = name(query.table)?;
    let id = gate.accept(context, &Work::drop_table(&table)).await?;
    // It is accepted, so a failure of the wait changes nothing.
    let message = gate.wait(id, DROP_TIMEOUT).await.unwrap_or_default();
    match message.map(|message| (message.state, message.error)) {
        Some((MessageState::Applied, _)) => Ok("The table was dropped.".into_response()),
        Some((MessageState::Rejected, error)) => Err(not_dropped(&gate, &table, error).await?),
        _ => {
            let text = format!("The table is dropped by the message {id} in its turn.");
            Ok(text.into_response())
        }
    }
}

/// 404 if there was nothing to drop, 409 if something prevents it.
async fn not_dropped(gate: &Gate, table: &Name, error: Option<String>) -> Result<Problem, Problem> {
    let is_there = gate.store().catalogue().await?.table(table).is_some();
    let error = error.filter(|_| is_there);
    Ok(error.map_or_else(missing, |error| Problem::new(StatusCode::CONFLICT, error)))
}

/// Which rows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RowsQuery {
    /// The table's name.
    #[param(required)]
    table: Option<String>,
    /// Rows on the page, 1 to 100; default 20.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// A page of rows. A row is an object of all columns: null where it has none; a DECIMAL is a string.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes an answer for the OpenAPI document")]
pub(super) struct RowsBody {
    rows: Vec<std::collections::HashMap<String, serde_json::Value>>,
    /// The next page's `after`; null on the last page.
    next: Option<String>,
}

/// List the rows of a table
///
/// In the order of arrival (on Cassandra in a fixed order of its own).
#[utoipa::path(get, operation_id = "list_rows", path = "/api/activities/rows", tag = "activities", params(RowsQuery),
    responses(
        (status = 200, body = RowsBody),
        (status = 400, body = ProblemBody<'_>, content_type = "application/problem+json", description = "A bad parameter"),
        (status = 404, body = ProblemBody<'_>, content_type = "application/problem+json", description = "No such table"),
    ))]
pub(super) async fn rows(
    State(gate): State<Arc<Gate>>,
    Parameters(query): Parameters<RowsQuery>,
) -> Result<Json<Page>, Problem> {
    let limit = page::limit(query.limit.as_deref())?;
    let after = query.after.as_deref().map(text_cursor).transpose()?;
    let (table, has_cursor) = (name(query.table)?, after.is_some());
    let rows = match gate.store().rows(&table, after, limit).await {
        // Of the store's errors only that of a cursor is about the request.
        Err(error) if has_cursor && error.kind() == ErrorKind::Invalid => {
            return Err(page::bad_cursor());
        }
        rows => rows?,
    };
    rows.map(|rows| Json(Page(rows))).ok_or_else(missing)
}

fn name(text: Option<String>) -> Result<Name, Problem> {
    let text = text.ok_or_else(|| bad("`table` is missing."))?;
    Name::parse(&text).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such table.")
}

/// Rows as JSON.
pub(super) struct Page(Rows);

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut page = serializer.serialize_map(Some(2))?;
        page.serialize_entry("rows", &AllRows(&self.0))?;
        page.serialize_entry("next", &self.0.next.as_ref().map(page::encode))?;
        page.end()
    }
}

struct AllRows<'a>(&'a Rows);

impl Serialize for AllRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.0.rows.len()))?;
        for row in &self.0.rows {
            rows.serialize_element(&Row { columns: &self.0.columns, values: row })?;
        }
        rows.end()
    }
}

struct Row<'a> {
    columns: &'a [Name],
    values: &'a [Value],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.iter().zip(self.values))
    }
}
