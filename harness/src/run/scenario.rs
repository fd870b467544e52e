//! Runs one scenario against one service: data, load as the scenario says, and then the books.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::arm::{LiveArm, STALENESS};
use super::bench::{self, Bench};
use super::clocks;
use super::cutting::{cut_every_second, finish_cutting, write_cut};
use super::data::data_facts;
use super::drain;
use super::error::RunError;
use super::live::Watcher;
use super::watching;
use crate::analysis::started;
use crate::config::{ScenarioConfig, Stage};
use crate::load::recorder::Keep;
use crate::load::{
    Cause, Gathered, LoadHandle, LoadOutcome, LoadPlan, NO_SOCKET, Progress, RanDry, Recorder, Selector, drive,
    read_settled, shortages,
};
use crate::objectives::{Judge, Objective, Second};
use crate::plan::ScenarioPlan;
use crate::plan::scenario::{GRACE, HOLD_TTL};
use crate::plan::spec::FINAL_STATE;
use crate::recording::event::{Edge, NoteLevel, What};
use crate::recording::model::{Rules, Variant};
use crate::recording::store::PLAN_FILE;
use crate::recording::{RecordingWriter, RunClock, SeriesKind};
use crate::scrape::poll::Latest;
use crate::scrape::{Sample, ScrapeError, Source};
use crate::units::Nanos;

/// The only variant.
const NAME: &str = "service";
const CAPACITY: u32 = 2_000;
/// Short enough that whoever is cut off at the end gives its place back before the books are read.
const ACTIVE_TTL: Duration = Duration::from_secs(20);

/// Runs `scenario`, held to `objectives`, into a new recording at `dir`; both are those of `plan`.
///
/// # Errors
/// When something that the run stands on fails; what was measured until then is kept.
pub async fn scenario(
    bench: &Bench<'_>,
    plan: &ScenarioPlan,
    scenario: &ScenarioConfig,
    objectives: &[Objective],
    dir: &Path,
) -> Result<PathBuf, RunError> {
    let clock = RunClock::start();
    let ms = |length: Duration| u64::try_from(length.as_millis()).ok();
    let mut manifest = bench.manifest(&plan.kind, plan.seed, clock);
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
    let run = Run {
        bench,
        plan,
        scenario,
        objectives,
        recording: &recording,
        clock,
        stop: bench.stop.child_token(),
    };
    let outcome = Box::pin(run.run()).await;
    bench::close(&recording, clock, outcome)?;
    Ok(dir.to_owned())
}

/// A run under way.
struct Run<'a> {
    bench: &'a Bench<'a>,
    plan: &'a ScenarioPlan,
    scenario: &'a ScenarioConfig,
    objectives: &'a [Objective],
    recording: &'a RecordingWriter,
    clock: RunClock,
    /// Ends the run early: somebody asked for that, or nothing can be recorded any more.
    stop: CancellationToken,
}

