//! What this machine can bear: every arm is asked as fast as it answers, in turns, before anything is measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::arm::LiveArm;
use super::error::RunError;
use super::experiment::Run;
use crate::analysis::hodges_lehmann::median;
use crate::config::ScenarioConfig;
use crate::load::recorder::Keep;
use crate::load::{LoadHandle, LoadOutcome, LoadPlan, Recorder, Selector, Slice, drive};
use crate::plan::Group;
use crate::recording::event::What;
use crate::recording::{Clock, Endpoint, Outcome, empty_histogram};
use crate::units::{Nanos, RatePerSec};

/// Users of a probe: enough to keep a few cores busy, few enough that none starves.
const PROBE_USERS: u32 = 16;
/// Turns of every arm. One disturbed turn of three does not move a median.
const ROUNDS: u32 = 3;

impl Run<'_> {
    /// Asks the arms in turns, and offers all of them the planned share of what the slowest one bore. The control is the
    /// baseline once more, so that their turns are taken together.
    pub(super) async fn probe(&self, group: &Group, arms: &[LiveArm]) -> Result<RatePerSec, RunError> {
        let turn = Duration::from_millis(self.plan.probe_ms) / ROUNDS;
        let turns = ROUNDS * u32::try_from(arms.len()).unwrap_or(u32::MAX);
        self.bench.observer.step(
            self.label(group, "finding what this machine bears"),
            group.probe_estimate(self.plan.probe_ms),
        );
        let first = arms.first().map_or(0, |arm| arm.place);
        let selector = Arc::new(Selector::new(first));
        let recorder = self.recorder(&selector, Keep::Everything);
        let plan = LoadPlan {
            // The schedule outlasts the turns; the handle ends it.
            scenario: ScenarioConfig::saturating("probe", PROBE_USERS, turn * (turns + 2), &group.mix()),
            seed: self.plan.seed,
            nonce: self.nonce(),
            first_variant: first,
        };
        let targets: Vec<_> = arms.iter().map(LiveArm::target).collect();
        let handle = LoadHandle::new();
        let history = Some(self.recording.history());
        let load = drive(
            plan,
            &targets,
            Arc::clone(&selector),
            Arc::clone(&recorder),
            history,
            handle.clone(),
        );
        let ask = async {
            let taken = match handle.begun().await {
                Some(_) => self.take_turns(arms, turn, &selector).await,
                None => Ok(Vec::new()),
            };
            handle.stop();
            taken
        };
        let (outcome, taken) = tokio::join!(load, ask);
        self.judge(group, arms, &outcome?, &taken?, &recorder)
    }

    /// Every arm once a round, in an order of the seed's. Returns number, place and length of each turn.
    async fn take_turns(
        &self,
        arms: &[LiveArm],
        turn: Duration,
        selector: &Selector,
    ) -> Result<Vec<(u32, u16, Duration)>, RunError> {
        let mut random = ChaCha8Rng::seed_from_u64(self.plan.seed);
        let began = Instant::now();
        let mut taken = Vec::new();
        for round in 0..ROUNDS {
            let mut order: Vec<u16> = arms.iter().map(|arm| arm.place).collect();
            order.shuffle(&mut random);
            for place in order {
                self.check_stop()?;
                let number = u32::try_from(taken.len()).unwrap_or(u32::MAX) + 1;
                let start = self.clock.now();
                self.bench.observer.detail(format!("turn {} of {ROUNDS}", round + 1));
                selector.switch(Slice {
                    number,
                    variant: place,
                    start,
                });
                tokio::time::sleep_until((began + turn * number).into()).await;
                taken.push((number, place, self.clock.now().since(start)));
            }
        }
        selector.switch(Slice {
            number: 0,
            variant: arms.first().map_or(0, |arm| arm.place),
            start: self.clock.now(),
        });
        Ok(taken)
    }

    fn judge(
        &self,
        group: &Group,
        arms: &[LiveArm],
        outcome: &LoadOutcome,
        taken: &[(u32, u16, Duration)],
        recorder: &Recorder,
    ) -> Result<RatePerSec, RunError> {
        let control = group.control().map(|arm| arm.name.as_str());
        let baseline = arms.first().map_or(0, |arm| arm.place);
        let mut rates: BTreeMap<u16, Vec<f64>> = BTreeMap::new();
        for (number, place, length) in taken {
            let books = outcome.books.iter().filter(|(account, _)| account.slice == *number);
            let ok: u64 = books.map(|(_, counts)| counts.ok).sum();
            let is_control = arms
                .iter()
                .any(|arm| arm.place == *place && Some(arm.name.as_str()) == control);
            let whose = if is_control { baseline } else { *place };
            rates.entry(whose).or_default().push(ok as f64 / length.as_secs_f64());
        }
        let tails = tails(recorder);
        let mut slowest: Option<f64> = None;
        for arm in arms {
            let Some(achieved) = rates.get_mut(&arm.place).and_then(|rates| median(rates)) else {
                continue;
            };
            if achieved == 0.0 {
                return Err(RunError::NothingBorne {
                    variant: arm.name.clone(),
                    log: arm.log(),
                });
            }
            let of_arm = outcome.books.iter().filter(|(account, _)| account.variant == arm.place);
            let scheduled: u64 = of_arm.map(|(_, counts)| counts.scheduled).sum();
            let own = taken.iter().filter(|(_, place, _)| *place == arm.place);
            let asked: Duration = own.map(|(_, _, length)| *length).sum();
            self.event(What::Probe {
                variant: arm.place,
                offered: RatePerSec(scheduled as f64 / asked.as_secs_f64()),
                achieved: Some(RatePerSec(achieved)),
                p99: tails.get(&arm.name).copied(),
                held: false,
            })?;
            slowest = Some(slowest.map_or(achieved, |slowest| slowest.min(achieved)));
        }
        Ok(RatePerSec(slowest.unwrap_or_default() * self.plan.load.0 / 100.0))
    }
}

/// The p99 of each variant's seat maps.
fn tails(recorder: &Recorder) -> BTreeMap<String, Nanos> {
    let mut merged = BTreeMap::new();
    for cut in recorder.cut() {
        if (cut.tag.endpoint, cut.tag.outcome, cut.tag.clock) == (Endpoint::Seats, Outcome::Ok, Clock::Service) {
            // All histograms of a recorder have one shape.
            *merged.entry(cut.tag.variant).or_insert_with(empty_histogram) += cut.histogram;
        }
    }
    merged
        .into_iter()
        .map(|(name, histogram)| (name, Nanos(histogram.value_at_quantile(0.99))))
        .collect()
}
