//! `soundcheck report`: runs the experiments and the drill on the best stack there is, and prints where the reports are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ending::{Ending, interruptible};
use super::exit::{Exit, Failure, OrExit as _};
use super::making::{self, Written};
use super::out_folder::try_out;
use super::progress::Progress;
use super::session::{self, Session};
use super::stack_args::StackArgs;
use super::{command_line, stdout, steps, traces};
use crate::fault::Edges;
use crate::plan::Profile;
use crate::report::{self, Verdict};
use crate::run::Bench;

/// A report by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Kind {
    /// What a cache in front of the seat map gains and costs.
    Cache,
    /// What an index on the seats gains and costs, by rows.
    Index,
    /// One failure, noticed, survived and cleared up.
    Incident,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Cache, Self::Index, Self::Incident];

    /// As it is typed, and as recordings call it.
    pub(super) fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map_or_else(|| "run".to_owned(), |value| value.get_name().to_owned())
    }
}

/// Arguments of `soundcheck report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which reports; all of them when none is named.
    #[arg(value_enum)]
    pub(super) kinds: Vec<Kind>,

    #[command(flatten)]
    pub(super) stack: StackArgs,

    /// How much time to take.
    #[arg(long, value_enum, default_value = "quick")]
    pub(super) profile: Profile,

    /// Decides every random choice: data, arrivals, order of slices.
    #[arg(long, default_value_t = 42)]
    pub(super) seed: u64,

    /// The folder in which each recording gets a folder of its own.
    #[arg(long, default_value = "reports")]
    pub(super) out: PathBuf,

    /// Print one JSON object instead of a summary.
    #[arg(long)]
    json: bool,

    /// Serve a local page that shows what goes on, a drill with live charts.
    #[arg(long)]
    live: bool,

    /// Let the service of the drill send traces of all requests to this OpenTelemetry collector, by OTLP over HTTP, such as
    /// `http://127.0.0.1:4318`. They cost it time, so experiments measure without.
    #[arg(long, value_name = "URL", value_parser = traces::collector)]
    traces: Option<String>,
}

/// Runs the reports one after the other and sums them up.
///
/// # Errors
/// When the stack is not available, or a run cannot be carried out.
pub async fn run(args: Args, is_quiet: bool) -> Result<Exit, Failure> {
    let ending = Ending::default();
    interruptible(ending.clone(), Box::pin(reports(&args, is_quiet, ending))).await
}

async fn reports(args: &Args, is_quiet: bool, ending: Ending) -> Result<Exit, Failure> {
    let kinds = if args.kinds.is_empty() {
        Kind::ALL.to_vec()
    } else {
        args.kinds.clone()
    };
    if args.traces.is_some() && !kinds.contains(&Kind::Incident) {
        let message = "`--traces` is for the drill, and experiments measure without: name `incident` as well";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
    }
    try_out(&args.out).or_exit(Exit::Usage)?;
    let progress = Progress::new(steps::before_the_stack_is_known(&kinds, args), is_quiet);
    progress.step("starting the stack", steps::STACK);
    // Before the stack starts: its broker advertises its proxy's address. Experiments use no broker, and reach the rest
    // directly.
    let mut edges = if kinds.contains(&Kind::Incident) {
        Edges::bind(args.seed).await.map_err(Failure::of_fault)?
    } else {
        Edges::default()
    };
    let session = Session::open(&args.stack, edges.kafka_advertised(), &progress, &ending.stop).await?;
    let profile = clap::ValueEnum::to_possible_value(&args.profile).map(|value| value.get_name().to_owned());
    let mut bench = Bench {
        profile,
        traces: args.traces.clone(),
        ..session.bench(&progress, ending.stop.clone(), repeating(args, &session))
    };
    let names: Vec<String> = kinds.iter().map(|kind| kind.name()).collect();
    let page = session::live_page(args.live, &names.join(", "), args.seed, &mut bench, &progress).await?;
    let engine = making::engine_of(bench.stack);
    progress.replan(steps::after_the_stack_is_known(&kinds, engine, args));
    let made = Box::pin(making::each(&bench, args, &kinds, &mut edges, &progress, &ending)).await;
    drop(bench);
    progress.step("removing the stack", steps::STACK_END);
    let closed = session.close().await;
    if let Some(page) = page {
        page.end(&args.out, !made.written.is_empty()).await;
    }
    progress.finish();
    let exit = print(args, &made.written, progress.elapsed())?;
    // What ended the reports comes first; whatever else went wrong then was most likely its doing.
    match made.failure {
        Some(failure) => Err(failure),
        None => closed.map(|()| exit),
    }
}

/// What repeats the call.
fn repeating(args: &Args, session: &Session) -> Vec<String> {
    let mut words = vec!["report".to_owned()];
    words.extend(args.kinds.iter().map(|kind| kind.name()));
    words.extend(traces::repeating(args.traces.as_deref()));
    let mut line = command_line::repeating(&words, &args.stack, session.stack.kind(), &session.images);
    if let Some(profile) = clap::ValueEnum::to_possible_value(&args.profile) {
        line.extend(["--profile".to_owned(), profile.get_name().to_owned()]);
    }
    line.extend(["--seed".to_owned(), args.seed.to_string()]);
    line
}

/// The exit code of a verdict.
pub(super) const fn exit_of(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Pass => Exit::Pass,
        Verdict::Fail => Exit::Missed,
        Verdict::Unknown => Exit::Unknown,
        Verdict::Broken => Exit::Broken,
    }
}

/// Everything that `--json` tells.
#[derive(Debug, serde::Serialize)]
struct Summary<'a> {
    schema: &'static str,
    verdict: &'static str,
    seconds: f64,
    reports: Vec<SummaryLine<'a>>,
}

#[derive(Debug, serde::Serialize)]
struct SummaryLine<'a> {
    folder: &'a Path,
    report: &'a report::Document,
}

fn print(args: &Args, written: &[Written], took: Duration) -> Result<Exit, Failure> {
    let exit = worst(written);
    if written.is_empty() {
        // Why there is nothing is told where errors are told.
    } else if args.json {
        let reports = written
            .iter()
            .map(|one| SummaryLine {
                folder: &one.dir,
                report: &one.document,
            })
            .collect();
        let verdict = written
            .iter()
            .max_by_key(|one| rank(one.document.verdict))
            .map_or("unknown", |one| one.document.verdict.word());
        let summary = Summary {
            schema: "soundcheck.reports/1",
            verdict,
            seconds: took.as_secs_f64(),
            reports,
        };
        stdout::line(&serde_json::to_string(&summary)?)?;
    } else {
        let no_color = std::env::var_os("NO_COLOR");
        let colour = report::terminal::Colour::choose(
            std::io::IsTerminal::is_terminal(&std::io::stdout()),
            no_color.as_deref(),
        );
        for one in written {
            stdout::line(&report::terminal::summary(&one.document, Some(&one.dir), colour))?;
        }
    }
    Ok(exit)
}

/// Broken beats fail, fail beats unknown, and unknown beats pass.
const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Unknown => 1,
        Verdict::Fail => 2,
        Verdict::Broken => 3,
    }
}

fn worst(written: &[Written]) -> Exit {
    let worst = written
        .iter()
        .map(|one| one.document.verdict)
        .max_by_key(|verdict| rank(*verdict));
    worst.map_or(Exit::Unknown, exit_of)
}
