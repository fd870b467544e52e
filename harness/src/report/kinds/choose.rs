//! From a recording to the report of its kind.

use std::path::PathBuf;

use super::context::Context;
use super::judgement::Judgement;
use super::{cache, common, incident, index, overview, run};

use crate::analysis::experiment::Experiment;
use crate::plan::ExperimentPlan;
use crate::recording::{RecordError, Recording};
use crate::report::{Badges, Document, GotWorse, Text, Verdict};
use crate::verdict::{ledger, validity};

/// Why a recording has no report.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// A file of the recording cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is no plan, so nobody knows what was compared.
    #[error("{0} holds no plan.yaml, so nobody knows what was compared; record it again")]
    NoPlan(PathBuf),
    /// The plan is of another form.
    #[error(
        "cannot read {}/plan.yaml, without which nobody knows what was compared; restore it from a copy, or record again",
        .dir.display()
    )]
    Plan {
        dir: PathBuf,
        #[source]
        source: serde_yaml::Error,
    },
    /// The plan of a run without its scenario.
    #[error(
        "{}/plan.yaml holds no scenario that can be read, without which nobody knows what was offered; restore it from a copy, or record again",
        .dir.display()
    )]
    Scenario {
        dir: PathBuf,
        #[source]
        source: crate::config::ConfigError,
    },
    /// The overview without its summary.
    #[error(
        "cannot read {path}, without which an overview has nothing to show; restore it from a copy, or record again"
    )]
    Summary {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A kind that this version has no report for.
    #[error(
        "{dir} is a recording of kind `{kind}`, for which this version has no report; known are cache, index, incident, run, overview"
    )]
    UnknownKind { dir: PathBuf, kind: String },
}

/// The report of a recording.
///
/// # Errors
/// When the recording cannot be read, or its kind is unknown.
pub fn document(recording: &Recording) -> Result<Document, KindError> {
    let mut document = match recording.manifest().kind.as_str() {
        "cache" | "index" => experiment(recording),
        "incident" => incident::document(recording),
        "run" => return of_run(recording, &Judgement::of(recording)?),
        "overview" => overview::document(recording),
        other => Err(KindError::UnknownKind {
            dir: recording.dir().to_owned(),
            kind: other.to_owned(),
        }),
    }?;
    note_state(recording, &mut document);
    Ok(document)
}

/// The report of a run that was judged already: the ledger of a long one takes its time.
///
/// # Errors
/// When the recording cannot be read.
pub fn of_run(recording: &Recording, judgement: &Judgement) -> Result<Document, KindError> {
    let mut document = run::document(recording, judgement)?;
    note_state(recording, &mut document);
    Ok(document)
}

/// However little is left of a recording, its report says that it is not all.
fn note_state(recording: &Recording, document: &mut Document) {
    let state = recording.notes().iter();
    document.notes.extend(state.map(|note| Text::plain(note.clone())));
}

fn experiment(recording: &Recording) -> Result<Document, KindError> {
    let text = recording
        .plan()?
        .ok_or_else(|| KindError::NoPlan(recording.dir().to_owned()))?;
    let plan: ExperimentPlan = serde_yaml::from_str(&text).map_err(|source| KindError::Plan {
        dir: recording.dir().to_owned(),
        source,
    })?;
    let experiment = Experiment::of(recording)?;
    let ledger = ledger::verify(recording)?;
    let validity = validity::validity(recording)?;
    let staleness = if plan.kind == "cache" {
        ledger::staleness_of_reads(recording)?
    } else {
        Vec::new()
    };
    let context = Context {
        recording,
        plan: &plan,
        experiment: &experiment,
        ledger: &ledger,
        doubts: validity.doubts,
        lag: validity.lag,
        late_p99: validity.late_p99,
        staleness,
    };
    Ok(if plan.kind == "index" {
        index::document(&context)
    } else {
        cache::document(&context)
    })
}

/// A document with its head and nothing said.
pub(super) fn blank(recording: &Recording, title: &str, badges: Badges) -> Document {
    let manifest = recording.manifest();
    Document {
        title: title.to_owned(),
        kind: manifest.kind.clone(),
        verdict: Verdict::Unknown,
        sentence: Text::default(),
        mark: common::mark(manifest),
        badges,
        effects: Vec::new(),
        environment: Some(common::environment(manifest)),
        recorded: Some(common::recorded(manifest)),
        command: common::command(manifest),
        sections: Vec::new(),
        got_worse: GotWorse::unknown("nothing was compared"),
        raw: common::raw(recording),
        notes: Vec::new(),
    }
}
