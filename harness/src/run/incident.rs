//! Runs a drill: bookings at a steady rate, one fault injected and healed, and then the books.

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
use super::live::{Broken, Watcher};
use super::watching;
use super::ways::{self, WaySource};
use crate::causes;
use crate::config::{JourneyKind, ScenarioConfig};
use crate::fault::{self, Edges};
use crate::load::recorder::Keep;
use crate::load::{LoadHandle, LoadPlan, Recorder, Selector, drive, read_settled};
use crate::plan::incident::{GRACE, HOLD_TTL};
use crate::plan::spec::FINAL_STATE;
use crate::plan::{IncidentPlan, offered_fact};
use crate::recording::event::{Edge, FaultStep, NoteLevel, What};
use crate::recording::model::{Rules, Variant};
use crate::recording::{RecordingWriter, RunClock};
use crate::scrape::poll::Latest;
use crate::units::{Nanos, Percent, RatePerSec};

/// The only variant.
const NAME: &str = "service";
const CAPACITY: u32 = 2_000;
/// Short enough that a journey cut off by the fault gives its place back within the drill.
const ACTIVE_TTL: Duration = Duration::from_secs(20);
const PROBE_USERS: u32 = 16;

/// Runs `plan` into a new recording at `dir`. The service reaches its servers through `edges` as far as proxies can stand
/// there.
///
/// # Errors
/// When something that the run stands on fails; what was measured until then is kept, and the fault is healed.
pub async fn incident(
    bench: &Bench<'_>,
    plan: &IncidentPlan,
    edges: &mut Edges,
    dir: &Path,
) -> Result<PathBuf, RunError> {
    let clock = RunClock::start();
    let mut manifest = bench.manifest(&plan.kind, plan.seed, clock);
    manifest.variants = vec![Variant {
        rules: Rules {
            queue_capacity: Some(CAPACITY),
            hold_ttl_ms: Some(u64::try_from(HOLD_TTL.as_millis()).unwrap_or(u64::MAX)),
            active_ttl_ms: Some(u64::try_from(ACTIVE_TTL.as_millis()).unwrap_or(u64::MAX)),
            grace_ms: Some(u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX)),
            drain_ms: Some(u64::try_from(drain::WITHIN.as_millis()).unwrap_or(u64::MAX)),
            staleness_ms: u64::try_from(STALENESS.as_millis()).ok(),
            outbox: Some(true),
        },
        ..Variant::named(NAME)
    }];
    let recording = RecordingWriter::create(dir, &manifest)?;
    recording.put(
        crate::recording::store::PLAN_FILE,
        serde_yaml::to_string(plan)?.as_bytes(),
    )?;
    let drill = Drill {
        bench,
        plan,
        recording: &recording,
        clock,
        stop: bench.stop.child_token(),
    };
    let outcome = drill.run(edges).await;
    bench::close(&recording, clock, outcome)?;
    Ok(dir.to_owned())
}

/// A drill under way.
struct Drill<'a> {
    bench: &'a Bench<'a>,
    plan: &'a IncidentPlan,
    recording: &'a RecordingWriter,
    clock: RunClock,
    /// Ends the drill early: somebody asked for that, or nothing can be recorded any more.
    stop: CancellationToken,
}

