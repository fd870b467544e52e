//! `soundcheck dlt`: the service's dead letters, listed or sent again. All of it is the service's own work.

use super::exit::{Exit, Failure};
use super::service::{self, DeadLetterArgs};

/// Arguments of `soundcheck dlt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    inner: DeadLetterArgs,
}

/// Hands over to the service.
///
/// # Errors
/// What the service says, with the exit code that it asks for.
pub fn run(args: Args) -> Result<Exit, Failure> {
    service::dead_letters(args.inner)
}
