//! When users arrive: the inverse of the integrated rate. Pure; one seed gives one schedule, byte for byte.
//!
//! With the rate λ(t) and its integral Λ(t), the n-th even arrival is due at Λ⁻¹(n), and the n-th Poisson arrival at
//! Λ⁻¹(E₁ + … + Eₙ) with independent E of mean one. In a stage that starts at rate a and has slope s, Λ⁻¹ is
//! `t = 2n / (a + √(a² + 2sn))`, which is exact, needs no steps, and holds for a slope of zero too.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;

use crate::config::{ArrivalKind, Stage};
use crate::units::Nanos;

/// One arrival that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// From 0, over the whole schedule.
    pub number: u64,
    /// Since the start of the schedule.
    pub due: Nanos,
    /// Index of the stage.
    pub stage: usize,
}

/// The arrivals of a run, in order, computed one at a time.
#[derive(Clone, Debug)]
pub struct Schedule {
    segments: Vec<Segment>,
    kind: ArrivalKind,
    random: ChaCha8Rng,
    /// Where on the axis of Λ the next arrival lies.
    position: f64,
    stage: usize,
    number: u64,
    last: Nanos,
}

#[derive(Clone, Debug)]
struct Segment {
    start: Nanos,
    length_s: f64,
    from: f64,
    slope: f64,
    expected_before: f64,
    expected: f64,
}

/// Arrivals draw from a stream of their own, apart from the journeys' choices.
const ARRIVAL_STREAM: u64 = u64::MAX;

impl Schedule {
    /// The schedule of `stages`, one after the other.
    pub fn new(stages: &[Stage], kind: ArrivalKind, seed: u64) -> Self {
        let mut start = Nanos(0);
        let mut expected_before = 0.0;
        let segments = stages
            .iter()
            .map(|stage| {
                let length_s = stage.length.as_secs_f64();
                let (from, to) = (stage.from.0, stage.to.0);
                let segment = Segment {
                    start,
                    length_s,
                    from,
                    slope: if length_s > 0.0 { (to - from) / length_s } else { 0.0 },
                    expected_before,
                    expected: (from + to) / 2.0 * length_s,
                };
                start = start.plus(stage.length);
                expected_before += segment.expected;
                segment
            })
            .collect();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(ARRIVAL_STREAM);
        let mut schedule = Self {
            segments,
            kind,
            random,
            position: 0.0,
            stage: 0,
            number: 0,
            last: Nanos(0),
        };
        if kind == ArrivalKind::Poisson {
            schedule.step();
        }
        schedule
    }

    /// How many arrivals are to be expected.
    pub fn expected(&self) -> f64 {
        self.segments
            .last()
            .map_or(0.0, |last| last.expected_before + last.expected)
    }

    /// How long the stages last together.
    pub fn length(&self) -> Duration {
        self.segments.last().map_or(Duration::ZERO, |last| {
            Duration::from_nanos(last.start.0) + Duration::from_secs_f64(last.length_s)
        })
    }

    fn step(&mut self) {
        self.position += match self.kind {
            ArrivalKind::Even => 1.0,
            ArrivalKind::Poisson => self.random.sample::<f64, _>(Exp1),
        };
    }
}

impl Segment {
    /// When, in seconds after its start, `n` arrivals of this segment are reached.
    fn inverse(&self, n: f64) -> f64 {
        if n <= 0.0 {
            return 0.0;
        }
        // Rounding can bring the radicand of a falling ramp just below zero at its end.
        let root = (self.from * self.from + 2.0 * self.slope * n).max(0.0).sqrt();
        (2.0 * n / (self.from + root)).min(self.length_s)
    }
}

impl Iterator for Schedule {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        let segment = loop {
            let segment = self.segments.get(self.stage)?;
            if self.position < segment.expected_before + segment.expected {
                break segment;
            }
            self.stage += 1;
        };
        let after_s = segment.inverse(self.position - segment.expected_before);
        // Times are positive and far below what f64 holds exactly.
        let due = Nanos(segment.start.0 + (after_s * 1e9).round() as u64).max(self.last);
        let slot = Slot {
            number: self.number,
            due,
            stage: self.stage,
        };
        self.last = due;
        self.number += 1;
        self.step();
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::RatePerSec;

    fn stage(seconds: f64, from: f64, to: f64) -> Stage {
        Stage {
            name: String::new(),
            length: Duration::from_secs_f64(seconds),
            from: RatePerSec(from),
            to: RatePerSec(to),
            virtual_users: (0, 0),
            is_warm_up: false,
            is_cool_down: false,
        }
    }

    fn even(stages: &[Stage]) -> Vec<Slot> {
        Schedule::new(stages, ArrivalKind::Even, 0).collect()
    }

