//! A folder for what a command needs while it runs: gone at its end, however that comes.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::exit::{Exit, Failure};
use crate::watchdog::undo::FOLDER_PREFIX;
use crate::watchdog::{Entry, Undo, Watchdog};

/// No folder for temporary files.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a folder for temporary files in {}; free some space there, or set TMPDIR to another folder", .folder.display())]
pub(super) struct ScratchError {
    folder: PathBuf,
    #[source]
    source: std::io::Error,
}

/// The folder, and its entry on the undo list.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: TempDir,
    undo: Entry,
}

impl Scratch {
    /// Makes it.
    ///
    /// # Errors
    /// It cannot be made, or nobody would remove it after a crash.
    pub(super) fn new(watchdog: &Watchdog) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir();
        let folder = folder.map_err(|source| {
            let folder = std::env::temp_dir();
            Failure::new(Exit::Usage, ScratchError { folder, source })
        })?;
        let path = folder.path().to_owned();
        let undo = watchdog.register(Undo::RemoveFolder { path })?;
        Ok(Self { folder, undo })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes it.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub(super) fn close(self) -> Result<(), Failure> {
        self.folder.close()?;
        Ok(self.undo.forget()?)
    }
}
