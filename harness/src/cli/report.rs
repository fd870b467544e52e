//! `soundcheck report`: runs the experiments and the drill on the best stack there is, and prints where the reports are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure, OrExit};
use super::interrupt;
use super::out_folder::try_out;
use super::progress::Progress;
use super::scratch::Scratch;
use super::stack_args::StackArgs;
use super::stdout;
use crate::causes;
use crate::plan::spec::Engine;
use crate::plan::{self, Profile};
use crate::recording::store::VERDICT_FILE;
use crate::recording::{Recording, note_derived, put_derived};
use crate::report::kinds::overview;
use crate::report::{self, Verdict};
use crate::run::{self, Bench, Moment, RunError};
use crate::stack::options::StackEvent;
use crate::stack::{self, Stack, StackKind};
use crate::target::Program;
use crate::watchdog::Watchdog;

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
}

/// Arguments of `soundcheck report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which reports; all of them when none is named.
    #[arg(value_enum)]
    kinds: Vec<Kind>,

    #[command(flatten)]
    stack: StackArgs,

    /// How much time to take.
    #[arg(long, value_enum, default_value = "quick")]
    profile: Profile,

    /// Decides every random choice: data, arrivals, order of slices.
    #[arg(long, default_value_t = 42)]
    seed: u64,

    /// The folder in which each recording gets a folder of its own.
    #[arg(long, default_value = "reports")]
    out: PathBuf,

    /// Print one JSON object instead of a summary.
    #[arg(long)]
    json: bool,
}

/// What the stack needs to start, from runs on two cores.
const STACK_ESTIMATE: Duration = Duration::from_secs(15);

/// Runs the reports one after the other and sums them up.
///
/// # Errors
/// When the stack is not available, or a run cannot be carried out.
pub async fn run(args: Args, is_quiet: bool) -> Result<Exit, Failure> {
    let stop = CancellationToken::new();
    let result = tokio::select! {
        // The second wish to end drops the run: guards heal, and the watchdog cleans up behind them.
        ended = listen(stop.clone()) => {
            ended?;
            return Ok(Exit::Interrupted);
        }
        result = Box::pin(reports(&args, is_quiet, stop.clone())) => result,
    };
    match result {
        Err(failure) if stop.is_cancelled() && failure.exit == Exit::Interrupted => {
            say(&causes::chain(failure.error.as_ref()));
            Ok(Exit::Interrupted)
        }
        result => result,
    }
}

/// Asks the run to end at the first wish, so that the recording is closed and still has its report; returns at the
/// second.
async fn listen(stop: CancellationToken) -> std::io::Result<()> {
    interrupt::requested().await?;
    say("ending: the recording is being closed; once more ends at once");
    stop.cancel();
    interrupt::requested().await
}

async fn reports(args: &Args, is_quiet: bool, stop: CancellationToken) -> Result<Exit, Failure> {
    let kinds = if args.kinds.is_empty() {
        Kind::ALL.to_vec()
    } else {
        args.kinds.clone()
    };
    try_out(&args.out).or_exit(Exit::Usage)?;
    // The estimate is of the dearer stack until the stack is known.
    let total = STACK_ESTIMATE
        + kinds
            .iter()
            .map(|kind| estimate(*kind, Engine::MySql, args))
            .sum::<Duration>();
    let progress = Progress::new(total, is_quiet);
    progress.step("starting the stack", STACK_ESTIMATE);
    let reason = std::sync::Arc::new(std::sync::Mutex::new(None));
    let observer = {
        let (progress, reason) = (progress.clone(), std::sync::Arc::clone(&reason));
        stack::Observer::new(move |event| {
            if let StackEvent::Chosen { why, .. } = event {
                *reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why.clone());
            }
            progress.note(&event.to_string());
        })
    };
    let options = args.stack.options(observer)?;
    let stack = tokio::select! {
        opened = stack::open(&options) => opened.map_err(Failure::of_stack)?,
        () = stop.cancelled() => {
            let nothing = anyhow::anyhow!("interrupted before anything was measured");
            return Err(Failure::new(Exit::Interrupted, nothing));
        }
    };
    let watchdog = Watchdog::start(&options.program)?;
    let scratch = Scratch::new(&watchdog)?;
    let program = Program::tool(&options.program);
    let bench = Bench {
        stack: stack.as_ref(),
        stack_reason: reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone(),
        program: &program,
        watchdog: &watchdog,
        scratch: scratch.path(),
        observer: tell(&progress),
        stop,
        command: command_line(args, stack.kind()),
        profile: clap::ValueEnum::to_possible_value(&args.profile).map(|value| value.get_name().to_owned()),
    };
    let result = Box::pin(each(&bench, args, &kinds, &progress)).await;
    drop(bench);
    let closed = stack.close().await.map_err(Failure::of_stack);
    let removed = scratch.close();
    progress.finish();
    // What ended the run comes first; what else went wrong was most likely its doing.
    let written = result?;
    closed?;
    removed?;
    print(args, &written, progress.elapsed())
}

