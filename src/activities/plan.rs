//! The answer of a dry run.

use serde::Serialize;
use utoipa::ToSchema;

use super::catalogue::Catalogue;
use super::model::{Name, Rejection, Work};

/// What a message would do against the present tables.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRun {
    /// Tables that would be created or get columns.
    tables: Vec<PlannedTable>,
    /// Why the message would be rejected; then nothing of it would be done.
    rejection: Option<RejectionBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PlannedTable {
    #[schema(value_type = String)]
    table: Name,
    /// Whether the table would be new.
    created: bool,
    columns: Vec<PlannedColumn>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PlannedColumn {
    #[schema(value_type = String)]
    name: Name,
    r#type: String,
}

/// Why a message is rejected.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RejectionBody {
    /// One sentence.
    pub error: String,
    /// The activity that fails, counted from 0.
    pub activity: Option<u32>,
}

impl DryRun {
    /// What the work would do.
    #[must_use]
    pub fn of(catalogue: &Catalogue, work: &Work) -> Self {
        match catalogue.plan(work) {
            Ok(plan) => {
                let tables = plan.changes.into_iter().map(|change| PlannedTable {
                    table: change.table,
                    created: change.created,
                    columns: change
                        .columns
                        .into_iter()
                        .map(|(name, column_type)| PlannedColumn {
                            name,
                            r#type: column_type.to_string(),
                        })
                        .collect(),
                });
                Self { tables: tables.collect(), rejection: None }
            }
            Err(Rejection { error, activity, .. }) => {
                Self { tables: Vec::new(), rejection: Some(RejectionBody { error, activity }) }
            }
        }
    }
}