impl Run<'_> {
    async fn run(&self) -> Result<(), RunError> {
        self.step("creating data", self.plan.seeding_estimate());
        let capacity = CAPACITY.to_string();
        let seconds = |length: Duration| format!("{}s", length.as_secs());
        let (active, hold) = (seconds(ACTIVE_TTL), seconds(HOLD_TTL));
        let settings = [
            ("queue.capacity", capacity.as_str()),
            ("queue.active_ttl", active.as_str()),
            ("hold.ttl", hold.as_str()),
        ];
        let endpoints = self.bench.stack.service_endpoints(&self.bench.namespace(self.clock, 0));
        let data = &self.plan.dataset;
        let mut arm = LiveArm::prepare(
            self.bench,
            self.clock,
            (NAME, 0),
            settings,
            Some(&endpoints),
            None,
            data,
        )
        .await?;
        let facts = data_facts(data, vec![arm.place], &arm.catalogue().data_hash);
        self.recording
            .update_manifest(|manifest| manifest.datasets.push(facts))?;
        arm.launch(self.bench, self.recording, self.clock, 0).await?;
        clocks::compare(self.bench, &arm, self.recording, self.clock).await?;
        let (mut poller, service) = watching::poller(self.bench, self.recording, self.clock, &arm)?;
        let handle = LoadHandle::new();
        poller.watch(started::SOURCE, Started(handle.clone()));
        let loaded = self.load(&arm, service, handle).await;
        let drained = match &loaded {
            Ok(()) => self.settle(&arm).await,
            Err(_) => Ok(()),
        };
        let scraped = match poller.scrape_now().await {
            Ok(()) => poller.stop().await,
            failed => failed,
        };
        let stopped = arm.stop().await;
        loaded?;
        drained?;
        scraped?;
        stopped?;
        self.step("reading the final state", FINAL_STATE);
        arm.list_dead_letters(self.bench, self.recording, self.clock).await?;
        arm.audit(self.bench, self.recording, self.clock).await?;
        arm.remove(self.bench).await
    }

    fn step(&self, what: &str, estimate: Duration) {
        self.bench
            .observer
            .step(format!("{}: {what}", self.scenario.name), estimate);
    }

    fn event(&self, what: What) -> Result<(), RunError> {
        Ok(self.recording.event(self.clock.now(), what)?)
    }

    async fn load(&self, arm: &LiveArm, service: Latest, handle: LoadHandle) -> Result<(), RunError> {
        for shortage in shortages(self.scenario) {
            self.recording
                .note(self.clock.now(), NoteLevel::Warning, shortage.to_string())?;
        }
        let selector = Arc::new(Selector::new(0));
        let recorder = Arc::new(Recorder::new(
            vec![NAME.to_owned()],
            Arc::clone(&selector),
            Keep::Everything,
            self.clock,
        ));
        let attack = {
            let plan = LoadPlan {
                scenario: self.scenario.clone(),
                seed: self.plan.seed,
                nonce: 1,
                first_variant: 0,
            };
            let (target, recorder, handle) = (arm.target(), Arc::clone(&recorder), handle.clone());
            let history = Some(self.recording.history());
            tokio::spawn(async move { drive(plan, &[target], selector, recorder, history, handle).await })
        };
        let Some(zero) = handle.begun().await else {
            attack.await??;
            return Ok(());
        };
        // Seconds are counted from here on.
        write_cut(self.recording, &recorder)?;
        let hopeless = Hopeless::default();
        let cutter = tokio::spawn(cut_every_second(
            self.recording.clone(),
            Arc::clone(&recorder),
            self.clock,
            self.stop.clone(),
            self.look(
                Watcher::new(self.scenario.clone(), zero, service, handle.clone()),
                hopeless.look(self.judges(zero)),
            ),
        ));
        // At the end of the schedule there is nothing left to stop; before it, whoever is on the way still arrives.
        let staged = tokio::select! {
            staged = self.stages(zero) => staged.inspect_err(|_| handle.stop()),
            reason = hopeless.reason() => {
                handle.stop();
                self.event(What::EndedEarly { reason })
            }
            () = handle.ran_dry() => Ok(()),
        };
        let outcome = attack.await?;
        finish_cutting(cutter).await?;
        write_cut(self.recording, &recorder)?;
        let outcome = outcome?;
        if let Some(dry) = handle.dry() {
            let RanDry { feeder, rows, at } = dry;
            self.recording.event(at, What::RanDry { feeder, rows })?;
        }
        self.account(&outcome)?;
        self.failures(recorder.causes())?;
        staged
    }

    /// Shows what ended in each second to those who watch, and to `judge`.
    fn look<J>(&self, mut watcher: Watcher, mut judge: J) -> impl FnMut(&Gathered) + Send + use<J>
    where
        J: FnMut(&Gathered) + Send,
    {
        let (observer, clock) = (self.bench.observer.clone(), self.clock);
        move |gathered| {
            judge(gathered);
            observer.second(watcher.look(gathered, clock.now()));
        }
    }

    fn judges(&self, zero: Nanos) -> Vec<Judge> {
        let may_end_it = self
            .objectives
            .iter()
            .filter(|objective| objective.abort_after.is_some());
        may_end_it
            .map(|objective| Judge::new(objective, self.scenario, zero))
            .collect()
    }

    /// Writes down why requests failed, and apart from that what this machine could not send.
    fn failures(&self, causes: BTreeMap<Cause, u64>) -> Result<(), RunError> {
        let mut unsent = 0;
        let mut reason = None;
        for (cause, count) in causes {
            if let Some(why) = cause.text.strip_prefix(NO_SOCKET) {
                unsent += count;
                reason.get_or_insert(why.trim_start_matches(": ").to_owned());
            }
            if !cause.outcome.is_served() {
                self.event(What::Failed {
                    variant: cause.variant,
                    endpoint: cause.endpoint,
                    outcome: cause.outcome,
                    cause: cause.text,
                    count,
                })?;
            }
        }
        match reason {
            Some(reason) => self.event(What::OutOfSockets {
                requests: unsent,
                reason,
            }),
            None => Ok(()),
        }
    }

    /// Also of what was cut short: whoever ends a run early still has its books.
    fn account(&self, outcome: &LoadOutcome) -> Result<(), RunError> {
        for (account, counts) in &outcome.books {
            self.event(What::Accounting {
                variant: account.variant,
                slice: None,
                counts: *counts,
            })?;
        }
        Ok(())
    }

    /// Marks each stage at its moment of the schedule.
    async fn stages(&self, zero: Nanos) -> Result<(), RunError> {
        let mut end = zero;
        for stage in &self.scenario.stages {
            let begin = end;
            end = end.plus(stage.length);
            self.step(&stage.name, stage.length);
            self.recording.event(begin.max(zero), self.edge(stage, Edge::Begin))?;
            tokio::select! {
                () = tokio::time::sleep_until(self.clock.instant(end).into()) => {}
                () = self.stop.cancelled() => return Err(RunError::Interrupted(self.recording.dir().to_owned())),
            }
            self.recording.event(end, self.edge(stage, Edge::End))?;
        }
        Ok(())
    }

    fn edge(&self, stage: &Stage, edge: Edge) -> What {
        What::Phase {
            name: stage.name.clone(),
            edge,
        }
    }

    /// Reads the seat maps when nobody changes anything any more, and waits for what is still under way. A reader who is
    /// refused leaves less evidence, and no broken run.
    async fn settle(&self, arm: &LiveArm) -> Result<(), RunError> {
        self.step("waiting for outbox and holds to end", self.plan.drain_estimate());
        let history = self.recording.history();
        if let Err(error) = read_settled(&arm.target(), 0, &history, self.clock).await {
            let text = format!("{:#}", anyhow::Error::from(error));
            self.recording.note(self.clock.now(), NoteLevel::Info, text)?;
        }
        drain::drain(arm, self.recording, self.clock, HOLD_TTL + GRACE, &self.stop).await
    }
}

