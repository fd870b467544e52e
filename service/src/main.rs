//! The service's own binary; `soundcheck service` is the same.

use std::process::ExitCode;

use booking_service::cli;
use clap::Parser;

/// A minimal concert reservation service.
#[derive(Debug, Parser)]
#[command(name = "booking-service", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: cli::Command,
}

#[expect(clippy::print_stderr, reason = "the one place where a failure reaches the terminal")]
fn main() -> ExitCode {
    match cli::run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("error: {}", failed.chain());
            ExitCode::from(failed.exit_code)
        }
    }
}
