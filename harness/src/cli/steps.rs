//! About how long a call takes: the sum of the steps that it shows. The plans know their own; here are those around them.

use std::time::Duration;

use super::report::{Args, Kind};
use crate::plan::spec::Engine;
use crate::plan::{self, DrillFault};

/// What the stack needs to start, from runs on two cores.
pub(super) const STACK: Duration = Duration::from_secs(15);
/// Judging and drawing one recording.
pub(super) const REPORT: Duration = Duration::from_secs(2);
/// What the stack needs to go.
pub(super) const STACK_END: Duration = Duration::from_secs(2);

/// Of the dearer stack, until it is known which one it is.
pub(super) fn before_the_stack_is_known(kinds: &[Kind], args: &Args) -> Duration {
    STACK + after_the_stack_is_known(kinds, Engine::MySql, args)
}

/// From the open stack to the end.
pub(super) fn after_the_stack_is_known(kinds: &[Kind], engine: Engine, args: &Args) -> Duration {
    let each = kinds.iter().map(|kind| of_kind(*kind, engine, args) + REPORT);
    each.sum::<Duration>() + STACK_END
}

fn of_kind(kind: Kind, engine: Engine, args: &Args) -> Duration {
    match kind {
        Kind::Cache => plan::spec::cache(engine, args.profile, args.seed).estimate(),
        Kind::Index => plan::spec::index(args.profile, args.seed).estimate(),
        // Every fault lasts equally long.
        Kind::Incident => plan::incident::plan(DrillFault::MysqlPause, args.profile, args.seed).estimate(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        report: Args,
    }

    /// Six minutes are promised; half a minute is left for machines on which steps take longer than on ours.
    #[test]
    fn the_usual_report_fits_its_six_minutes_on_every_stack() {
        let args = Command::parse_from(["report"]).report;
        for engine in [Engine::MySql, Engine::Sqlite] {
            let time = STACK + after_the_stack_is_known(&[Kind::Cache, Kind::Index, Kind::Incident], engine, &args);
            assert!(time <= Duration::from_secs(330), "{engine:?}: {time:?}");
        }
    }
}
