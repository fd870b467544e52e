//! What can be typed, and its help.

use clap::{Parser, Subcommand};

use super::{dashboards, dlt, doctor, export, images, load, render, report, run, service, up, verify};

/// Load testing, observability and failure rehearsal for services that must not sell the same seat twice.
///
/// Exit codes: 0 pass, 1 bug in the tool, 2 wrong usage, config or surroundings (no space, unusable files), 3 objective
/// missed or regression, 4 unknown, 5 invariant broken, 6 stack unavailable (or a fault not healed), 130 interrupted (data
/// kept).
#[derive(Debug, Parser)]
#[command(name = "soundcheck", version, max_term_width = 120)]
pub struct Cli {
    /// Say more; twice for every detail.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Say only what went wrong.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    #[command(subcommand)]
    pub command: Command,
}

/// One variant a subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The main job: measure, break, and report on cache, index and incident.
    Report(report::Args),
    /// Drive one scenario against the service, and report on it.
    Run(run::Args),
    /// Keep a service that runs already busy with a scenario, again and again, and record nothing.
    Load(load::Args),
    /// Rebuild the report of a recording from its folder alone.
    Render(render::Args),
    /// Judge the invariants of a recording anew.
    Verify(verify::Args),
    /// A recording for other tools: CSV, JUnit XML, or a Prometheus by remote write.
    Export(export::Args),
    /// Keep the stack and the service running, and print the URLs.
    Up(up::Args),
    /// End what `up` keeps running, and remove what dead runs have left.
    Down,
    /// Say what can run here, what is missing, and what to do about it.
    Doctor(doctor::Args),
    /// Stand-in images for machines without an image registry.
    Images(images::Args),
    /// What Prometheus and Grafana load, from dashboards/*.yaml: write it, or check that it is up to date.
    Dashboards(dashboards::Args),
    /// Records that the service's consumer gave up: list them, or send them again.
    Dlt(dlt::Args),
    /// The reservation service itself: serve, migrate, seed, index, audit, dlt, health.
    Service(service::Args),
    /// Holds the undo list of another process of this tool; see the module `watchdog`.
    #[command(name = crate::watchdog::child::SUBCOMMAND, hide = true)]
    Watchdog,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn definitions_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
