//! `soundcheck load`: keeps a service busy that somebody else has started, until it is asked to end.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure, OrExit as _};
use super::{interrupt, run, stderr};
use crate::load::{Catalogue, LoadError, Target, make_room};
use crate::run::endless;
use crate::run::endless::Rounds;

/// Often enough to see that it lives, and rarely enough for a log that is never read.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Arguments of `soundcheck load`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A scenario that ships, or a file with one; over and over. What it says about data does not matter here.
    #[arg(default_value = "gentle")]
    scenario: String,

    /// Where the service is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    target: String,

    /// What there is to ask for, as `soundcheck service seed --catalogue` wrote it.
    #[arg(long, value_name = "FILE")]
    catalogue: PathBuf,

    /// Decides every random choice of the first round; each further one has the next seed.
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// Drives the load until Ctrl-C or SIGTERM, at which journeys under way still end; a second one ends at once.
///
/// # Errors
/// The scenario or the catalogue cannot be used, or the service's data do not suffice for it.
pub async fn run(args: Args, is_quiet: bool) -> Result<Exit, Failure> {
    let scenario = run::read(&args.scenario)?;
    make_room(scenario.most_connections()).or_exit(Exit::Usage)?;
    let catalogue = Catalogue::load(&args.catalogue).or_exit(Exit::Usage)?;
    let target = Target {
        address: args.target,
        part: catalogue.whole(),
    };
    // Before Goose does.
    interrupt::listen()?;
    let stop = CancellationToken::new();
    let tell = |rounds: Rounds| {
        if !is_quiet {
            stderr::line(&line(&scenario.name, rounds));
        }
    };
    let load = endless(&scenario, &target, args.seed, stop.clone(), TELL_EVERY, tell);
    let asked_twice = async {
        interrupt::requested().await?;
        stop.cancel();
        interrupt::requested().await
    };
    tokio::select! {
        ended = Box::pin(load) => ended.map(|()| Exit::Pass).map_err(failure),
        asked = asked_twice => asked.map(|()| Exit::Interrupted).map_err(Failure::from),
    }
}

fn failure(error: LoadError) -> Failure {
    let exit = match &error {
        LoadError::Prepare(_) | LoadError::Limit(_) => Exit::Usage,
        _ => Exit::Bug,
    };
    Failure::new(exit, error)
}

fn line(name: &str, rounds: Rounds) -> String {
    let Rounds { over, progress } = rounds;
    let (started, ok, failed) = (progress.started, progress.ok, progress.failed);
    format!("{name}: {started} journeys started, {ok} served, {failed} not served; {over} rounds are over")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Progress;

    #[test]
    fn the_line_tells_what_became_of_the_journeys() {
        let progress = Progress {
            scheduled: 9,
            started: 8,
            ok: 5,
            failed: 1,
        };
        assert_eq!(
            line("gentle", Rounds { over: 2, progress }),
            "gentle: 8 journeys started, 5 served, 1 not served; 2 rounds are over"
        );
    }
}
