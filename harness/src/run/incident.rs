//! Runs a drill: bookings at a steady rate, one fault injected and healed, and then the books.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::alone::{self, Alone, Attack, NAME};
use super::arm::LiveArm;
use super::bench::{self, Bench};
use super::cutting::{cut_every_second, finish_cutting, write_cut};
use super::error::RunError;
use super::live::{Broken, Watcher};
use super::ways::{self, WaySource};
use crate::causes;
use crate::config::{JourneyKind, ScenarioConfig};
use crate::fault::{self, Edges};
use crate::load::{LoadHandle, LoadPlan, Recorder, drive};
use crate::plan::{IncidentPlan, offered_fact};
use crate::recording::RunClock;
use crate::recording::event::{Edge, FaultStep, What};
use crate::scrape::poll::Latest;
use crate::units::{Nanos, Percent, RatePerSec};

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
    let recording = alone::record(bench, &plan.kind, plan.seed, plan, clock, dir)?;
    let drill = Drill {
        alone: Alone::new(bench, "incident", &recording, clock),
        plan,
    };
    let outcome = drill.run(edges).await;
    bench::close(&recording, clock, outcome)?;
    Ok(dir.to_owned())
}

/// Why a drill ends before its schedule does.
enum CutShort {
    /// Its load has failed, and says itself how.
    ByItsLoad,
    By(RunError),
}

impl From<RunError> for CutShort {
    fn from(error: RunError) -> Self {
        Self::By(error)
    }
}

/// A drill under way.
struct Drill<'a> {
    alone: Alone<'a>,
    plan: &'a IncidentPlan,
}

