//! Runs an experiment: every group of arms as live processes, interleaved in slices, into one recording.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{StreamExt as _, TryStreamExt as _};

use super::alone;
use super::arm::{LiveArm, STALENESS};
use super::bench::{self, Bench};
use super::clocks;
use super::data::{data_facts, one_hash};
use super::edges::EdgeReader;
use super::error::RunError;
use super::plans;
use crate::analysis::experiment::service_source;
use crate::config::{JourneyKind, ScenarioConfig};
use crate::load::recorder::Keep;
use crate::load::{LoadHandle, LoadOutcome, LoadPlan, Recorder, Selector, Slice, drive};
use crate::plan::design::SETTLE;
use crate::plan::spec::FINAL_STATE;
use crate::plan::{ExperimentPlan, Group, PlannedSlice, offered_fact};
use crate::recording::event::{self, Edge, NoteLevel, What};
use crate::recording::model::{Rules, Variant};
use crate::recording::{RecordingWriter, RunClock};
use crate::scrape::Poller;
use crate::scrape::mysql::MySqlSource;
use crate::scrape::poll::Schedule;
use crate::scrape::process::{MachineSource, ProcessSource};
use crate::scrape::redis::RedisSource;
use crate::scrape::service::ServiceSource;
use crate::units::{Nanos, Percent, RatePerSec};

/// Everyone who is admitted before the run fits, and stays.
const CAPACITY: u32 = 2_000;
const STAY: &str = "30m";
/// After the last slice of a launch, for requests under way.
const AFTER_LAST: Duration = Duration::from_millis(200);

/// Runs `plan` into a new recording at `dir`.
///
/// # Errors
/// When something that the run stands on fails; what was measured until then is kept.
pub async fn experiment(bench: &Bench<'_>, plan: &ExperimentPlan, dir: &Path) -> Result<PathBuf, RunError> {
    plan.check()?;
    let clock = RunClock::start();
    let mut manifest = bench.manifest(&plan.kind, plan.seed, clock);
    manifest.variants = plan.groups.iter().flat_map(|group| &group.arms).map(variant).collect();
    let recording = RecordingWriter::create(dir, &manifest)?;
    recording.put(
        crate::recording::store::PLAN_FILE,
        serde_yaml::to_string(plan)?.as_bytes(),
    )?;
    let mut poller = Poller::new(recording.clone(), clock, Schedule::default());
    poller.watch("generator", ProcessSource::own());
    poller.watch("machine", MachineSource);
    let direct = bench.stack.direct_endpoints("");
    if let Some(url) = &direct.redis_url {
        poller.watch("redis", RedisSource::new(url)?);
    }
    if !direct.is_sqlite() {
        poller.watch("mysql", MySqlSource::new(&direct.database_url, &[])?);
    }
    let run = Run {
        bench,
        plan,
        recording: &recording,
        clock,
        nonce: std::sync::atomic::AtomicU64::new(1),
    };
    let mut first_variant = 0;
    let mut outcome = Ok(());
    for group in &plan.groups {
        outcome = run.group(group, first_variant, &mut poller).await;
        if outcome.is_err() {
            break;
        }
        first_variant += u16::try_from(group.arms.len()).unwrap_or(u16::MAX);
    }
    let stopped = poller.stop().await;
    bench::close(&recording, clock, outcome.and_then(|()| Ok(stopped?)))?;
    Ok(dir.to_owned())
}

fn variant(arm: &crate::plan::Arm) -> Variant {
    let mut settings = arm.settings.clone();
    if let Some(index) = &arm.index {
        settings.insert("index".to_owned(), index.clone());
    }
    let rules = Rules {
        queue_capacity: Some(CAPACITY),
        hold_ttl_ms: Some(300_000),
        active_ttl_ms: Some(1_800_000),
        grace_ms: Some(5_000),
        drain_ms: None,
        staleness_ms: u64::try_from(STALENESS.as_millis()).ok(),
        outbox: None,
    };
    Variant {
        name: arm.name.clone(),
        settings,
        build: None,
        rules,
    }
}

/// An experiment under way.
pub(super) struct Run<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) plan: &'a ExperimentPlan,
    pub(super) recording: &'a RecordingWriter,
    pub(super) clock: RunClock,
    /// Every attack on the same data needs idempotency keys of its own.
    nonce: std::sync::atomic::AtomicU64,
}