    #[test]
    fn a_constant_rate_gives_equal_distances_from_the_start() {
        let slots = even(&[stage(2.0, 100.0, 100.0)]);
        assert_eq!(slots.len(), 200);
        assert!(
            slots
                .iter()
                .enumerate()
                .all(|(n, slot)| slot.due == Nanos(n as u64 * 10_000_000))
        );
    }

    #[test]
    fn a_ramp_has_half_of_its_arrivals_after_the_root_of_a_half() {
        let slots = even(&[stage(10.0, 0.0, 200.0)]);
        assert_eq!(slots.len(), 1_000);
        assert!((slots[500].due.as_secs_f64() - 10.0 / 2f64.sqrt()).abs() < 1e-6);
        let falling = even(&[stage(10.0, 200.0, 0.0)]);
        assert_eq!(falling.len(), 1_000);
        // What rises in one falls in the other: the n-th of one mirrors the (1000 - n)-th of the other.
        assert!((falling[500].due.as_secs_f64() - (10.0 - 10.0 / 2f64.sqrt())).abs() < 1e-6);
    }

    #[test]
    fn stages_follow_each_other_and_pauses_are_kept() {
        let slots = even(&[stage(1.0, 10.0, 10.0), stage(5.0, 0.0, 0.0), stage(1.0, 20.0, 20.0)]);
        assert_eq!(slots.len(), 30);
        assert_eq!((slots[10].stage, slots[10].due), (2, Nanos(6_000_000_000)));
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_the_spread_of_their_law() {
        let slots: Vec<Slot> = Schedule::new(&[stage(100.0, 200.0, 200.0)], ArrivalKind::Poisson, 4).collect();
        // Mean 20,000; six standard deviations are 849.
        assert!((19_151..=20_849).contains(&slots.len()), "{}", slots.len());
        let counts: Vec<f64> = (0..100)
            .map(|s| slots.iter().filter(|slot| slot.due.0 / 1_000_000_000 == s).count() as f64)
            .collect();
        let mean = counts.iter().sum::<f64>() / 100.0;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 99.0;
        // Variance equals mean; its estimate over 100 seconds has a relative standard deviation of 14 %.
        assert!((0.4..=1.8).contains(&(variance / mean)), "{}", variance / mean);
    }

    #[test]
    fn a_day_at_ten_thousand_a_second_keeps_its_distances() {
        let mut schedule = Schedule::new(&[stage(86_400.0, 10_000.0, 10_000.0)], ArrivalKind::Even, 0);
        schedule.position = 863_999_000.0;
        let (a, b) = (schedule.next().unwrap(), schedule.next().unwrap());
        assert!((b.due.0 - a.due.0).abs_diff(100_000) <= 20, "{}", b.due.0 - a.due.0);
    }

    fn stages() -> impl Strategy<Value = Vec<Stage>> {
        let one = (0.01f64..20.0, 0.0f64..300.0, 0.0f64..300.0, any::<bool>())
            .prop_map(|(seconds, from, to, flat)| stage(seconds, from, if flat { from } else { to }));
        proptest::collection::vec(one, 1..5)
    }

    proptest! {
        #[test]
        fn even_arrivals_are_as_many_as_the_rate_integrates_to(stages in stages()) {
            let schedule = Schedule::new(&stages, ArrivalKind::Even, 0);
            let expected = schedule.expected();
            let count = schedule.count() as f64;
            prop_assert!((count - expected).abs() <= 1.0, "{count} against {expected}");
        }

        #[test]
        fn arrivals_never_go_back_and_never_leave_their_stage(stages in stages(), seed: u64, poisson: bool) {
            let kind = if poisson { ArrivalKind::Poisson } else { ArrivalKind::Even };
            let mut last = Nanos(0);
            for (n, slot) in Schedule::new(&stages, kind, seed).enumerate() {
                let start: Duration = stages[..slot.stage].iter().map(|stage| stage.length).sum();
                let end = start + stages[slot.stage].length;
                prop_assert!(slot.due >= last && slot.number == n as u64);
                prop_assert!(slot.due >= Nanos::from_duration(start).max(last));
                prop_assert!(slot.due <= Nanos::from_duration(end + Duration::from_nanos(1)));
                last = slot.due;
            }
        }

        #[test]
        fn one_seed_gives_one_schedule(stages in stages(), seed: u64) {
            let once: Vec<Slot> = Schedule::new(&stages, ArrivalKind::Poisson, seed).collect();
            let again: Vec<Slot> = Schedule::new(&stages, ArrivalKind::Poisson, seed).collect();
            prop_assert_eq!(once, again);
        }
    }
}
