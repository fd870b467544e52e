//! `soundcheck dlt`: the service's dead letters, listed or sent again. All of it is the service's own work.

use booking_service::admin::dlt::DltArgs;
use booking_service::cli;

use super::exit::{Exit, Failure};
use super::service;

/// Arguments of `soundcheck dlt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    inner: DltArgs,
}

/// Hands over to the service.
///
/// # Errors
/// What the service says, with the exit code that it asks for.
pub fn run(args: Args) -> Result<Exit, Failure> {
    service::outcome(cli::run(cli::Command::Dlt(args.inner)))
}
