//! Messages, tables and rows as aligned text or JSON.

use std::io::{self, Write};

use serde_json::{Map, Value as Json, json};

use crate::activities::model::Value;
use crate::db::storage::{Message, RejectionGroup, Rows, TableStatus};

/// Characters of a cell of aligned text.
const CELL: usize = 40;

/// How the result looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    pub(super) fn messages(self, messages: &[Message]) -> anyhow::Result<()> {
        if self.json {
            return lines(messages.iter().map(message));
        }
        let header = ["id", "state", "received", "error"];
        let rows = messages.iter().map(|message| {
            let error = message.error.clone().unwrap_or_default();
            let state = message.state.as_str().to_owned();
            vec![message.id.to_string(), state, message.received_at.to_string(), error]
        });
        table(&header.map(str::to_owned), rows.collect())
    }

    pub(super) fn message(self, shown: &Message) -> anyhow::Result<()> {
        if self.json {
            return lines([message(shown)]);
        }
        let Json::Object(members) = message(shown) else { return Ok(()) };
        let mut out = io::stdout().lock();
        for (name, value) in members {
            writeln!(out, "{name:<12} {}", text(&value))?;
        }
        Ok(())
    }

    pub(super) fn rejections(self, groups: &[RejectionGroup]) -> anyhow::Result<()> {
        if self.json {
            return lines(groups.iter().map(|group| {
                json!({ "cause": group.cause, "count": group.count, "example": group.example })
            }));
        }
        let rows = groups.iter().map(|group| {
            vec![text(&json!(group.cause)), group.count.to_string(), group.example.to_string()]
        });
        table(&["cause", "count", "example"].map(str::to_owned), rows.collect())
    }

    pub(super) fn tables(self, tables: &[TableStatus]) -> anyhow::Result<()> {
        if self.json {
            return lines(tables.iter().map(|table| {
                let columns = table.columns.iter().map(
                    |(name, column_type)| json!({ "name": name, "type": column_type.to_string() }),
                );
                json!({
                    "table": table.name,
                    "columns": columns.collect::<Vec<_>>(),
                    "rows": table.rows,
                    "last_applied_at": table.last_applied_at.to_string(),
                })
            }));
        }
        let rows = tables.iter().map(|table| {
            let columns = table.columns.iter();
            let columns: Vec<_> =
                columns.map(|(name, kind)| format!("{} {kind}", text(&json!(name)))).collect();
            let last = table.last_applied_at.to_string();
            vec![text(&json!(table.name)), table.rows.to_string(), last, columns.join(", ")]
        });
        table(&["table", "rows", "last applied", "columns"].map(str::to_owned), rows.collect())
    }

    pub(super) fn rows(self, rows: &Rows) -> anyhow::Result<()> {
        let columns: Vec<_> = rows.columns.iter().map(ToString::to_string).collect();
        let header: Vec<_> = columns.iter().map(|name| text(&json!(name))).collect();
        if self.json {
            return lines(rows.rows.iter().map(|row| {
                let cells = columns.iter().cloned().zip(row.iter().map(|value| json!(value)));
                Json::Object(cells.collect::<Map<_, _>>())
            }));
        }
        let cells = |row: &Vec<Value>| row.iter().map(|value| text(&json!(value))).collect();
        table(&header, rows.rows.iter().map(cells).collect())?;
        if let Some(next) = &rows.next {
            writeln!(io::stderr(), "there are more: --after {next}")?;
        }
        Ok(())
    }

    pub(super) fn sentence(self, text: &str) -> anyhow::Result<()> {
        if self.json {
            lines([json!({ "message": text })])
        } else {
            Ok(writeln!(io::stdout(), "{text}")?)
        }
    }
}

fn message(message: &Message) -> Json {
    json!({
        "id": message.id,
        "state": message.state.as_str(),
        "error": message.error,
        "activity": message.activity,
        "received_at": message.received_at.to_string(),
        "applied_at": message.applied_at.map(|at| at.to_string()),
        "attempts": message.attempts,
        "retry_of": message.retry_of,
        "retried_as": message.retried_as,
    })
}

fn lines(objects: impl IntoIterator<Item = Json>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for object in objects {
        writeln!(out, "{object}")?;
    }
    Ok(())
}

/// A value in one line of text: null is `-`, and characters that could change a terminal are escaped.
fn text(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.chars().flat_map(shown).collect(),
        other => other.to_string(),
    }
}

fn shown(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

/// Columns as wide as their longest cell, except the last.
fn table(header: &[String], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    let cut = |cell: &String| match cell.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &cell[..end]),
        None => cell.clone(),
    };
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let last = row.len().saturating_sub(1);
            let cells = row.into_iter().enumerate();
            cells.map(|(n, cell)| if n == last { cell } else { cut(&cell) }).collect()
        })
        .collect();
    let all = || std::iter::once(header).chain(rows.iter().map(Vec::as_slice));
    let width = |n: usize| all().map(|row| row[n].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let mut out = io::stdout().lock();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
