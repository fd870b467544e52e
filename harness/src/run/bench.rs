//! What every run stands on: the stack, the program under test, who cleans up, and who is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::RunError;
use super::live::Snapshot;
use crate::causes;
use crate::recording::event::NoteLevel;
use crate::recording::model::{Dependency, Manifest};
use crate::recording::{RecordingWriter, RunClock, environment};
use crate::stack::Stack;
use crate::target::Program;
use crate::watchdog::Watchdog;

/// Something that a person who waits wants to know.
#[derive(Clone, Debug)]
pub enum Moment {
    /// The next step begins, and about how long it takes.
    Step { label: String, estimate: Duration },
    /// How far the step is.
    Detail(String),
    /// A second of load is over.
    Second(Box<Snapshot>),
}

/// Who is told.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(Moment) + Send + Sync>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl Observer {
    /// Calls `tell` at every moment.
    pub fn new(tell: impl Fn(Moment) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// One that tells nobody.
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    /// Calls `tell` besides.
    #[must_use]
    pub fn and(self, tell: impl Fn(Moment) + Send + Sync + 'static) -> Self {
        Self::new(move |moment| {
            tell(moment.clone());
            self.tell(moment);
        })
    }

    /// Tells of a moment.
    pub fn tell(&self, moment: Moment) {
        (self.0)(moment);
    }

    pub(super) fn step(&self, label: impl Into<String>, estimate: Duration) {
        (self.0)(Moment::Step {
            label: label.into(),
            estimate,
        });
    }

    pub(super) fn second(&self, snapshot: Snapshot) {
        (self.0)(Moment::Second(Box::new(snapshot)));
    }

    pub(super) fn detail(&self, text: impl Into<String>) {
        (self.0)(Moment::Detail(text.into()));
    }
}

/// What every run stands on.
#[derive(Debug)]
pub struct Bench<'a> {
    pub stack: &'a dyn Stack,
    /// Why it is this stack, for the manifest.
    pub stack_reason: Option<String>,
    pub program: &'a Program,
    pub watchdog: &'a Watchdog,
    /// Configurations, logs and catalogues of the services; removed at the end.
    pub scratch: &'a Path,
    pub observer: Observer,
    /// Ends the run early; what was measured is kept.
    pub stop: CancellationToken,
    /// The command line that repeats the run, for the manifest, secrets masked.
    pub command: Vec<String>,
    /// The command line as it was typed, for the manifest, secrets masked.
    pub typed: Vec<String>,
    pub profile: Option<String>,
    /// Where a service alone under load sends its traces; experiments measure without.
    pub traces: Option<String>,
}

impl Bench<'_> {
    /// Everything that is known before the run begins.
    pub(super) fn manifest(&self, kind: &str, seed: u64, clock: RunClock) -> Manifest {
        let mut manifest = Manifest::new(kind, environment::tool(), seed, environment::read(), clock.anchor());
        manifest.command.clone_from(&self.command);
        manifest.typed.clone_from(&self.typed);
        manifest.profile.clone_from(&self.profile);
        manifest.stack = Some(self.stack.kind().to_string());
        manifest.stack_reason.clone_from(&self.stack_reason);
        manifest.dependencies = self
            .stack
            .engines()
            .iter()
            .map(|engine| Dependency {
                name: engine.engine.clone(),
                version: engine.version.clone(),
                image: engine.image.clone(),
                image_digest: engine.image_digest.clone(),
            })
            .collect();
        manifest
    }

    /// A name for a schema, prefix and topics that no other run on this stack has.
    pub(super) fn namespace(&self, clock: RunClock, place: u16) -> String {
        let born_ms = clock.anchor().unix_ns.unsigned_abs() / 1_000_000;
        format!("sc_{:x}_{:x}_{place}", std::process::id(), born_ms & 0xffff_ffff)
    }

    /// A path in the scratch folder.
    pub(super) fn scratch_file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }
}

/// Closes the recording of a run, however that went. One that ended early says so itself: whoever opens the folder later
/// must not take what is there for the whole.
///
/// # Errors
/// The run's own failure, or else that of closing.
pub(super) fn close(
    recording: &RecordingWriter,
    clock: RunClock,
    outcome: Result<(), RunError>,
) -> Result<(), RunError> {
    if let Err(error) = &outcome {
        let text = match error {
            RunError::Interrupted(_) => "the run was interrupted before its end".to_owned(),
            error => format!("the run ended before its time: {}", causes::chain(error)),
        };
        if let Err(unsaid) = recording.note(clock.now(), NoteLevel::Warning, text) {
            // Its reader will find it without checksums, which says the same.
            tracing::debug!(error = %unsaid, "the recording does not say why it ends");
        }
    }
    let closed = recording.close();
    outcome?;
    Ok(closed?)
}

/// Records an overview: no measurement, but which reports one call made and what each says.
///
/// # Errors
/// When the recording cannot be written.
pub fn overview(
    bench: &Bench<'_>,
    seed: u64,
    dir: &Path,
    summary_file: &str,
    summary: &[u8],
) -> Result<(), crate::recording::RecordError> {
    let clock = RunClock::start();
    let recording = RecordingWriter::create(dir, &bench.manifest("overview", seed, clock))?;
    recording.put(summary_file, summary)?;
    recording.close()
}