async fn each(bench: &Bench<'_>, args: &Args, kinds: &[Kind], progress: &Progress) -> Result<Vec<Written>, Failure> {
    let mut written = Vec::new();
    for kind in kinds {
        let name = clap::ValueEnum::to_possible_value(kind)
            .map_or_else(|| "run".to_owned(), |value| value.get_name().to_owned());
        let dir = args.out.join(folder_name(&name, args.seed));
        let ran = record(bench, *kind, args, &dir).await;
        match ran {
            Ok(()) => {}
            Err(RunError::Interrupted(kept)) => {
                // What was measured until then still has a report.
                if let Ok(interrupted) = render(&kept) {
                    progress.note(&format!("report: {}", interrupted.dir.join("report.html").display()));
                }
                return Err(Failure::new(Exit::Interrupted, RunError::Interrupted(kept)));
            }
            Err(error) => {
                if dir.exists() {
                    say(&format!("what was measured is kept in {}", dir.display()));
                }
                return Err(Failure::of_run(error));
            }
        }
        let report = render(&dir)?;
        progress.note(&format!(
            "{}: {}",
            report.document.title,
            report.document.sentence.to_plain()
        ));
        written.push(report);
    }
    if written.len() > 1 {
        written.push(sum_up(bench, args, &written)?);
    }
    Ok(written)
}

/// One page that links the reports of this call.
fn sum_up(bench: &Bench<'_>, args: &Args, written: &[Written]) -> Result<Written, Failure> {
    let name = |dir: &Path| dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folders: Vec<String> = written.iter().map(|one| name(&one.dir)).collect();
    let summary = overview::Summary::of(
        folders
            .iter()
            .map(String::as_str)
            .zip(written.iter().map(|one| &one.document)),
    );
    let dir = args.out.join(folder_name("overview", args.seed));
    run::overview(
        bench,
        args.seed,
        &dir,
        overview::SUMMARY_FILE,
        &serde_json::to_vec_pretty(&summary)?,
    )
    .map_err(Failure::of_record)?;
    render(&dir)
}

async fn record(bench: &Bench<'_>, kind: Kind, args: &Args, dir: &Path) -> Result<(), RunError> {
    let engine = engine_of(bench.stack);
    match kind {
        Kind::Cache => run::experiment(bench, &plan::spec::cache(engine, args.profile, args.seed), dir)
            .await
            .map(drop),
        Kind::Index => run::experiment(bench, &plan::spec::index(args.profile, args.seed), dir)
            .await
            .map(drop),
        Kind::Incident => run::incident(bench, &plan::incident::plan(engine, args.profile, args.seed), dir)
            .await
            .map(drop),
    }
}

fn engine_of(stack: &dyn Stack) -> Engine {
    if stack.kind() == StackKind::Embedded {
        Engine::Sqlite
    } else {
        Engine::MySql
    }
}

fn estimate(kind: Kind, engine: Engine, args: &Args) -> Duration {
    match kind {
        Kind::Cache => plan::spec::cache(engine, args.profile, args.seed).estimate(),
        Kind::Index => plan::spec::index(args.profile, args.seed).estimate(),
        Kind::Incident => plan::incident::plan(engine, args.profile, args.seed).estimate(),
    }
}

/// A report that was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) dir: PathBuf,
    /// What a reader must know about the state of the recording.
    pub(super) notes: Vec<String>,
    pub(super) document: report::Document,
}

/// Rebuilds the report of a recording from its folder, and writes it there.
///
/// # Errors
/// When the recording cannot be read or its report cannot be written.
pub(super) fn render(dir: &Path) -> Result<Written, Failure> {
    let recording = Recording::open(dir).or_exit(Exit::Usage)?;
    let document = report::kinds::document(&recording).or_exit(Exit::Usage)?;
    let files = report::write(&document, dir).map_err(Failure::of_report)?;
    note_derived(dir, &files).map_err(Failure::of_record)?;
    // The same for machines, with the numbers in their base units.
    let mut verdict = report::json::render(&document)?.into_bytes();
    verdict.push(b'\n');
    put_derived(dir, VERDICT_FILE, &verdict).map_err(Failure::of_record)?;
    Ok(Written {
        dir: dir.to_owned(),
        notes: recording.notes().to_vec(),
        document,
    })
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
    if args.json {
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

fn tell(progress: &Progress) -> run::Observer {
    let progress = progress.clone();
    run::Observer::new(move |moment| match moment {
        Moment::Step { label, estimate } => progress.step(label, estimate),
        Moment::Detail(text) => progress.detail(&text),
    })
}

/// What repeats the run: the stack as it was chosen, not as it was asked for.
fn command_line(args: &Args, stack: StackKind) -> Vec<String> {
    let mut line = vec!["soundcheck".to_owned(), "report".to_owned()];
    let name =
        |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| value().map(|value| value.get_name().to_owned());
    line.extend(
        args.kinds
            .iter()
            .filter_map(|kind| name(&|| clap::ValueEnum::to_possible_value(kind))),
    );
    line.push("--stack".to_owned());
    line.push(stack.to_string());
    if let Some(profile) = name(&|| clap::ValueEnum::to_possible_value(&args.profile)) {
        line.extend(["--profile".to_owned(), profile]);
    }
    line.extend(["--seed".to_owned(), args.seed.to_string()]);
    line
}

/// `<utc>-<kind>-<seed>`, as recordings are named.
fn folder_name(kind: &str, seed: u64) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{now}-{kind}-{seed}")
}

#[expect(clippy::print_stderr, reason = "terminal output")]
fn say(text: &str) {
    eprintln!("{text}");
}