impl Drill<'_> {
    fn phase(&self, name: &str, edge: Edge) -> Result<(), RunError> {
        self.alone.event(What::Phase {
            name: name.to_owned(),
            edge,
        })
    }

    async fn run(&self, edges: &mut Edges) -> Result<(), RunError> {
        let (alone, plan) = (&self.alone, self.plan);
        alone.step("creating data", plan.seeding_estimate());
        let namespace = alone.bench.namespace(alone.clock, 0);
        let joined = edges.join(alone.bench.stack, &namespace).await;
        let endpoints = joined.map_err(|source| self.failed(source))?;
        ways::note_past(alone.bench, edges, alone.recording, alone.clock)?;
        let (arm, mut poller, service) = alone.start(&endpoints, &plan.dataset).await?;
        poller.watch(crate::analysis::ways::SOURCE, WaySource::new(alone.bench, edges));
        let drilled = self.drill(&arm, edges, service).await;
        alone.end(arm, poller, plan.drain_estimate(), drilled).await
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
        self.alone.step("finding what this machine bears", length);
        let scenario = ScenarioConfig::saturating("probe", PROBE_USERS, length, &self.mix());
        let (selector, recorder) = alone::recorder(self.alone.clock);
        let history = Some(self.alone.recording.history());
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
        self.alone.event(What::Probe {
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
        self.alone.check_stop()?;
        self.alone.event(What::Fact {
            variant: None,
            name: offered_fact(""),
            value: rate.0,
            unit: "per second".to_owned(),
        })?;
        self.alone.step(
            "steady state",
            Duration::from_millis(self.plan.warm_up_ms + self.plan.before_ms),
        );
        let mut scenario = ScenarioConfig::constant("drill", rate, self.plan.load_time(), &self.mix());
        // Whoever is stuck in the fault must not keep others from arriving: that is the generator's failure, not the
        // service's.
        let stuck = rate.0 * (Duration::from_millis(self.plan.fault_ms) + Duration::from_secs(20)).as_secs_f64();
        scenario.users = (stuck.ceil() as u32).clamp(100, 4_000);
        let (selector, recorder) = alone::recorder(self.alone.clock);
        let handle = LoadHandle::new();
        let attack = {
            let (plan, target) = (self.load_plan(scenario.clone(), 2), arm.target());
            let (recorder, handle) = (Arc::clone(&recorder), handle.clone());
            let history = Some(self.alone.recording.history());
            Attack::begin(async move { drive(plan, &[target], selector, recorder, history, handle).await })
        };
        let Some(zero) = self.alone.begun(&handle).await else {
            attack.outcome().await?;
            return self.alone.check_stop();
        };
        recorder.begins_at(zero);
        let broken_now = Broken::default();
        let mut watcher = Watcher::new(scenario, zero, service, handle.clone()).of_drill(broken_now.clone());
        let (observer, clock) = (self.alone.bench.observer.clone(), self.alone.clock);
        let cutter = tokio::spawn(cut_every_second(
            self.alone.recording.clone(),
            Arc::clone(&recorder),
            self.alone.clock,
            self.alone.stop.clone(),
            move |gathered| observer.second(watcher.look(gathered, clock.now())),
        ));
        let phases = self.phases(arm, edges, zero, (&attack, &broken_now), &recorder).await;
        if phases.is_err() {
            handle.stop();
        }
        let outcome = attack.outcome().await;
        finish_cutting(cutter).await?;
        write_cut(self.alone.recording, &recorder)?;
        self.alone.slowest(&recorder)?;
        let broken = match phases {
            Err(CutShort::By(error)) => Err(error),
            Ok(()) | Err(CutShort::ByItsLoad) => Ok(()),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // What broke the drill broke its load as well.
            Err(error) => return Err(broken.err().unwrap_or(error)),
        };
        self.alone.account(&outcome)?;
        self.alone.failures(recorder.causes())?;
        broken
    }

    /// Warm-up, before, fault, after, each at its moment of the schedule as long as the `attack` goes on; what is broken is
    /// told to `broken`, and what took longest in each is written down.
    async fn phases(
        &self,
        arm: &LiveArm,
        edges: &Edges,
        zero: Nanos,
        (attack, broken): (&Attack, &Broken),
        recorder: &Recorder,
    ) -> Result<(), CutShort> {
        let plan = self.plan;
        let mut due = zero.plus(Duration::from_millis(plan.warm_up_ms));
        self.phase("warm-up", Edge::Begin)?;
        self.wait(due, attack).await?;
        self.phase("warm-up", Edge::End)?;
        self.alone.slowest(recorder)?;
        due = due.plus(Duration::from_millis(plan.before_ms));
        self.wait(due, attack).await?;
        // Whatever was slow before must not stand in the place of what is slow because of the fault; nor may that hide
        // what is slow after it.
        self.alone.slowest(recorder)?;
        self.alone
            .step(plan.fault.words(), Duration::from_millis(plan.fault_ms));
        let fault = fault::drill::of(plan.fault, self.alone.bench.stack, edges, arm.namespace())
            .map_err(|source| self.failed(source))?;
        let step = |step: FaultStep, detail: Option<String>| {
            self.alone.event(What::Fault {
                name: plan.fault.name().to_owned(),
                target: fault.target(),
                step,
                detail,
            })
        };
        step(FaultStep::Injecting, None)?;
        let injected = fault
            .inject(self.alone.bench.watchdog)
            .await
            .map_err(|source| self.failed(source))?;
        broken.set(Some(plan.fault.words().to_owned()));
        due = due.plus(Duration::from_millis(plan.fault_ms));
        // Healed, whether or not anything can be written down.
        let waited = match step(FaultStep::Injected, None) {
            Ok(()) => self.wait(due, attack).await,
            Err(unsaid) => Err(unsaid.into()),
        };
        let said = step(FaultStep::Healing, None);
        if let Err(error) = injected.heal().await {
            step(FaultStep::Failed, Some(causes::chain(&error)))?;
            return Err(self.failed(error).into());
        }
        broken.set(None);
        said?;
        step(FaultStep::Healed, None)?;
        fault.verify().await.map_err(|source| self.failed(source))?;
        step(FaultStep::Verified, None)?;
        waited?;
        self.alone.slowest(recorder)?;
        self.alone.step("recovery", Duration::from_millis(plan.after_ms));
        self.wait(due.plus(Duration::from_millis(plan.after_ms)), attack).await
    }

    async fn wait(&self, until: Nanos, attack: &Attack) -> Result<(), CutShort> {
        let until = self.alone.clock.instant(until);
        wait_until(until, attack, &self.alone.stop, self.alone.recording.dir()).await
    }

    fn failed(&self, source: crate::fault::FaultError) -> RunError {
        RunError::Fault {
            fault: self.plan.fault.name().to_owned(),
            source: Box::new(source),
        }
    }
}

/// Waits for a moment, unless the load fails before it, or the run in `dir` is to stop.
async fn wait_until(moment: Instant, attack: &Attack, stop: &CancellationToken, dir: &Path) -> Result<(), CutShort> {
    tokio::select! {
        () = tokio::time::sleep_until(moment.into()) => Ok(()),
        () = stop.cancelled() => Err(CutShort::By(RunError::Interrupted(dir.to_owned()))),
        () = attack.broke() => Err(CutShort::ByItsLoad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::LoadError;

    /// No phase that is waited for here ever ends by itself.
    #[tokio::test]
    async fn a_drill_ends_with_its_load_or_when_somebody_asks_for_it() {
        let far = Instant::now() + Duration::from_secs(3_600);
        let (stop, dir) = (CancellationToken::new(), Path::new("reports/x"));
        let failed = Attack::begin(async { Err(LoadError::Timer(std::io::Error::other("no timer"))) });
        let waited = tokio::time::timeout(Duration::from_secs(30), wait_until(far, &failed, &stop, dir));
        assert!(matches!(waited.await, Ok(Err(CutShort::ByItsLoad))));
        let goes_on = Attack::begin(std::future::pending());
        stop.cancel();
        let waited = wait_until(far, &goes_on, &stop, dir).await;
        assert!(matches!(waited, Err(CutShort::By(RunError::Interrupted(_)))));
        let over = CancellationToken::new();
        let waited = wait_until(Instant::now(), &goes_on, &over, dir).await;
        assert!(waited.is_ok());
    }
}
