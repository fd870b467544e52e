//! The clock of a run: monotonic, read as [`Nanos`] since its anchor, tied to the calendar once.

use std::time::Instant;

use super::model::ClockAnchor;
use crate::units::Nanos;

/// Shared by everything that writes times into one recording.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    started: Instant,
    unix_ns: i64,
}

impl RunClock {
    /// A clock that shows zero now.
    pub fn start() -> Self {
        // The two readings are a few hundred nanoseconds apart, far below the millisecond that wall times have.
        let unix_ns = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        Self {
            started: Instant::now(),
            unix_ns,
        }
    }

    /// Now, on this clock.
    pub fn now(&self) -> Nanos {
        self.at(Instant::now())
    }

    /// An instant on this clock; zero for one before the anchor.
    pub fn at(&self, instant: Instant) -> Nanos {
        Nanos::from_duration(instant.saturating_duration_since(self.started))
    }

    /// The instant at which this clock shows `at`.
    pub fn instant(&self, at: Nanos) -> Instant {
        self.started + std::time::Duration::from_nanos(at.0)
    }

    /// What the manifest keeps.
    pub fn anchor(&self) -> ClockAnchor {
        ClockAnchor {
            unix_ns: self.unix_ns,
            offsets: Vec::new(),
        }
    }
}
