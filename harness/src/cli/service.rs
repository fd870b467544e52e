//! `soundcheck service`: the reservation service itself, so that the tool can start itself as its own target.
//!
//! The only file of the harness that knows the service's crate. Everything else knows the service by HTTP,
//! `/metrics` and these commands, and can point at any other build.

use booking_service::admin::dlt::DltArgs;
use booking_service::cli::{self, Failed};

use super::exit::{Exit, Failure};

/// Arguments of `soundcheck service`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: cli::Command,
}

/// Runs one of the service's commands on a runtime that it builds for itself.
///
/// # Errors
/// What the service says, with the exit code that it asks for.
pub fn run(args: Args) -> Result<Exit, Failure> {
    outcome(cli::run(args.command))
}

/// What the service's own `dlt` can be told.
pub(super) type DeadLetterArgs = DltArgs;

/// Runs the service's `dlt`, which the tool also offers beside its own commands.
///
/// # Errors
/// What the service says, with the exit code that it asks for.
pub(super) fn dead_letters(args: DeadLetterArgs) -> Result<Exit, Failure> {
    outcome(cli::run(cli::Command::Dlt(args)))
}

/// The tool's exit for the service's own.
fn outcome(result: Result<(), Failed>) -> Result<Exit, Failure> {
    match result {
        Ok(()) => Ok(Exit::Pass),
        Err(Failed { exit_code, error }) => {
            let exit = match exit_code {
                2 => Exit::Usage,
                6 => Exit::NoStack,
                _ => Exit::Bug,
            };
            Err(Failure { exit, error })
        }
    }
}