/// How many journeys the load has begun, by its own count.
struct Started(LoadHandle);

impl Source for Started {
    async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
        let Progress { scheduled, started, .. } = self.0.progress();
        let counter = |name: &str, count: u64| Sample::new(name, &[], SeriesKind::Counter, count as f64);
        Ok(vec![
            counter(started::SCHEDULED, scheduled),
            counter(started::STARTED, started),
        ])
    }
}

/// Whether there is any point in going on.
#[derive(Clone, Default)]
struct Hopeless(Arc<tokio::sync::watch::Sender<Option<String>>>);

impl Hopeless {
    /// Shows `judges` what ended in each second, also where that is nothing: silence moves windows on as well.
    fn look(&self, mut judges: Vec<Judge>) -> impl FnMut(&Gathered) + Send + use<> {
        let sender = Arc::clone(&self.0);
        move |gathered| {
            let ended: Vec<_> = gathered.cuts.iter().map(|cut| (&cut.tag, &cut.histogram)).collect();
            let second = Second {
                begin: gathered.start,
                length: gathered.length,
                ended: &ended,
            };
            for judge in &mut judges {
                judge.take(&second);
                if judge.is_hopeless() && sender.borrow().is_none() {
                    sender.send_replace(Some(reason(judge.objective())));
                }
            }
        }
    }

    /// Ends when there is none.
    async fn reason(&self) -> String {
        let mut watched = self.0.subscribe();
        match watched.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The sender lives as long as this.
            _ => std::future::pending().await,
        }
    }
}

fn reason(objective: &Objective) -> String {
    let after = objective.abort_after.unwrap_or_default();
    format!(
        "the objective `{}` ({} {}) was missed for {} without a break",
        objective.name,
        objective.of,
        objective.limit,
        humantime::format_duration(after)
    )
}
