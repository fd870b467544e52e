//! One service alone under load: what a run of a scenario and a drill share, from its data to its books.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::arm::{LiveArm, STALENESS};
use super::bench::Bench;
use super::clocks;
use super::data::data_facts;
use super::drain;
use super::error::RunError;
use super::logged;
use super::watching;
use crate::load::recorder::Keep;
use crate::load::{Cause, LoadError, LoadHandle, LoadOutcome, NO_SOCKET, Recorder, Selector, read_settled};
use crate::plan::Dataset;
use crate::plan::spec::{FINAL_STATE, GRACE, HOLD_TTL};
use crate::recording::event::{self, NoteLevel, What};
use crate::recording::model::{Rules, Variant};
use crate::recording::store::{PLAN_FILE, SLOWEST_FILE};
use crate::recording::{RecordingWriter, RunClock};
use crate::scrape::Poller;
use crate::scrape::poll::Latest;
use crate::stack::Endpoints;
use crate::units::Nanos;

/// The only variant.
pub(super) const NAME: &str = "service";
const CAPACITY: u32 = 2_000;
/// Short enough that whoever is cut off, by the end or by a fault, gives its place back before the books are read.
const ACTIVE_TTL: Duration = Duration::from_secs(20);

/// A service that is the only one of its recording.
pub(super) struct Alone<'a> {
    pub(super) bench: &'a Bench<'a>,
    /// For people who wait.
    pub(super) title: &'a str,
    pub(super) recording: &'a RecordingWriter,
    pub(super) clock: RunClock,
    /// Ends the run early: somebody asked for that, or nothing can be recorded any more.
    pub(super) stop: CancellationToken,
    /// The traces of the slowest requests so far.
    slow: Mutex<HashSet<String>>,
}

/// Begins the recording of `plan` at `dir`.
///
/// # Errors
/// When nothing can be written there.
pub(super) fn record(
    bench: &Bench<'_>,
    kind: &str,
    seed: u64,
    plan: &impl Serialize,
    clock: RunClock,
    dir: &Path,
) -> Result<RecordingWriter, RunError> {
    let ms = |length: Duration| u64::try_from(length.as_millis()).ok();
    let mut manifest = bench.manifest(kind, seed, clock);
    manifest.variants = vec![Variant {
        rules: Rules {
            queue_capacity: Some(CAPACITY),
            hold_ttl_ms: ms(HOLD_TTL),
            active_ttl_ms: ms(ACTIVE_TTL),
            grace_ms: ms(GRACE),
            drain_ms: ms(drain::WITHIN),
            staleness_ms: ms(STALENESS),
            outbox: Some(true),
        },
        ..Variant::named(NAME)
    }];
    let recording = RecordingWriter::create(dir, &manifest)?;
    recording.put(PLAN_FILE, serde_yaml::to_string(plan)?.as_bytes())?;
    Ok(recording)
}

/// One that takes everything that this service is asked.
pub(super) fn recorder(clock: RunClock) -> (Arc<Selector>, Arc<Recorder>) {
    let selector = Arc::new(Selector::new(0));
    let recorder = Recorder::new(vec![NAME.to_owned()], Arc::clone(&selector), Keep::Everything, clock);
    (selector, Arc::new(recorder))
}

/// Why requests failed, and apart from that what this machine could not send; both as the recording has it.
///
/// In an experiment too: what was never sent is no more a variant's failure than it is a lone service's.
pub(super) fn failures(causes: BTreeMap<Cause, u64>) -> Vec<What> {
    let mut found = Vec::new();
    let mut unsent = 0_u64;
    let mut reason = None;
    for (cause, count) in causes {
        if let Some(why) = cause.text.strip_prefix(NO_SOCKET) {
            unsent = unsent.saturating_add(count);
            reason.get_or_insert_with(|| why.trim_start_matches(": ").to_owned());
        }
        if !cause.outcome.is_served() {
            found.push(What::Failed {
                variant: cause.variant,
                endpoint: cause.endpoint,
                outcome: cause.outcome,
                cause: cause.text,
                count,
            });
        }
    }
    found.extend(reason.map(|reason| What::OutOfSockets {
        requests: unsent,
        reason,
    }));
    found
}

/// A load under way.
pub(super) struct Attack {
    task: JoinHandle<Result<LoadOutcome, LoadError>>,
    broke: CancellationToken,
}

impl Attack {
    pub(super) fn begin(load: impl Future<Output = Result<LoadOutcome, LoadError>> + Send + 'static) -> Self {
        let broke = CancellationToken::new();
        // Also when it panics.
        let breaks = broke.clone().drop_guard();
        let task = tokio::spawn(async move {
            let outcome = load.await;
            if outcome.is_ok() {
                breaks.disarm();
            }
            outcome
        });
        Self { task, broke }
    }

