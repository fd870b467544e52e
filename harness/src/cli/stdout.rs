//! Standard output, which holds results alone.

use std::io::{self, ErrorKind, Write as _};

use super::exit::{Exit, Failure};

/// The result did not reach its reader.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the result to standard output; free some space there, or send it elsewhere")]
pub struct OutputError(#[from] io::Error);

/// Writes `text` and a line feed.
///
/// # Errors
/// The text does not reach its end. A reader who has gone has seen enough, which is none.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    put(&format!("{text}\n"))
}

/// Writes `text` as it is.
///
/// # Errors
/// As for [`line`].
pub(super) fn put(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    reached(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What became of something written to it.
///
/// # Errors
/// As for [`line`].
pub(super) fn reached(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(Exit::Usage, OutputError(error))),
        _ => Ok(()),
    }
}
