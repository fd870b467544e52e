//! The run's clock: nanoseconds on the monotonic clock since one anchor, which is tied to the wall clock once.
//!
//! Everything that a recording dates uses the same clock, so that load, scraping and faults share one time axis even
//! when the wall clock is set while the run goes.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::units::Nanos;

/// A monotonic clock with its anchor. Copies share the anchor.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    anchor: Instant,
    wall_anchor: Timestamp,
}

impl RunClock {
    /// A clock whose zero is now.
    pub fn start() -> Self {
        Self {
            anchor: Instant::now(),
            wall_anchor: Timestamp::now(),
        }
    }

    /// Now.
    pub fn now(&self) -> Nanos {
        Nanos::from_duration(self.anchor.elapsed())
    }

    /// The wall time of the anchor.
    pub const fn wall_anchor(&self) -> Timestamp {
        self.wall_anchor
    }

    /// The wall time at which the monotonic clock showed `at`, if the wall clock was not set meanwhile.
    pub fn wall_time(&self, at: Nanos) -> Timestamp {
        let since = SignedDuration::from_nanos(i64::try_from(at.0).unwrap_or(i64::MAX));
        self.wall_anchor.saturating_add(since).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn wall_time_is_the_anchor_and_what_passed_since() {
        let clock = RunClock::start();
        assert!(clock.now() <= clock.now());
        let later = clock.wall_time(Nanos::from_duration(Duration::from_millis(1_500)));
        assert_eq!(
            later.duration_since(clock.wall_anchor()),
            SignedDuration::from_millis(1_500)
        );
    }
}
