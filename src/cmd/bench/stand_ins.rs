//! The folder of the embedded databases that are measured where none is named.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::Context;

use crate::lab::bench::database::BenchDatabase;

/// A new folder among the temporary ones; removed when it is dropped.
pub(super) struct StandInFolder(PathBuf);

impl StandInFolder {
    pub(super) fn create() -> anyhow::Result<Self> {
        let name = format!("storefront-bench-{}", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        // For this user alone, and an error if it is there.
        let created = DirBuilder::new().mode(0o700).create(&path);
        created.with_context(|| {
            format!("cannot create {}: name another folder by TMPDIR", path.display())
        })?;
        Ok(Self(path))
    }

    pub(super) fn databases(&self) -> Vec<BenchDatabase> {
        BenchDatabase::stand_ins(&self.0)
    }
}

impl Drop for StandInFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "cannot remove the folder of the stand-ins");
        }
    }
}
