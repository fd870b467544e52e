//! When to stop asking a dependency that does not answer, and when to try again. Pure: `now` is a parameter, and
//! what is protected is not known here ([`super::breaker_cache`] does that).

use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerLimits {
    /// So many failures in a row open it.
    pub failures: u32,
    /// How long nothing is sent after it has opened, and the longest that one probe may take.
    pub pause: Duration,
}

impl Default for BreakerLimits {
    /// A few failures may be one lost connection; a second without a cache is short against any objective's window.
    fn default() -> Self {
        Self {
            failures: 5,
            pause: Duration::from_secs(1),
        }
    }
}

/// What operators see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// One call is let through to see.
    HalfOpen,
}

impl BreakerState {
    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }

    /// The value of the gauge: 0 closed, 1 half open, 2 open.
    pub const fn level(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// Permission for one call. Handed back with the outcome, so that a slow call's outcome is not taken for that of
/// the phase in which it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permit {
    phase: u64,
}

#[derive(Debug)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Duration },
    HalfOpen { probe_until: Duration },
}

/// The state machine. Moments are durations since any fixed origin, from a clock that never steps back.
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    phase: Phase,
    /// Counts phases, so that permits of earlier ones are told apart.
    number: u64,
}

impl Breaker {
    /// Closed, with no failure seen.
    pub fn new(limits: BreakerLimits) -> Self {
        Self {
            limits,
            phase: Phase::Closed { failures: 0 },
            number: 0,
        }
    }

    /// The state as operators see it.
    pub fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a call may be sent now. After the pause, one probe passes; if its outcome is not reported within
    /// another pause (its caller may have gone), the next one does.
    pub fn ask(&mut self, now: Duration) -> Option<Permit> {
        let may_probe = match self.phase {
            Phase::Closed { .. } => return Some(Permit { phase: self.number }),
            Phase::Open { until } => now >= until,
            Phase::HalfOpen { probe_until } => now >= probe_until,
        };
        may_probe.then(|| {
            let probe_until = now.saturating_add(self.limits.pause);
            self.enter(Phase::HalfOpen { probe_until });
            Permit { phase: self.number }
        })
    }

    /// The call that `permit` allowed has been answered.
    pub fn succeeded(&mut self, permit: Permit) {
        if permit.phase != self.number {
            return;
        }
        match &mut self.phase {
            Phase::Closed { failures } => *failures = 0,
            Phase::HalfOpen { .. } => self.enter(Phase::Closed { failures: 0 }),
            Phase::Open { .. } => {}
        }
    }