    /// Ends when the load has failed, so that nobody waits for the end of its schedule. Then [`Self::outcome`] says how.
    pub(super) async fn broke(&self) {
        self.broke.cancelled().await;
    }

    /// What it came to, once it is over.
    ///
    /// # Errors
    /// What went wrong.
    pub(super) async fn outcome(self) -> Result<LoadOutcome, RunError> {
        Ok(self.task.await??)
    }
}

impl<'a> Alone<'a> {
    pub(super) fn new(bench: &'a Bench<'a>, title: &'a str, recording: &'a RecordingWriter, clock: RunClock) -> Self {
        Self {
            bench,
            title,
            recording,
            clock,
            stop: bench.stop.child_token(),
            slow: Mutex::default(),
        }
    }
}

impl Alone<'_> {
    pub(super) fn step(&self, what: &str, estimate: Duration) {
        self.bench.observer.step(format!("{}: {what}", self.title), estimate);
    }

    pub(super) fn event(&self, what: What) -> Result<(), RunError> {
        Ok(self.recording.event(self.clock.now(), what)?)
    }

    /// Says so when the run is to end.
    ///
    /// # Errors
    /// [`RunError::Interrupted`] then.
    pub(super) fn check_stop(&self) -> Result<(), RunError> {
        match self.stop.is_cancelled() {
            true => Err(self.interrupted()),
            false => Ok(()),
        }
    }

    /// What a run that is to end fails with.
    pub(super) fn interrupted(&self) -> RunError {
        RunError::Interrupted(self.recording.dir().to_owned())
    }

    /// Waits until the schedule begins; `None` when the load was ended before, be it because the run is to end.
    pub(super) async fn begun(&self, handle: &LoadHandle) -> Option<Nanos> {
        tokio::select! {
            zero = handle.begun() => zero,
            () = self.stop.cancelled() => {
                handle.stop_now();
                None
            }
        }
    }

    /// Creates the data and starts the service, which reaches its servers at `endpoints`; also begins to scrape all of
    /// them.
    ///
    /// # Errors
    /// When one of them does not answer, nothing can be recorded, or the run is to end.
    pub(super) async fn start(
        &self,
        endpoints: &Endpoints,
        dataset: &Dataset,
    ) -> Result<(LiveArm, Poller, Latest), RunError> {
        // Whoever is dropped in the midst of it ends its process with it, and its data goes with the stack or the next sweep.
        tokio::select! {
            started = self.prepare(endpoints, dataset) => started,
            () = self.stop.cancelled() => Err(self.interrupted()),
        }
    }

    async fn prepare(&self, endpoints: &Endpoints, dataset: &Dataset) -> Result<(LiveArm, Poller, Latest), RunError> {
        let capacity = CAPACITY.to_string();
        let seconds = |length: Duration| format!("{}s", length.as_secs());
        let (active, hold) = (seconds(ACTIVE_TTL), seconds(HOLD_TTL));
        let settings = [
            ("queue.capacity", capacity.as_str()),
            ("queue.active_ttl", active.as_str()),
            ("hold.ttl", hold.as_str()),
        ];
        // Only where it is asked for: an older build may not know the key.
        let traces = self
            .bench
            .traces
            .as_deref()
            .map(|address| ("tracing.otlp_endpoint", address));
        let variant = (NAME, 0);
        let mut arm = LiveArm::prepare(
            self.bench,
            self.clock,
            variant,
            settings.into_iter().chain(traces),
            Some(endpoints),
            None,
            dataset,
        )
        .await?;
        let facts = data_facts(dataset, vec![arm.place], &arm.catalogue().data_hash);
        self.recording
            .update_manifest(|manifest| manifest.datasets.push(facts))?;
        arm.launch(self.bench, self.recording, self.clock, 0).await?;
        clocks::compare(self.bench, &arm, self.recording, self.clock).await?;
        let (poller, service) = watching::poller(self.bench, self.recording, self.clock, &arm)?;
        Ok((arm, poller, service))
    }

    /// Ends what [`Self::start`] began once the load is over, which came to `loaded`, and reads the final state.
    ///
    /// # Errors
    /// With what went wrong first.
    pub(super) async fn end(
        &self,
        mut arm: LiveArm,
        mut poller: Poller,
        settling: Duration,
        loaded: Result<(), RunError>,
    ) -> Result<(), RunError> {
        let drained = match &loaded {
            Ok(()) => self.settle(&arm, settling).await,
            Err(_) => Ok(()),
        };
        let scraped = match poller.scrape_now().await {
            Ok(()) => poller.stop().await,
            failed => failed,
        };
        let log = arm.log();
        let stopped = arm.stop().await;
        let kept = self.keep_log_of_slowest(log).await;
        loaded?;
        drained?;
        scraped?;
        stopped?;
        kept?;
        self.step("reading the final state", FINAL_STATE);
        arm.list_dead_letters(self.bench, self.recording, self.clock).await?;
        arm.audit(self.bench, self.recording, self.clock).await?;
        arm.remove(self.bench).await
    }

    /// Also of what was cut short: whoever ends a run early still has its books.
    pub(super) fn account(&self, outcome: &LoadOutcome) -> Result<(), RunError> {
        for (account, counts) in &outcome.books {
            self.event(What::Accounting {
                variant: account.variant,
                slice: None,
                counts: *counts,
            })?;
        }
        Ok(())
    }

    /// Writes down why requests failed, and what was never sent.
    pub(super) fn failures(&self, causes: BTreeMap<Cause, u64>) -> Result<(), RunError> {
        failures(causes).into_iter().try_for_each(|what| self.event(what))
    }

    /// Writes down the slowest requests since the last time.
    pub(super) fn slowest(&self, recorder: &Recorder) -> Result<(), RunError> {
        for slow in recorder.take_slowest() {
            let trace = format!("{:032x}", slow.trace);
            self.slow
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(trace.clone());
            let what = What::Slow(event::Slow {
                variant: slow.variant,
                endpoint: slow.endpoint,
                outcome: slow.outcome,
                sent: slow.sent,
                took: Nanos::from_duration(slow.took),
                trace,
                span: format!("{:016x}", slow.span),
            });
            self.recording.event(slow.sent.plus(slow.took), what)?;
        }
        Ok(())
    }

    /// Keeps what the service said of the slowest requests and of their journeys, from the `log` that nobody sees later.
    async fn keep_log_of_slowest(&self, log: PathBuf) -> Result<(), RunError> {
        let slow = std::mem::take(&mut *self.slow.lock().unwrap_or_else(PoisonError::into_inner));
        if slow.is_empty() {
            return Ok(());
        }
        let path = log.clone();
        let read = move || logged::lines_of(&slow, BufReader::new(File::open(&log)?));
        let lines = tokio::task::spawn_blocking(read).await?;
        let lines = lines.map_err(|source| RunError::File { path, source })?;
        Ok(self.recording.put(SLOWEST_FILE, &lines)?)
    }

    /// Reads the seat maps when nobody changes anything any more, and waits for what is still under way. A reader who is
    /// refused leaves less evidence, and no broken run.
    async fn settle(&self, arm: &LiveArm, estimate: Duration) -> Result<(), RunError> {
        self.step("waiting for outbox and holds to end", estimate);
        let history = self.recording.history();
        if let Err(error) = read_settled(&arm.target(), 0, &history, self.clock).await {
            let text = format!("{:#}", anyhow::Error::from(error));
            self.recording.note(self.clock.now(), NoteLevel::Info, text)?;
        }
        drain::drain(arm, self.recording, self.clock, HOLD_TTL + GRACE, &self.stop).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Endpoint, Outcome};

    #[test]
    fn what_was_never_sent_is_told_apart_from_what_failed() {
        let cause = |outcome, text: &str| Cause {
            variant: 1,
            endpoint: Endpoint::Hold,
            outcome,
            text: text.to_owned(),
        };
        let full = format!("{NO_SOCKET}: too many open files");
        let causes = BTreeMap::from([
            (cause(Outcome::Lost, &full), 3),
            (cause(Outcome::Lost, &format!("{NO_SOCKET}: no address left")), 2),
            (cause(Outcome::Refused, "409 hold-gone"), 7),
            (cause(Outcome::TimeOut, "no answer in time"), 4),
        ]);
        let found = failures(causes);
        let failed: Vec<(&str, u64)> = found
            .iter()
            .filter_map(|what| match what {
                What::Failed { cause, count, .. } => Some((cause.as_str(), *count)),
                _ => None,
            })
            .collect();
        // What the service refused by its rules was served.
        assert_eq!(failed.len(), 3, "{failed:?}");
        assert!(failed.contains(&(full.as_str(), 3)) && failed.contains(&("no answer in time", 4)));
        let unsent: Vec<&What> = found
            .iter()
            .filter(|what| matches!(what, What::OutOfSockets { .. }))
            .collect();
        assert!(
            matches!(unsent[..], [What::OutOfSockets { requests: 5, .. }]),
            "{unsent:?}"
        );
        assert_eq!(failures(BTreeMap::new()), []);
    }

    #[tokio::test]
    async fn a_load_that_fails_keeps_nobody_waiting() {
        let failed = Attack::begin(async { Err(LoadError::Timer(std::io::Error::other("no timer"))) });
        failed.broke().await;
        assert!(failed.outcome().await.is_err());
        let panicked = Attack::begin(async { panic!("a bug") });
        panicked.broke().await;
        assert!(panicked.outcome().await.is_err());
    }
}
