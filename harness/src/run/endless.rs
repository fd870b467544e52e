//! Drives a scenario against a service that somebody else runs, again and again, until it is asked to end.
//!
//! Nothing is recorded and nothing judged: this is for a stack whose dashboards are to show something, and for
//! rehearsals with somebody else's tools. What is measured is [`super::scenario()`]'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::alone;
use crate::config::ScenarioConfig;
use crate::load::{LoadError, LoadHandle, LoadPlan, Progress, Target, drive};
use crate::recording::RunClock;

/// Who is still on the way when the end is asked for has this long: less than what runs containers waits before it kills.
const END_WITHIN: Duration = Duration::from_secs(5);
/// What has gathered is thrown away this often, so that a round of days needs no more memory than one of minutes.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// How far the load is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rounds {
    /// Rounds that are over.
    pub over: u64,
    /// Counts of all rounds together.
    pub progress: Progress,
}

impl Rounds {
    /// With those of the round under way.
    fn with(self, round: Progress) -> Self {
        let (before, now) = (self.progress, round);
        Self {
            over: self.over,
            progress: Progress {
                scheduled: before.scheduled + now.scheduled,
                started: before.started + now.started,
                ok: before.ok + now.ok,
                failed: before.failed + now.failed,
            },
        }
    }
}

/// Runs `scenario` against `target` round after round until `stop`, and tells every `tell_every` how far it is. Each round
/// has a seed of its own, the first one `seed`, so that its users do not all want what those before have bought.
///
/// A service that is away ends nothing: its users fail, and others come.
///
/// # Errors
/// When the load cannot be set up.
pub async fn endless(
    scenario: &ScenarioConfig,
    target: &Target,
    seed: u64,
    stop: CancellationToken,
    tell_every: Duration,
    mut tell: impl FnMut(Rounds),
) -> Result<(), LoadError> {
    let mut rounds = Rounds::default();
    let mut due = tokio::time::interval_at(Instant::now() + tell_every, tell_every);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !stop.is_cancelled() {
        let (selector, recorder) = alone::recorder(RunClock::start());
        let handle = LoadHandle::new();
        let plan = LoadPlan {
            scenario: scenario.clone(),
            seed: seed.wrapping_add(rounds.over),
            // A key that was used before this process began would get the answer of then.
            nonce: rand::random(),
            first_variant: 0,
        };
        let targets = std::slice::from_ref(target);
        let load = drive(plan, targets, selector, Arc::clone(&recorder), None, handle.clone());
        let mut load = std::pin::pin!(load);
        let mut forget = tokio::time::interval(FORGET_EVERY);
        let mut cut_off = std::pin::pin!(async {
            stop.cancelled().await;
            tokio::time::sleep(END_WITHIN).await;
        });
        let (mut is_stopped, mut is_cut_off) = (false, false);
        loop {
            tokio::select! {
                ended = &mut load => {
                    ended?;
                    break;
                }
                () = stop.cancelled(), if !is_stopped => {
                    is_stopped = true;
                    handle.stop();
                }
                () = &mut cut_off, if !is_cut_off => {
                    is_cut_off = true;
                    handle.stop_now();
                }
                _ = forget.tick() => drop(recorder.cut()),
                _ = due.tick() => tell(rounds.with(handle.progress())),
            }
        }
        rounds = rounds.with(handle.progress());
        rounds.over += 1;
    }
    tell(rounds);
    Ok(())
}
