//! Why a recording was not exported.

use std::io;
use std::path::PathBuf;

use crate::recording::RecordError;
use crate::report::kinds::KindError;

/// A failure to export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file of the recording cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It cannot be judged.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// There is nothing in it.
    #[error("{0} holds no samples and no scrapes, so there is nothing to export; record it again")]
    Nothing(PathBuf),
    /// An overview holds no samples of its own.
    #[error("{0} is an overview, which sums up other recordings; export one of those")]
    Overview(PathBuf),
    /// The result cannot be written where it belongs.
    #[error("cannot write the export")]
    Write(#[source] io::Error),
    /// The result cannot be put into its format.
    #[error("cannot put the export into its format")]
    Format(#[source] Box<dyn std::error::Error + Send + Sync>),
}
