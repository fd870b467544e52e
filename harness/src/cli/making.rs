//! Makes the reports of one call, one after the other, and sums them up: also when one of them ends early.

use std::path::{Path, PathBuf};

use super::ending::Ending;
use super::exit::{Exit, Failure, OrExit as _};
use super::progress::Progress;
use super::report::{Args, Kind};
use super::{gone, steps};
use crate::causes;
use crate::fault::{self, Edges};
use crate::plan;
use crate::plan::spec::Engine;
use crate::recording::store::VERDICT_FILE;
use crate::recording::{Recording, What, note_derived, put_derived};
use crate::report;
use crate::report::kinds::overview::{self, Missing};
use crate::run::{self, Bench, RunError};
use crate::stack::{Stack, StackKind};

/// A report that was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) dir: PathBuf,
    /// What a reader must know about the state of the recording.
    pub(super) notes: Vec<String>,
    pub(super) document: report::Document,
}

/// What came of a call.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Of a kind that ended early too, as far as it came.
    pub(super) written: Vec<Written>,
    pub(super) failure: Option<Failure>,
    /// Kinds without a whole report.
    missing: Vec<Missing>,
}

impl Made {
    /// The first line of `why` fits into a table; an error may end with a log.
    fn miss(&mut self, kind: Kind, why: &str) {
        self.missing.push(Missing {
            kind: kind.name(),
            why: why.lines().next().unwrap_or_default().to_owned(),
        });
    }
}

/// Makes the reports. What was measured is reported, whatever ended it.
pub(super) async fn each(
    bench: &Bench<'_>,
    args: &Args,
    kinds: &[Kind],
    edges: &mut Edges,
    progress: &Progress,
    ending: &Ending,
) -> Made {
    let mut made = Made::default();
    for kind in kinds {
        if made.failure.is_some() {
            made.miss(*kind, "not begun, since another report of this call ended early");
            continue;
        }
        let dir = args.out.join(folder_name(&kind.name(), args.seed));
        let ended = if bench.stop.is_cancelled() {
            let nothing = anyhow::anyhow!("interrupted; what was measured is kept in {}", args.out.display());
            Some(Failure::new(Exit::Interrupted, nothing))
        } else {
            match record(bench, *kind, args, edges, &dir).await {
                Ok(()) => None,
                Err(error) => Some(gone::failure(bench.stack, error).await),
            }
        };
        if let Some(failure) = ended {
            made.miss(
                *kind,
                &format!("ended early: {}", causes::chain(failure.error.as_ref())),
            );
            if dir.exists() {
                progress.note(&format!("what was measured is kept in {}", dir.display()));
            }
            made.failure = Some(failure);
        }
        let step = format!("{}: writing the report", kind.name());
        let is_whole = made.failure.is_none();
        match report(dir, is_whole, step, progress, ending, render).await {
            Ok(None) => {}
            Ok(Some(report)) => {
                progress.note(&format!(
                    "{}: {}",
                    report.document.title,
                    report.document.sentence.to_plain()
                ));
                made.written.push(report);
            }
            Err(unrendered) if made.failure.is_none() => {
                made.miss(
                    *kind,
                    &format!("not written: {}", causes::chain(unrendered.error.as_ref())),
                );
                made.failure = Some(unrendered);
            }
            // It ended before there was anything to report.
            Err(unrendered) => tracing::debug!(error = %unrendered.error, "no report of what ended early"),
        }
    }
    // An overview of nothing would tell nothing, and of the only report no more than that.
    if !made.written.is_empty() && kinds.len() > 1 {
        match sum_up(bench, args, &made, ending).await {
            Ok(overview) => made.written.push(overview),
            Err(failure) => drop(made.failure.get_or_insert(failure)),
        }
    }
    made
}

/// Lets `write` report on what was measured at `dir`; on what was cut short only where there was any load.
///
/// # Errors
/// Those of `write`; or there is no thread to be had.
pub(super) async fn report<T: Send + 'static>(
    dir: PathBuf,
    is_whole: bool,
    step: String,
    progress: &Progress,
    ending: &Ending,
    write: impl FnOnce(&Path) -> Result<T, Failure> + Send + 'static,
) -> Result<Option<T>, Failure> {
    let progress = progress.clone();
    let reporting = ending.reporting(move || {
        if !is_whole && !has_load(&dir) {
            return Ok(None);
        }
        progress.step(step, steps::REPORT);
        write(&dir).map(Some)
    });
    reporting.await
}

/// Whether any arrival was accounted for. A report of nothing would say nothing in many words.
fn has_load(dir: &Path) -> bool {
    let events = Recording::open(dir).and_then(|recording| recording.events());
    events.is_ok_and(|events| events.iter().any(|event| matches!(event.what, What::Accounting { .. })))
}

/// One page that links the reports of this call.
async fn sum_up(bench: &Bench<'_>, args: &Args, made: &Made, ending: &Ending) -> Result<Written, Failure> {
    let name = |dir: &Path| dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folders: Vec<String> = made.written.iter().map(|one| name(&one.dir)).collect();
    let reports = folders.iter().map(String::as_str);
    let mut summary = overview::Summary::of(reports.zip(made.written.iter().map(|one| &one.document)));
    summary.missing.clone_from(&made.missing);
    let dir = args.out.join(folder_name("overview", args.seed));
    run::overview(
        bench,
        args.seed,
        &dir,
        overview::SUMMARY_FILE,
        &serde_json::to_vec_pretty(&summary)?,
    )
    .map_err(Failure::of_record)?;
    ending.reporting(move || render(&dir)).await
}

async fn record(bench: &Bench<'_>, kind: Kind, args: &Args, edges: &mut Edges, dir: &Path) -> Result<(), RunError> {
    let engine = engine_of(bench.stack);
    match kind {
        Kind::Cache => run::experiment(bench, &plan::spec::cache(engine, args.profile, args.seed), dir)
            .await
            .map(drop),
        Kind::Index => run::experiment(bench, &plan::spec::index(args.profile, args.seed), dir)
            .await
            .map(drop),
        Kind::Incident => {
            let plan = plan::incident::plan(fault::drill::usual(bench.stack), args.profile, args.seed);
            run::incident(bench, &plan, edges, dir).await.map(drop)
        }
    }
}

/// The engine that a stack has the seats in.
pub(super) fn engine_of(stack: &dyn Stack) -> Engine {
    if stack.kind() == StackKind::Embedded {
        Engine::Sqlite
    } else {
        Engine::MySql
    }
}

/// Rebuilds the report of a recording from its folder, and writes it there.
///
/// # Errors
/// When the recording cannot be read or its report cannot be written.
pub(super) fn render(dir: &Path) -> Result<Written, Failure> {
    let recording = Recording::open(dir).or_exit(Exit::Usage)?;
    let document = report::kinds::document(&recording).or_exit(Exit::Usage)?;
    write(dir, &recording, document)
}

/// The same of a recording and its report.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(dir: &Path, recording: &Recording, document: report::Document) -> Result<Written, Failure> {
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

/// `<utc>-<kind>-<seed>`, as recordings are named.
pub(super) fn folder_name(kind: &str, seed: u64) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{now}-{kind}-{seed}")
}
