//! What the lab is told when it starts.

use std::path::PathBuf;

use super::model::{KeyDistribution, StartingState};

/// The settings of a lab.
#[derive(Debug, Clone)]
pub struct LabSettings {
    /// The folder with the files of the stand-ins.
    pub stand_ins: PathBuf,
    /// What every database holds at the start of a lease.
    pub rows: StartingState,
    /// Length of a run whose request does not say.
    pub seconds: u16,
    /// Factor of the patterns' rates.
    pub rate_scale: f64,
    /// Which keys transactions draw.
    pub keys: KeyDistribution,
    /// Transactions of one worker that may be under way at once.
    pub max_in_flight: u32,
}
