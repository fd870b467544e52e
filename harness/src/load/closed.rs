//! The closed model: virtual users who come back as soon as they are done and have thought a while.
//!
//! How many there are is a line over the stages, as the rate is in the open model. User `n` (from 0) is there while the
//! line is above `n`: so users come and go in the order of their numbers, and one seed gives the same ones again.
//!
//! **What it cannot say.** A user who waits for an answer asks for nothing meanwhile, so a service that stands still is
//! asked less. Response times of virtual users begin with the send, and no percentile of them tells what people felt who
//! did not wait for each other.

use std::time::Duration;

use crate::config::Stage;
use crate::units::Nanos;

/// The number of virtual users over time.
#[derive(Clone, Debug)]
pub(crate) struct VirtualUsers {
    segments: Vec<Segment>,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    start: Nanos,
    length: Duration,
    from: f64,
    to: f64,
}

impl VirtualUsers {
    /// Of these stages, one after the other.
    pub(crate) fn new(stages: &[Stage]) -> Self {
        let mut start = Nanos(0);
        let segments = stages.iter().map(|stage| {
            let (from, to) = stage.virtual_users;
            let segment = Segment {
                start,
                length: stage.length,
                from: from.into(),
                to: to.into(),
            };
            start = start.plus(stage.length);
            segment
        });
        Self {
            segments: segments.collect(),
        }
    }

    /// The most that are there at once.
    pub(crate) fn most(&self) -> u32 {
        let most = self.segments.iter().map(|segment| segment.from.max(segment.to));
        // Made from whole numbers that u32 holds.
        most.fold(0.0, f64::max) as u32
    }

    /// From `at` on, since the start, the first moment at which user `number` is there; `None` when there is none.
    pub(crate) fn next_there(&self, number: u32, at: Nanos) -> Option<Nanos> {
        let own = f64::from(number);
        self.segments.iter().find_map(|segment| segment.first_above(own, at))
    }
}

impl Segment {
    /// The first moment in this segment, from `at` on, at which its line is above `level`. Where it rises, that is half of
    /// the user's own step, so that the users of a ramp come at equal distances from its beginning.
    fn first_above(&self, level: f64, at: Nanos) -> Option<Nanos> {
        let end = self.start.plus(self.length);
        let at = at.max(self.start);
        if at >= end {
            return None;
        }
        let length = self.length.as_secs_f64();
        let value = |moment: Nanos| {
            let passed = moment.since(self.start).as_secs_f64() / length;
            self.from + (self.to - self.from) * passed
        };
        let level = level + 0.5;
        if value(at) >= level {
            return Some(at);
        }
        if self.to <= self.from || self.to < level {
            return None;
        }
        let passed = (level - self.from) / (self.to - self.from);
        let moment = self.start.plus(Duration::from_secs_f64(length * passed));
        Some(moment.max(at)).filter(|moment| *moment < end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::RatePerSec;

    fn stage(seconds: u64, from: u32, to: u32) -> Stage {
        Stage {
            name: String::new(),
            length: Duration::from_secs(seconds),
            from: RatePerSec(0.0),
            to: RatePerSec(0.0),
            virtual_users: (from, to),
            is_warm_up: false,
            is_cool_down: false,
        }
    }

    impl VirtualUsers {
        /// Whether user `number` is there.
        fn is_there(&self, number: u32, at: Nanos) -> bool {
            self.next_there(number, at) == Some(at)
        }
    }

    fn at(seconds: f64) -> Nanos {
        Nanos((seconds * 1e9) as u64)
    }

    #[test]
    fn users_are_there_while_the_line_is_above_their_number() {
        let peak = VirtualUsers::new(&[stage(20, 100, 100), stage(20, 50, 50), stage(20, 10, 10)]);
        assert_eq!(peak.most(), 100);
        for (number, gone) in [(0, 60.0), (9, 60.0), (10, 40.0), (49, 40.0), (50, 20.0), (99, 20.0)] {
            assert!(peak.is_there(number, at(0.0)), "{number}");
            assert!(peak.is_there(number, at(gone - 0.001)), "{number}");
            assert_eq!(peak.next_there(number, at(gone)), None, "{number}");
        }
        assert_eq!(peak.next_there(100, at(0.0)), None);
    }

    #[test]
    fn a_ramp_brings_its_users_one_by_one_and_takes_the_last_ones_first() {
        let ramp = VirtualUsers::new(&[stage(10, 0, 10), stage(10, 10, 0)]);
        let come: Vec<f64> = (0..10)
            .map(|number| ramp.next_there(number, Nanos(0)).unwrap().as_secs_f64())
            .collect();
        for (number, moment) in come.iter().enumerate() {
            assert!((moment - (number as f64 + 0.5)).abs() < 1e-6, "{come:?}");
        }
        assert!(ramp.is_there(0, at(19.0)) && !ramp.is_there(9, at(11.0)));
        assert_eq!(ramp.next_there(9, at(11.0)), None);
    }

    #[test]
    fn who_has_gone_may_come_back_in_a_later_stage() {
        let twice = VirtualUsers::new(&[stage(5, 3, 3), stage(5, 0, 0), stage(5, 3, 3)]);
        assert_eq!(twice.next_there(2, at(6.0)), Some(at(10.0)));
    }

    proptest! {
        #[test]
        fn as_many_are_there_as_the_line_says(
            stages in proptest::collection::vec((1u64..10, 0u32..50, 0u32..50), 1..4),
            moment in 0.0f64..30.0,
        ) {
            let stages: Vec<Stage> = stages.into_iter().map(|(length, from, to)| stage(length, from, to)).collect();
            let users = VirtualUsers::new(&stages);
            let now = at(moment);
            let mut start = Nanos(0);
            let mut line = 0.0;
            for stage in &stages {
                let end = start.plus(stage.length);
                if now >= start && now < end {
                    let passed = now.since(start).as_secs_f64() / stage.length.as_secs_f64();
                    let (from, to) = (f64::from(stage.virtual_users.0), f64::from(stage.virtual_users.1));
                    line = from + (to - from) * passed;
                }
                start = end;
            }
            let there = (0..60).filter(|number| users.is_there(*number, now)).count() as f64;
            prop_assert!((there - line).abs() <= 0.5 + 1e-6, "{there} against {line}");
        }
    }
}