impl Run<'_> {
    pub(super) fn nonce(&self) -> u64 {
        self.nonce.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    pub(super) fn label(&self, group: &Group, what: &str) -> String {
        if group.name.is_empty() {
            format!("{}: {what}", self.plan.kind)
        } else {
            format!("{}, {}: {what}", self.plan.kind, group.name)
        }
    }

    pub(super) fn check_stop(&self) -> Result<(), RunError> {
        if self.bench.stop.is_cancelled() {
            Err(RunError::Interrupted(self.recording.dir().to_owned()))
        } else {
            Ok(())
        }
    }

    pub(super) fn event(&self, what: What) -> Result<(), RunError> {
        Ok(self.recording.event(self.clock.now(), what)?)
    }

    async fn group(&self, group: &Group, first_variant: u16, poller: &mut Poller) -> Result<(), RunError> {
        self.check_stop()?;
        let observer = &self.bench.observer;
        observer.step(self.label(group, "creating data"), group.seeding_estimate());
        self.event(What::Phase {
            name: self.label(group, "seed"),
            edge: Edge::Begin,
        })?;
        let mut arms = self.prepare(group, first_variant).await?;
        self.note_data(group, &arms)?;
        self.event(What::Phase {
            name: self.label(group, "seed"),
            edge: Edge::End,
        })?;
        let measured = self.launches(group, first_variant, &mut arms, poller).await;
        for arm in &mut arms {
            arm.stop().await?;
        }
        measured?;
        observer.step(self.label(group, "reading the final state"), FINAL_STATE);
        for arm in arms {
            arm.audit(self.bench, self.recording, self.clock).await?;
            arm.remove(self.bench).await?;
        }
        Ok(())
    }

    /// Two at a time: seeding is bound by the disk as much as by the processor.
    async fn prepare(&self, group: &Group, first_variant: u16) -> Result<Vec<LiveArm>, RunError> {
        let capacity = CAPACITY.to_string();
        let arms = group.arms.iter().zip(first_variant..).map(|(arm, place)| {
            let common = [("queue.capacity", capacity.as_str()), ("queue.active_ttl", STAY)];
            let own = arm.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            // No payment is made, so no event needs a broker.
            LiveArm::prepare(
                self.bench,
                self.clock,
                (&arm.name, place),
                common.into_iter().chain(own).collect::<Vec<_>>(),
                None,
                arm.index.as_deref(),
                &group.dataset,
            )
        });
        futures::stream::iter(arms).buffered(2).try_collect().await
    }

    fn note_data(&self, group: &Group, arms: &[LiveArm]) -> Result<(), RunError> {
        let hashes = arms
            .iter()
            .map(|arm| (arm.name.as_str(), arm.catalogue().data_hash.as_str()));
        if let Some(hash) = one_hash(hashes)? {
            let facts = data_facts(&group.dataset, arms.iter().map(|arm| arm.place).collect(), hash);
            self.recording
                .update_manifest(|manifest| manifest.datasets.push(facts))?;
        }
        for arm in arms {
            self.event(What::Size {
                variant: arm.place,
                of: "seats".to_owned(),
                rows: Some(group.dataset.seats()),
                size: None,
            })?;
        }
        Ok(())
    }

    async fn launches(
        &self,
        group: &Group,
        first_variant: u16,
        arms: &mut [LiveArm],
        poller: &mut Poller,
    ) -> Result<(), RunError> {
        self.look_at_plans(group, arms).await?;
        let slices = group.design.slices();
        let mut rate = None;
        for launch in 0..group.design.launches {
            self.check_stop()?;
            self.bench.observer.step(
                self.label(group, &format!("launch {} of {}", launch + 1, group.design.launches)),
                group.launch_estimate(),
            );
            for arm in arms.iter_mut() {
                arm.launch(self.bench, self.recording, self.clock, launch).await?;
                let base = arm.base_url().unwrap_or_default();
                poller.watch(
                    &service_source(&arm.name),
                    ServiceSource::new(&format!("{base}/metrics"))?,
                );
            }
            if let ([first, ..], 0, 0) = (&*arms, first_variant, launch) {
                clocks::compare(self.bench, first, self.recording, self.clock).await?;
            }
            let rate = match rate {
                Some(rate) => rate,
                None => {
                    let found = self.probe(group, arms).await?;
                    self.event(What::Fact {
                        variant: None,
                        name: offered_fact(&group.name),
                        value: found.0,
                        unit: "per second".to_owned(),
                    })?;
                    *rate.insert(found)
                }
            };
            let planned: Vec<PlannedSlice> = slices.iter().copied().filter(|slice| slice.launch == launch).collect();
            self.bench.observer.step(
                self.label(
                    group,
                    &format!("measuring, launch {} of {}", launch + 1, group.design.launches),
                ),
                group.design.slice() * u32::try_from(planned.len()).unwrap_or(u32::MAX),
            );
            self.measure(group, first_variant, arms, rate, &planned).await?;
            for arm in arms.iter_mut() {
                poller.unwatch(&service_source(&arm.name)).await?;
                arm.stop().await?;
            }
        }
        Ok(())
    }

    /// Looks at what each index makes of the seat map, on a launch of its own: a process that tells its statements is
    /// none to be measured.
    async fn look_at_plans(&self, group: &Group, arms: &mut [LiveArm]) -> Result<(), RunError> {
        if group.arms.iter().all(|arm| arm.index.is_none()) {
            return Ok(());
        }
        let mix = group.mix();
        self.bench
            .observer
            .step(self.label(group, "looking at plans"), group.plans_estimate());
        for arm in arms {
            self.check_stop()?;
            arm.launch_telling(self.bench).await?;
            let looked = self.look_at_plan(arm, &mix).await;
            arm.stop().await?;
            looked?;
        }
        Ok(())
    }

    /// A little load, so that the service executes its statements, and a look at the plan of one of them.
    async fn look_at_plan(&self, arm: &LiveArm, mix: &[(JourneyKind, Percent)]) -> Result<(), RunError> {
        let scenario = ScenarioConfig::saturating("plan", 2, Duration::from_millis(600), mix);
        let selector = Arc::new(Selector::new(arm.place));
        let recorder = self.recorder(&selector, Keep::Everything);
        let plan = LoadPlan {
            scenario,
            seed: self.plan.seed,
            nonce: self.nonce(),
            first_variant: arm.place,
        };
        let (targets, handle) = ([arm.target()], LoadHandle::new());
        let history = Some(self.recording.history());
        let load = drive(plan, &targets, selector, recorder, history, handle.clone());
        let look = async {
            handle.begun().await;
            plans::record(self.bench, arm, self.recording, self.clock).await
        };
        let (driven, looked) = tokio::join!(load, look);
        driven?;
        looked?;
        plans::record_size(self.bench, arm, self.recording, self.clock).await
    }

    /// For every variant of the plan.
    pub(super) fn recorder(&self, selector: &Arc<Selector>, keep: Keep) -> Arc<Recorder> {
        let arms = self.plan.groups.iter().flat_map(|group| &group.arms);
        let names = arms.map(|arm| arm.name.clone()).collect();
        Arc::new(Recorder::new(names, Arc::clone(selector), keep, self.clock))
    }

    /// One attack over all slices of a launch.
    async fn measure(
        &self,
        group: &Group,
        first_variant: u16,
        arms: &[LiveArm],
        rate: RatePerSec,
        planned: &[PlannedSlice],
    ) -> Result<(), RunError> {
        let mix = group.mix();
        // The schedule outlasts the slices, so that the last one is as busy as the first; the handle ends it.
        let length =
            group.design.slice() * u32::try_from(planned.len() + 2).unwrap_or(u32::MAX) + Duration::from_secs(2);
        let scenario = ScenarioConfig::constant("slices", rate, length, &mix);
        let selector = Arc::new(Selector::new(first_variant));
        let recorder = self.recorder(&selector, Keep::WithinSlices { settle: SETTLE });
        let targets: Vec<_> = arms.iter().map(LiveArm::target).collect();
        let handle = LoadHandle::new();
        let plan = LoadPlan {
            scenario,
            seed: self.plan.seed,
            nonce: self.nonce(),
            first_variant,
        };
        let attack = {
            let (selector, recorder, handle) = (Arc::clone(&selector), Arc::clone(&recorder), handle.clone());
            let history = Some(self.recording.history());
            tokio::spawn(async move { drive(plan, &targets, selector, recorder, history, handle).await })
        };
        let interleaved = match handle.begun().await {
            Some(_) => {
                self.interleave(group, first_variant, arms, &selector, &recorder, planned)
                    .await
            }
            None => Ok(()),
        };
        selector.switch(Slice {
            number: 0,
            variant: first_variant,
            start: self.clock.now(),
        });
        handle.stop();
        let outcome = attack.await??;
        // Also of what was cut short: whoever ends a run early still has its books.
        self.account(&outcome, &recorder)?;
        interleaved
    }

    async fn interleave(
        &self,
        group: &Group,
        first_variant: u16,
        arms: &[LiveArm],
        selector: &Selector,
        recorder: &Recorder,
        planned: &[PlannedSlice],
    ) -> Result<(), RunError> {
        let mut edges = Vec::with_capacity(arms.len());
        for arm in arms {
            let mut reader = EdgeReader::new(self.bench, arm)?;
            reader.read(self.recording, self.clock).await?;
            edges.push(reader);
        }
        let began = Instant::now();
        let mut orders: BTreeMap<u32, u16> = BTreeMap::new();
        let mut open: Option<event::Slice> = None;
        for (nth, slice) in (0_u32..).zip(planned) {
            self.check_stop()?;
            self.bench
                .observer
                .detail(format!("block {} of {}", slice.block + 1, group.design.blocks));
            let due = began + group.design.slice() * nth;
            tokio::time::sleep_until(due.into()).await;
            let place = first_variant + u16::try_from(slice.variant).unwrap_or(u16::MAX);
            let now = self.clock.now();
            // Numbers go on over the groups, so that each is unique in the recording.
            let number = u32::from(first_variant) * 10_000 + slice.number;
            selector.switch(Slice {
                number,
                variant: place,
                start: now,
            });
            if let Some(ended) = open.take() {
                self.close_slice(ended, now, first_variant, recorder, &mut edges)
                    .await?;
            }
            let order = orders.entry(slice.block).or_default();
            open = Some(event::Slice {
                slice: number,
                block: u32::from(first_variant) * 10_000 + slice.block,
                launch: u32::from(first_variant) * 1_000 + slice.launch,
                variant: place,
                order: *order,
                start: now.plus(SETTLE),
                end: now,
            });
            *order += 1;
            // The two halves of a slice tell whether it was steady.
            let measured = group.design.slice().saturating_sub(SETTLE);
            tokio::time::sleep_until((due + SETTLE + measured / 2).into()).await;
            if let Some(slice) = &open {
                self.write_histograms(slice, recorder)?;
            }
        }
        let due = began + group.design.slice() * u32::try_from(planned.len()).unwrap_or(u32::MAX);
        tokio::time::sleep_until(due.into()).await;
        let now = self.clock.now();
        selector.switch(Slice {
            number: 0,
            variant: first_variant,
            start: now,
        });
        if let Some(ended) = open.take() {
            self.close_slice(ended, now, first_variant, recorder, &mut edges)
                .await?;
        }
        tokio::time::sleep(AFTER_LAST).await;
        Ok(())
    }

    /// Writes a slice that has just ended: its event, its histograms, its variant's counters.
    async fn close_slice(
        &self,
        mut slice: event::Slice,
        end: Nanos,
        first_variant: u16,
        recorder: &Recorder,
        edges: &mut [EdgeReader],
    ) -> Result<(), RunError> {
        slice.end = end;
        self.event(What::Slice(slice))?;
        self.write_histograms(&slice, recorder)?;
        if let Some(reader) = edges.get_mut(usize::from(slice.variant - first_variant)) {
            reader.read(self.recording, self.clock).await?;
        }
        Ok(self.recording.flush()?)
    }

    /// Writes what gathered in a slice since the last cut.
    fn write_histograms(&self, slice: &event::Slice, recorder: &Recorder) -> Result<(), RunError> {
        for cut in recorder.cut() {
            if cut.slice == slice.slice {
                let start = cut.start.max(slice.start);
                let length = cut.start.plus(cut.length).since(start);
                self.recording.interval(start, length, &cut.tag, &cut.histogram)?;
            }
        }
        Ok(())
    }

    fn account(&self, outcome: &LoadOutcome, recorder: &Recorder) -> Result<(), RunError> {
        for (account, counts) in &outcome.books {
            self.event(What::Accounting {
                variant: account.variant,
                slice: (account.slice > 0).then_some(account.slice),
                counts: *counts,
            })?;
        }
        let left_out = recorder.left_out();
        for (name, value) in [
            ("samples across an edge of a slice", left_out.straddling),
            ("samples in the settling time of a slice", left_out.settling),
            ("samples outside of any slice", left_out.outside),
        ] {
            self.event(What::Fact {
                variant: None,
                name: name.to_owned(),
                value: value as f64,
                unit: "samples".to_owned(),
            })?;
        }
        let causes = recorder.causes();
        for (cause, count) in &causes {
            if !cause.outcome.is_served() {
                let text = format!(
                    "{} {} ended with {} ({}), {count} times",
                    cause.endpoint,
                    self.variant_name(cause.variant),
                    cause.outcome,
                    cause.text
                );
                self.recording.note(self.clock.now(), NoteLevel::Warning, text)?;
            }
        }
        for what in alone::failures(causes) {
            self.event(what)?;
        }
        Ok(())
    }

    fn variant_name(&self, place: u16) -> String {
        let mut arms = self.plan.groups.iter().flat_map(|group| &group.arms);
        arms.nth(usize::from(place))
            .map_or_else(|| format!("variant {place}"), |arm| arm.name.clone())
    }
}
