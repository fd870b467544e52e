//! Runs one scenario against one service: data, load as the scenario says, and then the books.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::alone::{self, Alone, Attack};
use super::arm::LiveArm;
use super::bench::{self, Bench};
use super::cutting::{cut_every_second, finish_cutting, write_cut};
use super::error::RunError;
use super::hopeless::Hopeless;
use super::live::Watcher;
use crate::analysis::started;
use crate::config::{ScenarioConfig, Stage};
use crate::load::{Gathered, LoadHandle, LoadPlan, Progress, RanDry, Recorder, drive, shortages};
use crate::objectives::{Judge, Objective};
use crate::plan::ScenarioPlan;
use crate::recording::event::{Edge, NoteLevel, What};
use crate::recording::{RunClock, SeriesKind};
use crate::scrape::poll::Latest;
use crate::scrape::{Sample, ScrapeError, Source};
use crate::units::Nanos;

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
    let recording = alone::record(bench, &plan.kind, plan.seed, plan, clock, dir)?;
    let run = Run {
        alone: Alone::new(bench, &scenario.name, &recording, clock),
        plan,
        scenario,
        objectives,
    };
    let outcome = Box::pin(run.run()).await;
    bench::close(&recording, clock, outcome)?;
    Ok(dir.to_owned())
}

/// A run under way.
struct Run<'a> {
    alone: Alone<'a>,
    plan: &'a ScenarioPlan,
    scenario: &'a ScenarioConfig,
    objectives: &'a [Objective],
}

impl Run<'_> {
    async fn run(&self) -> Result<(), RunError> {
        let (alone, plan) = (&self.alone, self.plan);
        alone.step("creating data", plan.seeding_estimate());
        let namespace = alone.bench.namespace(alone.clock, 0);
        let endpoints = alone.bench.stack.service_endpoints(&namespace);
        let (arm, mut poller, service) = alone.start(&endpoints, &plan.dataset).await?;
        let handle = LoadHandle::new();
        poller.watch(started::SOURCE, Started(handle.clone()));
        let loaded = self.load(&arm, service, handle).await;
        alone.end(arm, poller, plan.drain_estimate(), loaded).await
    }

    async fn load(&self, arm: &LiveArm, service: Latest, handle: LoadHandle) -> Result<(), RunError> {
        self.alone.check_stop()?;
        for shortage in shortages(self.scenario) {
            self.alone
                .recording
                .note(self.alone.clock.now(), NoteLevel::Warning, shortage.to_string())?;
        }
        let (selector, recorder) = alone::recorder(self.alone.clock);
        let attack = {
            let plan = LoadPlan {
                scenario: self.scenario.clone(),
                seed: self.plan.seed,
                nonce: 1,
                first_variant: 0,
            };
            let (target, recorder, handle) = (arm.target(), Arc::clone(&recorder), handle.clone());
            let history = Some(self.alone.recording.history());
            Attack::begin(async move { drive(plan, &[target], selector, recorder, history, handle).await })
        };
        let Some(zero) = self.alone.begun(&handle).await else {
            attack.outcome().await?;
            return self.alone.check_stop();
        };
        recorder.begins_at(zero);
        let hopeless = Hopeless::default();
        let cutter = tokio::spawn(cut_every_second(
            self.alone.recording.clone(),
            Arc::clone(&recorder),
            self.alone.clock,
            self.alone.stop.clone(),
            self.look(
                Watcher::new(self.scenario.clone(), zero, service, handle.clone()),
                hopeless.look(self.judges(zero)),
            ),
        ));
        // At the end of the schedule there is nothing left to stop; before it, whoever is on the way still arrives.
        let staged = tokio::select! {
            staged = self.stages(zero, &recorder) => staged.inspect_err(|_| handle.stop()),
            reason = hopeless.reason() => {
                handle.stop();
                self.alone.event(What::EndedEarly { reason })
            }
            () = handle.ran_dry() => Ok(()),
            () = attack.broke() => Ok(()),
        };
        let outcome = attack.outcome().await;
        finish_cutting(cutter).await?;
        write_cut(self.alone.recording, &recorder)?;
        self.alone.slowest(&recorder)?;
        if let Some(dry) = handle.dry() {
            let RanDry { feeder, rows, at } = dry;
            self.alone.recording.event(at, What::RanDry { feeder, rows })?;
        }
        // Also of a load that broke: they may say why it did.
        self.alone.failures(recorder.causes())?;
        self.alone.account(&outcome?)?;
        staged
    }

    /// Shows what ended in each second to those who watch, and to `judge`.
    fn look<J>(&self, mut watcher: Watcher, mut judge: J) -> impl FnMut(&Gathered) + Send + use<J>
    where
        J: FnMut(&Gathered) + Send,
    {
        let (observer, clock) = (self.alone.bench.observer.clone(), self.alone.clock);
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

    /// Marks each stage at its moment of the schedule, and writes down what took longest in it.
    async fn stages(&self, zero: Nanos, recorder: &Recorder) -> Result<(), RunError> {
        let mut end = zero;
        for stage in &self.scenario.stages {
            let begin = end;
            end = end.plus(stage.length);
            self.alone.step(&stage.name, stage.length);
            self.alone
                .recording
                .event(begin.max(zero), self.edge(stage, Edge::Begin))?;
            tokio::select! {
                () = tokio::time::sleep_until(self.alone.clock.instant(end).into()) => {}
                () = self.alone.stop.cancelled() => return Err(self.alone.interrupted()),
            }
            self.alone.recording.event(end, self.edge(stage, Edge::End))?;
            self.alone.slowest(recorder)?;
        }
        Ok(())
    }

    fn edge(&self, stage: &Stage, edge: Edge) -> What {
        What::Phase {
            name: stage.name.clone(),
            edge,
        }
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