impl Drill<'_> {
    fn event(&self, what: What) -> Result<(), RunError> {
        Ok(self.recording.event(self.clock.now(), what)?)
    }

    fn phase(&self, name: &str, edge: Edge) -> Result<(), RunError> {
        self.event(What::Phase {
            name: name.to_owned(),
            edge,
        })
    }

    async fn run(&self, edges: &mut Edges) -> Result<(), RunError> {
        let observer = &self.bench.observer;
        observer.step("incident: creating data", self.plan.seeding_estimate());
        let capacity = CAPACITY.to_string();
        let (active, hold) = (seconds(ACTIVE_TTL), seconds(HOLD_TTL));
        let settings = [
            ("queue.capacity", capacity.as_str()),
            ("queue.active_ttl", active.as_str()),
            ("hold.ttl", hold.as_str()),
        ];
        let namespace = self.bench.namespace(self.clock, 0);
        let joined = edges.join(self.bench.stack, &namespace).await;
        let endpoints = joined.map_err(|source| self.failed(source))?;
        ways::note_past(self.bench, edges, self.recording, self.clock)?;
        let mut arm = LiveArm::prepare(
            self.bench,
            self.clock,
            (NAME, 0),
            settings,
            Some(&endpoints),
            None,
            &self.plan.dataset,
        )
        .await?;
        let facts = data_facts(&self.plan.dataset, vec![arm.place], &arm.catalogue().data_hash);
        self.recording
            .update_manifest(|manifest| manifest.datasets.push(facts))?;
        arm.launch(self.bench, self.recording, self.clock, 0).await?;
        clocks::compare(self.bench, &arm, self.recording, self.clock).await?;
        let (mut poller, service) = watching::poller(self.bench, self.recording, self.clock, &arm)?;
        poller.watch(crate::analysis::ways::SOURCE, WaySource::new(self.bench, edges));
        let drilled = self.drill(&arm, edges, service).await;
        let drained = match &drilled {
            Ok(()) => match self.look_once_more(&arm).await {
                Ok(()) => self.drain(&arm).await,
                Err(error) => Err(error),
            },
            Err(_) => Ok(()),
        };
        let scraped = match poller.scrape_now().await {
            Ok(()) => poller.stop().await,
            failed => failed,
        };
        let stopped = arm.stop().await;
        drilled?;
        drained?;
        scraped?;
        stopped?;
        observer.step("incident: reading the final state", FINAL_STATE);
        arm.list_dead_letters(self.bench, self.recording, self.clock).await?;
        arm.audit(self.bench, self.recording, self.clock).await?;
        arm.remove(self.bench).await
    }

    fn mix(&self) -> Vec<(JourneyKind, Percent)> {
        self.plan.mix.iter().map(|(kind, share)| (*kind, *share)).collect()
    }

    fn load_plan(&self, scenario: ScenarioConfig, nonce: u64) -> LoadPlan {
        let mut scenario = scenario;
        scenario.poll = Duration::from_millis(200);
        scenario.timeouts.request = Duration::from_secs(3);
        scenario.timeouts.admission = Duration::from_secs(15);
        scenario.tops_up = true;
        LoadPlan {
            scenario,
            seed: self.plan.seed,
            nonce,
            first_variant: 0,
        }
    }

    async fn probe(&self, arm: &LiveArm) -> Result<RatePerSec, RunError> {
        let length = Duration::from_millis(self.plan.probe_ms);
        self.bench
            .observer
            .step("incident: finding what this machine bears", length);
        let scenario = ScenarioConfig::saturating("probe", PROBE_USERS, length, &self.mix());
        let selector = Arc::new(Selector::new(0));
        let recorder = Arc::new(Recorder::new(
            vec![NAME.to_owned()],
            Arc::clone(&selector),
            Keep::Everything,
            self.clock,
        ));
        let history = Some(self.recording.history());
        let outcome = drive(
            self.load_plan(scenario, 1),
            &[arm.target()],
            selector,
            recorder,
            history,
            LoadHandle::new(),
        )
        .await?;
        if outcome.total.ok == 0 {
            return Err(RunError::NothingBorne {
                variant: NAME.to_owned(),
                log: arm.log(),
            });
        }
        let achieved = outcome.total.ok as f64 / length.as_secs_f64();
        self.event(What::Probe {
            variant: 0,
            offered: RatePerSec(outcome.total.scheduled as f64 / length.as_secs_f64()),
            achieved: Some(RatePerSec(achieved)),
            p99: None,
            held: false,
        })?;
        Ok(RatePerSec(
            (achieved * self.plan.load.0 / 100.0).min(self.plan.most_per_second),
        ))
    }

    async fn drill(&self, arm: &LiveArm, edges: &Edges, service: Latest) -> Result<(), RunError> {
        let rate = self.probe(arm).await?;
        self.event(What::Fact {
            variant: None,
            name: offered_fact(""),
            value: rate.0,
            unit: "per second".to_owned(),
        })?;
        self.bench.observer.step(
            "incident: steady state",
            Duration::from_millis(self.plan.warm_up_ms + self.plan.before_ms),
        );
        let mut scenario = ScenarioConfig::constant("drill", rate, self.plan.load_time(), &self.mix());
        // Whoever is stuck in the fault must not keep others from arriving: that is the generator's failure, not the
        // service's.
        let stuck = rate.0 * (Duration::from_millis(self.plan.fault_ms) + Duration::from_secs(20)).as_secs_f64();
        scenario.users = (stuck.ceil() as u32).clamp(100, 4_000);
        let selector = Arc::new(Selector::new(0));
        let recorder = Arc::new(Recorder::new(
            vec![NAME.to_owned()],
            Arc::clone(&selector),
            Keep::Everything,
            self.clock,
        ));
        let handle = LoadHandle::new();
        let attack = {
            let (plan, target) = (self.load_plan(scenario.clone(), 2), arm.target());
            let (recorder, handle) = (Arc::clone(&recorder), handle.clone());
            let history = Some(self.recording.history());
            tokio::spawn(async move { drive(plan, &[target], selector, recorder, history, handle).await })
        };
        let Some(zero) = handle.begun().await else {
            attack.await??;
            return Ok(());
        };
        // Seconds are counted from here on.
        write_cut(self.recording, &recorder)?;
        let broken_now = Broken::default();
        let mut watcher = Watcher::new(scenario, zero, service, handle.clone()).of_drill(broken_now.clone());
        let (observer, clock) = (self.bench.observer.clone(), self.clock);
        // What the probe left in the recorder is not of the drill.
        let cutter = tokio::spawn(cut_every_second(
            self.recording.clone(),
            Arc::clone(&recorder),
            self.clock,
            self.stop.clone(),
            move |gathered| observer.second(watcher.look(gathered, clock.now())),
        ));
        let broken = self.phases(arm, edges, zero, &broken_now).await;
        if broken.is_err() {
            handle.stop();
        }
        let outcome = attack.await?;
        finish_cutting(cutter).await?;
        write_cut(self.recording, &recorder)?;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // What broke the drill broke its load as well.
            Err(error) => return Err(broken.err().unwrap_or_else(|| error.into())),
        };
        // Also of what was cut short: whoever ends a drill early still has its books.
        for (account, counts) in &outcome.books {
            self.event(What::Accounting {
                variant: account.variant,
                slice: None,
                counts: *counts,
            })?;
        }
        for (cause, count) in recorder.causes() {
            if !cause.outcome.is_served() {
                let text = format!(
                    "{} ended with {} ({}), {count} times",
                    cause.endpoint, cause.outcome, cause.text
                );
                self.recording.note(self.clock.now(), NoteLevel::Info, text)?;
            }
        }
        broken
    }

    /// Warm-up, before, fault, after, each at its moment of the schedule.
    async fn phases(&self, arm: &LiveArm, edges: &Edges, zero: Nanos, broken: &Broken) -> Result<(), RunError> {
        let plan = self.plan;
        let mut due = zero.plus(Duration::from_millis(plan.warm_up_ms));
        self.phase("warm-up", Edge::Begin)?;
        self.wait(due).await?;
        self.phase("warm-up", Edge::End)?;
        due = due.plus(Duration::from_millis(plan.before_ms));
        self.wait(due).await?;
        self.bench.observer.step(
            format!("incident: {}", plan.fault.words()),
            Duration::from_millis(plan.fault_ms),
        );
        let fault = fault::drill::of(plan.fault, self.bench.stack, edges, arm.namespace())
            .map_err(|source| self.failed(source))?;
        let step = |step: FaultStep, detail: Option<String>| {
            self.event(What::Fault {
                name: plan.fault.name().to_owned(),
                target: fault.target(),
                step,
                detail,
            })
        };
        step(FaultStep::Injecting, None)?;
        let injected = fault
            .inject(self.bench.watchdog)
            .await
            .map_err(|source| self.failed(source))?;
        broken.set(Some(plan.fault.words().to_owned()));
        due = due.plus(Duration::from_millis(plan.fault_ms));
        // Healed, whether or not anything can be written down.
        let waited = match step(FaultStep::Injected, None) {
            Ok(()) => self.wait(due).await,
            unsaid => unsaid,
        };
        let said = step(FaultStep::Healing, None);
        if let Err(error) = injected.heal().await {
            step(FaultStep::Failed, Some(causes::chain(&error)))?;
            return Err(self.failed(error));
        }
        broken.set(None);
        said?;
        step(FaultStep::Healed, None)?;
        fault.verify().await.map_err(|source| self.failed(source))?;
        step(FaultStep::Verified, None)?;
        waited?;
        self.bench
            .observer
            .step("incident: recovery", Duration::from_millis(plan.after_ms));
        self.wait(due.plus(Duration::from_millis(plan.after_ms))).await
    }

    async fn wait(&self, until: Nanos) -> Result<(), RunError> {
        tokio::select! {
            () = tokio::time::sleep_until(self.clock.instant(until).into()) => Ok(()),
            () = self.stop.cancelled() => Err(RunError::Interrupted(self.recording.dir().to_owned())),
        }
    }

    /// Reads the seat maps when nobody changes anything any more. A reader who is refused leaves less evidence, and no
    /// broken run.
    async fn look_once_more(&self, arm: &LiveArm) -> Result<(), RunError> {
        let history = self.recording.history();
        if let Err(error) = read_settled(&arm.target(), 0, &history, self.clock).await {
            let text = format!("{:#}", anyhow::Error::from(error));
            self.recording.note(self.clock.now(), NoteLevel::Info, text)?;
        }
        Ok(())
    }

    async fn drain(&self, arm: &LiveArm) -> Result<(), RunError> {
        self.bench.observer.step(
            "incident: waiting for outbox and holds to end",
            self.plan.drain_estimate(),
        );
        drain::drain(arm, self.recording, self.clock, HOLD_TTL + GRACE, &self.stop).await
    }

    fn failed(&self, source: crate::fault::FaultError) -> RunError {
        RunError::Fault {
            fault: self.plan.fault.name().to_owned(),
            source: Box::new(source),
        }
    }
}

fn seconds(length: Duration) -> String {
    format!("{}s", length.as_secs())
}
