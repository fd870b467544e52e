//! The service's own binary; `soundcheck service` is the same.

use std::io::Write as _;
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

fn main() -> ExitCode {
    match cli::run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            // Unlike `eprintln!`, this does not panic where the terminal is gone: nobody is left to tell.
            let _nobody_reads = std::io::stderr().write_all(format!("error: {}\n", failed.chain()).as_bytes());
            ExitCode::from(failed.exit_code)
        }
    }
}
