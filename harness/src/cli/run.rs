//! `soundcheck run`: one scenario against the service, on the best stack there is.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::ending::{Ending, interruptible};
use super::exit::{Exit, Failure, OrExit as _};
use super::export;
use super::export_file::{ExportFile, Format};
use super::making::{self, Written};
use super::out_folder::try_out;
use super::progress::Progress;
use super::session::{self, Session};
use super::stack_args::StackArgs;
use super::{command_line, gone, report, stdout, steps, traces};
use crate::causes;
use crate::config::feeder::MAX_FILE_BYTES;
use crate::config::{ScenarioConfig, shipped};
use crate::export::junit::xml_of_run;
use crate::load::{make_room, shortages};
use crate::objectives::{self, Objective};
use crate::plan::{ScenarioPlan, scenario};
use crate::recording::Recording;
use crate::report::kinds::{self, judgement::Judgement};
use crate::run::{self, Bench};

/// Arguments of `soundcheck run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A scenario that ships, or a file with one.
    #[arg(required_unless_present = "list")]
    scenario: Option<String>,

    /// Name the scenarios that ship, and run nothing.
    #[arg(long, conflicts_with = "scenario")]
    list: bool,

    /// What the run is held to: a file of objectives. One that is missed ends with exit code 3.
    #[arg(long, value_name = "FILE")]
    objectives: Option<PathBuf>,

    #[command(flatten)]
    stack: StackArgs,

    /// Decides every random choice: data, arrivals, journeys.
    #[arg(long, default_value_t = 42)]
    seed: u64,

    /// The folder in which the recording gets a folder of its own.
    #[arg(long, default_value = "reports")]
    out: PathBuf,

    /// Serve a page on this machine that shows the run while it goes on; its address is printed.
    #[arg(long)]
    live: bool,

    /// Let the service send traces of all requests to this OpenTelemetry collector, by OTLP over HTTP, such as
    /// `http://127.0.0.1:4318`. They cost it time.
    #[arg(long, value_name = "URL", value_parser = traces::collector)]
    traces: Option<String>,

    /// Also write the verdict, the objectives, the books and the invariants to this file, as JUnit XML for CI.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Print one JSON object instead of a summary.
    #[arg(long)]
    json: bool,
}

/// Runs the scenario and reports on it.
///
/// # Errors
/// When the scenario or the stack cannot be used, or the run cannot be carried out.
pub async fn run(args: Args, is_quiet: bool) -> Result<Exit, Failure> {
    if args.list {
        list()?;
        return Ok(Exit::Pass);
    }
    let name = args.scenario.as_deref().unwrap_or_default();
    let scenario = read(name)?;
    let objectives = match (&args.objectives, shipped::objectives(name)) {
        (Some(path), _) => read_objectives(path, &scenario)?,
        (None, Some(text)) => objectives::parse(name, text, &scenario).or_exit(Exit::Bug)?,
        (None, None) => Vec::new(),
    };
    if scenario.until_broken && !objectives.iter().any(|objective| objective.abort_after.is_some()) {
        let message = "a scenario that goes on until an objective is broken needs one with `abort-after`: name a file of \
                       them with `--objectives`";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(message)));
    }
    // Before anything is started: what cannot be run is not begun.
    make_room(scenario.most_connections()).or_exit(Exit::Usage)?;
    let ending = Ending::default();
    interruptible(
        ending.clone(),
        Box::pin(carry_out(&args, name, &scenario, &objectives, is_quiet, ending)),
    )
    .await
}

fn list() -> Result<(), Failure> {
    let width = shipped::SCENARIOS.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, _) in shipped::SCENARIOS {
        let scenario = shipped::scenario(name).or_exit(Exit::Bug)?;
        stdout::line(&format!(
            "{name:<width$}  {:>4}  {}",
            humantime::format_duration(scenario.length()).to_string(),
            scenario.about
        ))?;
    }
    Ok(())
}

/// A file of this name, or else the scenario that ships under it.
pub(super) fn read(name: &str) -> Result<ScenarioConfig, Failure> {
    let path = Path::new(name);
    // A name alone means the one that ships, whatever lies in the folder.
    let is_shipped = shipped::SCENARIOS.iter().any(|(known, _)| *known == name);
    if is_shipped || !path.exists() {
        return shipped::scenario(name).or_exit(Exit::Usage);
    }
    ScenarioConfig::parse_with(name, &text_of("the scenario", path)?, &beside).or_exit(Exit::Usage)
}

/// A file that a scenario names, as far as it may be read.
fn beside(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut text)?;
    Ok(text)
}

fn read_objectives(path: &Path, scenario: &ScenarioConfig) -> Result<Vec<Objective>, Failure> {
    let text = text_of("the objectives", path)?;
    objectives::parse(&path.display().to_string(), &text, scenario).or_exit(Exit::Usage)
}

fn text_of(what: &str, path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|source| anyhow::Error::new(source).context(format!("cannot read {what} in {}", path.display())));
    text.or_exit(Exit::Usage)
}

