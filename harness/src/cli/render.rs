//! `soundcheck render`: rebuilds the report of a recording from its folder alone.

use std::path::PathBuf;

use super::exit::{Exit, Failure};
use super::making::render;
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
#[expect(clippy::print_stdout, reason = "the result of the command")]
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let written = render(&args.recording)?;
    if args.json {
        println!("{}", crate::report::json::render(&written.document)?);
    } else {
        print!(
            "{}",
            terminal::summary(&written.document, Some(&written.dir), terminal::Colour::Off)
        );
    }
    Ok(Exit::Pass)
}
