//! `soundcheck render`: rebuilds the report of a recording from its folder alone.

use std::path::PathBuf;

use super::exit::{Exit, Failure};
use super::making::render;
use super::stdout;
use crate::report::terminal;

/// Arguments of `soundcheck render`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of the recording.
    recording: PathBuf,

    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Renders. Whatever the report says, rendering it is a success: `report` and `verify` are there to judge.
///
/// # Errors
/// When the recording cannot be read, or the report cannot be written.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let written = render(&args.recording).map_err(|failure| match failure.exit {
        // Nothing is measured here that could be void: a folder that cannot be written is a wrong one.
        Exit::Unknown => Failure::new(Exit::Usage, failure.error),
        _ => failure,
    })?;
    if args.json {
        stdout::line(&crate::report::json::render(&written.document)?)?;
    } else {
        let summary = terminal::summary(&written.document, Some(&written.dir), terminal::Colour::Off);
        let notes: String = written.notes.iter().map(|note| format!("note: {note}\n")).collect();
        stdout::put(&format!("{notes}{summary}"))?;
    }
    Ok(Exit::Pass)
}