async fn carry_out(
    args: &Args,
    name: &str,
    scenario: &ScenarioConfig,
    objectives: &[Objective],
    is_quiet: bool,
    ending: Ending,
) -> Result<Exit, Failure> {
    try_out(&args.out).or_exit(Exit::Usage)?;
    let junit = args.junit.as_deref().map(|path| ExportFile::check(path, Format::Junit));
    let junit = junit.transpose().or_exit(Exit::Usage)?;
    if let Some(junit) = &junit {
        junit.remove_earlier().or_exit(Exit::Usage)?;
    }
    let written = match objectives {
        [] => None,
        objectives => Some(objectives::to_yaml(objectives)?),
    };
    let plan = ScenarioPlan::new(scenario, written.as_deref(), args.seed)?;
    let estimate = plan.estimate(scenario.length()) + steps::REPORT + steps::STACK_END;
    let progress = Progress::new(steps::STACK + estimate, is_quiet);
    for shortage in shortages(scenario) {
        progress.note(&format!("warning: {shortage}"));
    }
    progress.step("starting the stack", steps::STACK);
    let session = Session::open(&args.stack, None, &progress, &ending.stop).await?;
    let mut words = vec!["run".to_owned(), name.to_owned()];
    if let Some(path) = &args.objectives {
        words.extend(["--objectives".to_owned(), path.display().to_string()]);
    }
    words.extend(traces::repeating(args.traces.as_deref()));
    let command = command_line::repeating(&words, &args.stack, session.stack.kind(), &session.images);
    let command = [command, vec!["--seed".to_owned(), args.seed.to_string()]].concat();
    let mut bench = Bench {
        traces: args.traces.clone(),
        ..session.bench(&progress, ending.stop.clone(), command)
    };
    let page = session::live_page(args.live, &scenario.name, args.seed, &mut bench, &progress).await?;
    let dir = args.out.join(making::folder_name(scenario::KIND, args.seed));
    let ended = match run::scenario(&bench, &plan, scenario, objectives, &dir).await {
        Ok(_) => None,
        Err(error) => Some(gone::failure(bench.stack, error).await),
    };
    // What was measured is reported, whatever ended it.
    let (step, on_it) = ("writing the report".to_owned(), move |dir: &Path| {
        report_on(dir, junit.as_ref())
    });
    let reported = making::report(dir.clone(), ended.is_none(), step, &progress, &ending, on_it).await;
    drop(bench);
    progress.step("removing the stack", steps::STACK_END);
    let closed = session.close().await;
    if let Some(page) = page {
        page.end(&dir, matches!(reported, Ok(Some(_)))).await;
    }
    progress.finish();
    // In the order in which they happened.
    let mut failures = Vec::from_iter(ended);
    let printed = match reported {
        Ok(Some(Reported { written, exported })) => {
            failures.extend(exported.err());
            print(args, &written)
        }
        Ok(None) => Ok(Exit::Unknown),
        Err(unwritten) => {
            failures.push(unwritten);
            Ok(Exit::Unknown)
        }
    };
    failures.extend(closed.err());
    let exit = printed.unwrap_or_else(|unprinted| {
        failures.push(unprinted);
        Exit::Unknown
    });
    first_of(failures, |text| progress.insist(text)).map_or(Ok(exit), Err)
}

/// What the process ends with: whatever failed later was most likely the first one's doing, and is told by `tell`.
fn first_of(failures: Vec<Failure>, mut tell: impl FnMut(&str)) -> Option<Failure> {
    let mut failures = failures.into_iter();
    let first = failures.next()?;
    for later in failures {
        tell(&format!("error after that: {}", causes::chain(later.error.as_ref())));
    }
    Some(first)
}

/// What is there to read of a run.
struct Reported {
    written: Written,
    /// Whether CI has its file, if it was to have one.
    exported: Result<(), Failure>,
}

/// Judges the recording once, for its report and for CI.
fn report_on(dir: &Path, junit: Option<&ExportFile>) -> Result<Reported, Failure> {
    let recording = Recording::open(dir).or_exit(Exit::Usage)?;
    let judgement = Judgement::of(&recording).or_exit(Exit::Usage)?;
    let document = kinds::of_run(&recording, &judgement).or_exit(Exit::Usage)?;
    let written = making::write(dir, &recording, document)?;
    // A report that is there is there, whatever becomes of the rest.
    let exported = junit.map_or(Ok(()), |junit| {
        let xml = xml_of_run(recording.manifest(), &judgement).map_err(export::failure)?;
        junit.write_text(&xml).map_err(export::failure)
    });
    Ok(Reported { written, exported })
}

fn print(args: &Args, written: &Written) -> Result<Exit, Failure> {
    if args.json {
        stdout::line(&crate::report::json::render(&written.document)?)?;
    } else {
        let no_color = std::env::var_os("NO_COLOR");
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        let colour = crate::report::terminal::Colour::choose(is_terminal, no_color.as_deref());
        let summary = crate::report::terminal::summary(&written.document, Some(&written.dir), colour);
        stdout::line(&summary)?;
    }
    Ok(report::exit_of(written.document.verdict))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::kinds::fixture::{Fixture, ms, whole};

    #[test]
    fn of_several_failures_the_first_decides_and_none_is_lost() {
        let failure = |exit, why: &'static str| Failure::new(exit, anyhow::anyhow!(why));
        let mut told = Vec::new();
        let failures = vec![
            failure(Exit::Usage, "no JUnit"),
            failure(Exit::NoStack, "a container stays"),
        ];
        let first = first_of(failures, |text| told.push(text.to_owned())).unwrap();
        assert_eq!(
            (first.exit, first.error.to_string().as_str()),
            (Exit::Usage, "no JUnit")
        );
        assert_eq!(told, ["error after that: a container stays"]);
        assert!(first_of(Vec::new(), |text| panic!("{text}")).is_none());
    }

    /// The folder of the file has gone while the run went on.
    #[test]
    fn a_report_is_there_even_if_ci_gets_nothing() {
        let fixture = Fixture::run(None);
        fixture.account(ms(5_000), whole());
        let dir = fixture.read().dir().to_owned();
        let gone = tempfile::tempdir().unwrap();
        let junit = ExportFile::check(&gone.path().join("junit.xml"), Format::Junit).unwrap();
        gone.close().unwrap();
        let reported = report_on(&dir, Some(&junit)).unwrap();
        assert_eq!(reported.exported.unwrap_err().exit, Exit::Usage);
        assert!(reported.written.dir.join("report.md").exists());
    }
}