    /// The call that `permit` allowed has failed, or was not answered in time.
    pub fn failed(&mut self, permit: Permit, now: Duration) {
        if permit.phase != self.number {
            return;
        }
        let opens = match &mut self.phase {
            Phase::Closed { failures } => {
                *failures = failures.saturating_add(1);
                *failures >= self.limits.failures
            }
            Phase::HalfOpen { .. } => true,
            Phase::Open { .. } => false,
        };
        if opens {
            let until = now.saturating_add(self.limits.pause);
            self.enter(Phase::Open { until });
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.number += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(BreakerLimits { failures, pause: PAUSE })
    }

    #[test]
    fn opens_probes_and_closes() {
        let mut breaker = breaker(2);
        let at = Duration::from_millis;
        for _ in 0..2 {
            let permit = breaker.ask(at(0)).unwrap();
            breaker.failed(permit, at(10));
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.ask(at(1009)), None);
        let probe = breaker.ask(at(1010)).unwrap();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(breaker.ask(at(1011)), None, "one probe at a time");
        breaker.succeeded(probe);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn outcomes_of_an_earlier_phase_change_nothing() {
        let mut breaker = breaker(1);
        let slow = breaker.ask(Duration::ZERO).unwrap();
        let failing = breaker.ask(Duration::ZERO).unwrap();
        breaker.failed(failing, Duration::ZERO);
        breaker.succeeded(slow);
        assert_eq!(breaker.state(), BreakerState::Open, "a late success does not close it");
        let probe = breaker.ask(PAUSE).unwrap();
        breaker.failed(slow, PAUSE);
        assert_eq!(
            breaker.state(),
            BreakerState::HalfOpen,
            "a late failure is not the probe's"
        );
        breaker.succeeded(probe);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_probe_whose_caller_has_gone_is_replaced() {
        let mut breaker = breaker(1);
        let permit = breaker.ask(Duration::ZERO).unwrap();
        breaker.failed(permit, Duration::ZERO);
        breaker.ask(PAUSE).unwrap();
        assert_eq!(breaker.ask(PAUSE * 2 - Duration::from_millis(1)), None);
        assert!(breaker.ask(PAUSE * 2).is_some());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait(u64),
        Ask,
        /// Reports the outcome of one of the calls under way.
        Report(usize, bool),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..700u64).prop_map(Step::Wait),
            Just(Step::Ask),
            (any::<usize>(), any::<bool>()).prop_map(|(which, good)| Step::Report(which, good)),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        /// Whatever happens: nothing passes during a pause, one probe passes in each pause's length while it is not
        /// closed, only a probe closes it, and it never refuses while closed.
        #[test]
        fn keeps_its_promises(limit in 1..5u32, steps in steps()) {
            let mut breaker = breaker(limit);
            let mut now = Duration::ZERO;
            let mut under_way: Vec<Permit> = Vec::new();
            let mut last_probe: Option<(Duration, Permit)> = None;
            let mut opened_at: Option<Duration> = None;
            let mut failures_in_a_row = 0;
            for step in steps {
                let before = breaker.state();
                match step {
                    Step::Wait(ms) => now += Duration::from_millis(ms),
                    Step::Ask => {
                        let permit = breaker.ask(now);
                        if before == BreakerState::Closed {
                            prop_assert!(permit.is_some());
                        } else if let Some(permit) = permit {
                            prop_assert!(opened_at.is_none_or(|opened| now >= opened + PAUSE));
                            prop_assert!(last_probe.is_none_or(|(at, _)| now >= at + PAUSE));
                            prop_assert_eq!(breaker.state(), BreakerState::HalfOpen);
                            last_probe = Some((now, permit));
                        }
                        under_way.extend(permit);
                    }
                    Step::Report(_, _) if under_way.is_empty() => {}
                    Step::Report(which, good) => {
                        let permit = under_way.swap_remove(which % under_way.len());
                        if good { breaker.succeeded(permit) } else { breaker.failed(permit, now) }
                        match (before, breaker.state()) {
                            (BreakerState::Closed, BreakerState::Open) => {
                                prop_assert!(!good);
                                prop_assert_eq!(failures_in_a_row + 1, limit);
                            }
                            (BreakerState::Closed, BreakerState::Closed) => {}
                            (BreakerState::HalfOpen, BreakerState::Closed) => {
                                prop_assert!(good);
                                prop_assert_eq!(last_probe.map(|(_, probe)| probe), Some(permit));
                            }
                            (BreakerState::HalfOpen, BreakerState::Open) => {
                                prop_assert!(!good);
                                prop_assert_eq!(last_probe.map(|(_, probe)| probe), Some(permit));
                            }
                            (before, after) => prop_assert_eq!(before, after),
                        }
                        failures_in_a_row = match (&breaker.phase, breaker.state()) {
                            (Phase::Closed { failures }, _) => *failures,
                            _ => 0,
                        };
                        if before != breaker.state() && breaker.state() == BreakerState::Open {
                            opened_at = Some(now);
                            last_probe = None;
                        }
                    }
                }
            }
        }

        #[test]
        fn enough_failures_in_a_row_always_open_it(limit in 1..10u32) {
            let mut breaker = breaker(limit);
            for sent in 0..limit {
                prop_assert_eq!(breaker.state(), BreakerState::Closed, "after {}", sent);
                let permit = breaker.ask(Duration::ZERO).unwrap();
                breaker.failed(permit, Duration::ZERO);
            }
            prop_assert_eq!(breaker.state(), BreakerState::Open);
        }
    }
}
