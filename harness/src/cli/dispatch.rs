//! From the typed arguments to the exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use super::args::{Cli, Command};
use super::exit::{Exit, Failure};
use super::{stderr, stdout};
use crate::causes;

/// Parses the process's arguments, runs the subcommand and reports a failure on the terminal.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit_of(|| print(&error)).into(),
    };
    // The service logs in its own way, as its configuration says.
    if !matches!(cli.command, Command::Service(_)) {
        log_to_stderr(&cli);
    }
    let is_quiet = cli.quiet;
    exit_of(|| run(cli.command, is_quiet)).into()
}

/// Help and version are no errors; clap knows which stream each belongs to.
fn print(error: &clap::Error) -> Result<Exit, Failure> {
    let printed = error.print();
    if error.use_stderr() {
        // Wrong usage is what it is, whether anybody reads so or not.
        return Ok(Exit::Usage);
    }
    stdout::reached(printed).map(|()| Exit::Pass)
}

fn exit_of(work: impl FnOnce() -> Result<Exit, Failure>) -> Exit {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            complain(&failure);
            failure.exit
        }
        // A panic has printed itself; guards have run by now, since panics unwind.
        Err(_panic) => Exit::Bug,
    }
}

fn run(command: Command, is_quiet: bool) -> Result<Exit, Failure> {
    match command {
        Command::Report(args) => block_on(super::report::run(args, is_quiet)),
        Command::Run(args) => block_on(super::run::run(args, is_quiet)),
        Command::Load(args) => block_on(super::load::run(args, is_quiet)),
        Command::Render(args) => super::render::run(&args),
        Command::Verify(args) => super::verify::run(&args),
        Command::Export(args) => block_on(super::export::run(args)),
        Command::Up(args) => block_on(super::up::run(args, is_quiet)),
        Command::Down => block_on(super::down::run()),
        Command::Doctor(args) => block_on(super::doctor::run(args)),
        Command::Images(args) => block_on(super::images::run(args)),
        Command::Dashboards(args) => block_on(super::dashboards::run(args)),
        Command::Dlt(args) => super::dlt::run(args),
        Command::Service(args) => super::service::run(args),
        Command::Watchdog => watch(),
    }
}

/// Waits for the end of the process that started this one, and cleans up after it.
fn watch() -> Result<Exit, Failure> {
    // Whoever stops the run stops us by closing the pipe; signals are no reason to leave things behind.
    ctrlc::set_handler(|| {})?;
    let failures = block_on(async { Ok(crate::watchdog::child::run(std::io::stdin().lock()).await) })?;
    match failures.into_iter().next() {
        None => Ok(Exit::Pass),
        Some(failure) => Err(failure.into()),
    }
}

/// Runs `work` on a runtime of its own, which is gone when this returns: so are its tasks.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// Diagnostics go to standard error; standard output belongs to results.
fn log_to_stderr(cli: &Cli) {
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info,soundcheck=debug",
        (false, _) => "debug,soundcheck=trace",
    };
    let filter = EnvFilter::try_from_env("SOUNDCHECK_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Where nothing can be written there, it would say so there, by way of a panic.
        .log_internal_errors(false)
        .finish();
    // Refused only when a test has set one already, which then serves as well.
    let _already_set = tracing::subscriber::set_global_default(subscriber);
}

/// The one place where a failure reaches the terminal.
fn complain(failure: &Failure) {
    stderr::line(&format!("error: {}", causes::chain(failure.error.as_ref())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug_and_a_failure_has_its_own_code() {
        assert_eq!(exit_of(|| panic!("as a test asks for")), Exit::Bug);
        assert_eq!(
            exit_of(|| Err(Failure::new(Exit::NoStack, anyhow::anyhow!("gone")))),
            Exit::NoStack
        );
        assert_eq!(exit_of(|| Ok(Exit::Unknown)), Exit::Unknown);
    }
}
