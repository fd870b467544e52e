//! The folder for recordings, tried before anything is started: that it cannot be used must not show after minutes of
//! measuring.

use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What a recording has written before its first figure. A disk that holds no more than this is as good as full.
const LEAST_SPACE_BYTES: usize = 64 * 1024;

/// Why nothing can be recorded there.
#[derive(Debug, thiserror::Error)]
pub enum OutError {
    /// A file is in the way.
    #[error("--out {}: {} is a file; name a folder", .out.display(), .file.display())]
    NotAFolder { out: PathBuf, file: PathBuf },
    /// No space.
    #[error("--out {}: no space left in {}; free some, or name a folder elsewhere", .out.display(), .folder.display())]
    Full { out: PathBuf, folder: PathBuf },
    /// No right to write, or no file system that can be written.
    #[error(
        "--out {}: nothing can be written in {}; name a folder where this user may write",
        .out.display(), .folder.display()
    )]
    Unwritable {
        out: PathBuf,
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Writes a little into `out`, or into the folder in which it would be made, and takes it away again. `out` itself is
/// made by the first recording.
///
/// # Errors
/// It is no folder, cannot be written, or has no space.
pub fn try_out(out: &Path) -> Result<(), OutError> {
    let folder = nearest(out);
    let is_file = std::fs::metadata(&folder).is_ok_and(|metadata| !metadata.is_dir());
    if is_file {
        return Err(OutError::NotAFolder {
            out: out.to_owned(),
            file: folder,
        });
    }
    let written = tempfile::tempfile_in(&folder).and_then(|mut file| file.write_all(&vec![0; LEAST_SPACE_BYTES]));
    written.map_err(|source| {
        let out = out.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OutError::Full { out, folder },
            _ => OutError::Unwritable { out, folder, source },
        }
    })
}

/// The last part of the path that is there.
fn nearest(out: &Path) -> PathBuf {
    let here = || PathBuf::from(".");
    let is_there = |part: &&Path| match std::fs::symlink_metadata(part) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    let parts = out.ancestors().filter(|part| !part.as_os_str().is_empty());
    parts.into_iter().find(is_there).map_or_else(here, Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_made_is_left_unmade() {
        let dir = tempfile::tempdir().unwrap();
        try_out(dir.path()).unwrap();
        try_out(&dir.path().join("a/b")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(nearest(Path::new("no such folder/b")), Path::new("."));
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for out in [file.path().to_owned(), file.path().join("a/b")] {
            let error = try_out(&out).unwrap_err().to_string();
            assert!(
                error.contains(&format!("{} is a file", file.path().display()))
                    && error.contains(&out.display().to_string()),
                "{error}"
            );
        }
    }
}
