//! Standard error, where people are told what goes on.
//!
//! Nobody may be reading any more: the terminal was closed, or the Ctrl-C that asked for the end has ended the reader of
//! the pipe as well. That takes nothing from what is measured, so nothing here fails, as `eprintln!` does by panicking.

use std::io::{self, Write as _};

/// Writes `text` and a line feed, in one piece.
pub(super) fn line(text: &str) {
    let _nobody_reads = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}
