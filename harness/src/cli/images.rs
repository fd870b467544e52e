//! `soundcheck images`: builds the stand-in images.

use std::time::Instant;

use clap::Subcommand;

use super::exit::{Exit, Failure, OrExit};
use super::stdout;
use crate::daemon::Daemon;
use crate::daemon::builder::{self, Built, StandIn};

/// Arguments of `soundcheck images`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build stand-in images from distribution packages and published jars, unless they are there and up to date.
    Build {
        /// Which; all of them when none is named.
        #[arg(value_name = "NAME")]
        names: Vec<StandIn>,

        /// Build even what is up to date.
        #[arg(long)]
        rebuild: bool,
    },
}

/// Runs `soundcheck images`.
///
/// # Errors
/// No daemon, or a build that failed; the error ends with the last lines of the build's log.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let Verb::Build { names, rebuild } = args.command;
    let daemon = Daemon::connect().await.or_exit(Exit::NoStack)?;
    let names = if names.is_empty() { StandIn::ALL.to_vec() } else { names };
    for name in names {
        let started = Instant::now();
        stdout::line(&format!("{}: building …", name.image()))?;
        let said = match builder::build(&daemon, name, rebuild).await.or_exit(Exit::NoStack)? {
            Built::Anew => format!("built in {:.0} s", started.elapsed().as_secs_f64()),
            Built::UpToDate => "up to date".to_owned(),
        };
        stdout::line(&format!("{}: {said}", name.image()))?;
    }
    Ok(Exit::Pass)
}
