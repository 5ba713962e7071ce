//! A lab's databases: folders beside the file that the URL names.
//!
//! A folder is prepared and removed under a hidden name that holds the lab's id, so that under its own name
//! it is there with its mark or not at all, whenever a call is interrupted. What has the folder's files open
//! when it is removed writes into files that nobody finds ([`super::identity`] refuses its commits).

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustix::fs::Access;

use super::{blocking, connection};
use crate::db::storage::{
    CreateGeneration, DropGeneration, ErrorKind, GenerationStore, ServerFacts, StorageError,
};
use crate::lab::model::{Generation, LabId};

/// The file that marks a folder; it holds [`LabId::mark`].
const MARK: &str = "storefront-lab";
/// The store's file in a folder.
const STORE: &str = "store.db";
/// For the owner alone, as the files are.
const FOLDER_MODE: u32 = 0o700;

/// The folders of one lab in one folder.
#[derive(Debug, Clone)]
pub(in crate::db) struct EmbeddedGenerations {
    folder: PathBuf,
    /// The file that the URL names.
    file: PathBuf,
    lab: LabId,
}

/// What is there under a generation's name.
enum Found {
    Nothing,
    /// A folder of this lab.
    Ours,
    Unmarked,
}

impl EmbeddedGenerations {
    pub(in crate::db) fn new(file: &Path, lab: LabId) -> Result<Self, StorageError> {
        // Holders may have another working directory.
        let file = std::path::absolute(file).map_err(failed("use", file))?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { folder, file, lab })
    }

    fn path(&self, generation: Generation) -> PathBuf {
        self.folder.join(generation.to_string())
    }

    /// Where a folder is prepared, and where it is removed.
    fn hidden_path(&self, generation: Generation) -> PathBuf {
        self.folder.join(format!(".{generation}.{}", self.lab))
    }

    fn find(&self, generation: Generation) -> io::Result<Found> {
        let path = self.path(generation);
        match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(e) => return Err(e),
            Ok(metadata) if !metadata.is_dir() => return Ok(Found::Unmarked),
            Ok(_) => {}
        }
        let is_ours = match fs::read(path.join(MARK)) {
            Ok(mark) => mark == self.lab.mark().into_bytes(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(e),
        };
        Ok(if is_ours { Found::Ours } else { Found::Unmarked })
    }

    fn create_now(&self, generation: Generation) -> io::Result<CreateGeneration> {
        if self.drop_now(generation)? == DropGeneration::Unmarked {
            return Ok(CreateGeneration::Unmarked);
        }
        let (path, hidden) = (self.path(generation), self.hidden_path(generation));
        fs::create_dir_all(&hidden)?;
        fs::set_permissions(&hidden, Permissions::from_mode(FOLDER_MODE))?;
        let mut mark = File::create(hidden.join(MARK))?;
        mark.write_all(self.lab.mark().as_bytes())?;
        mark.sync_all()?;
        sync(&hidden)?;
        match fs::rename(&hidden, &path) {
            // Another program has made it meanwhile.
            Err(_) if matches!(self.find(generation)?, Found::Unmarked) => {
                fs::remove_dir_all(&hidden)?;
                return Ok(CreateGeneration::Unmarked);
            }
            renamed => renamed?,
        }
        sync(&self.folder)?;
        Ok(CreateGeneration::Created)
    }

    fn drop_now(&self, generation: Generation) -> io::Result<DropGeneration> {
        let hidden = self.hidden_path(generation);
        remove(&hidden)?;
        match self.find(generation)? {
            Found::Unmarked => return Ok(DropGeneration::Unmarked),
            Found::Nothing => return Ok(DropGeneration::Dropped),
            Found::Ours => {}
        }
        fs::rename(self.path(generation), &hidden)?;
        sync(&self.folder)?;
        remove(&hidden)?;
        Ok(DropGeneration::Dropped)
    }

    /// Those with the mark, and those whose removal was interrupted.
    fn list_now(&self) -> io::Result<Vec<Generation>> {
        let mut found = BTreeSet::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let hidden = format!(".{}", self.lab);
        for entry in entries {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_hidden = name.strip_prefix('.').and_then(|name| name.strip_suffix(&hidden));
            let Some(generation) = Generation::of_name(is_hidden.unwrap_or(name)) else { continue };
            if is_hidden.is_some() || matches!(self.find(generation)?, Found::Ours) {
                found.insert(generation);
            }
        }
        Ok(found.into_iter().collect())
    }

    fn check_now(&self) -> Result<ServerFacts, StorageError> {
        connection::refuse_network(&self.file)?;
        let existing = self.folder.ancestors().find(|folder| folder.exists());
        let existing = existing.unwrap_or(Path::new("/"));
        let rights = Access::WRITE_OK | Access::EXEC_OK;
        if !existing.is_dir() || rustix::fs::access(existing, rights).is_err() {
            let text = format!(
                "cannot create databases in {}: the user of this program lacks the right to write to \
                 the folder {}; give it, or name another folder",
                self.folder.display(),
                existing.display()
            );
            return Err(StorageError::new(ErrorKind::Invalid, text));
        }
        let canonical = fs::canonicalize(existing).map_err(failed("use", existing))?;
        let rest = self.file.strip_prefix(existing).unwrap_or(&self.file);
        Ok(ServerFacts {
            name: format!("SQLite {}", rusqlite::version()),
            identity: format!("embedded {}", canonical.join(rest).display()),
            is_local: true,
        })
    }

    /// Does blocking work on the folder.
    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        generation: Generation,
        work: impl FnOnce(Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (own, path) = (self.clone(), self.path(generation));
        blocking(move || work(own).map_err(failed(action, &path))).await
    }
}

#[async_trait]
impl GenerationStore for EmbeddedGenerations {
    async fn check(&self) -> Result<ServerFacts, StorageError> {
        let own = self.clone();
        blocking(move || own.check_now()).await
    }

    async fn create(&self, generation: Generation) -> Result<CreateGeneration, StorageError> {
        self.run("create", generation, move |own| own.create_now(generation)).await
    }

    async fn remove(&self, generation: Generation) -> Result<DropGeneration, StorageError> {
        self.run("remove", generation, move |own| own.drop_now(generation)).await
    }

    async fn list(&self) -> Result<Vec<Generation>, StorageError> {
        let own = self.clone();
        blocking(move || own.list_now().map_err(failed("list", &own.folder))).await
    }

    fn url(&self, generation: Generation) -> String {
        format!("embedded:{}", self.path(generation).join(STORE).display())
    }
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Makes what was created or renamed in a folder outlive a crash of the machine.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> StorageError {
    move |e| {
        let kind = match e.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::Invalid
            }
            _ => ErrorKind::Unavailable,
        };
        let text = format!("cannot {action} the folder {}: {e}", path.display());
        StorageError::with_source(kind, text, e)
    }
}
