//! The only place where the wall clock is read.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use crate::domain::Timestamp;
use crate::ports::Clock;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_system(SystemTime::now())
    }
}

/// The machine's clock, shifted: drills move it through an endpoint that exists with the feature `failpoints` alone.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    offset_ms: AtomicI64,
}

impl ShiftedClock {
    /// From now on, `offset_ms` after the machine's clock, or before it when negative.
    pub fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let offset_ms = self.offset_ms.load(Ordering::Relaxed);
        Timestamp::from_unix_ms(SystemClock.now().unix_ms().saturating_add(offset_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_moves_now() {
        let clock = ShiftedClock::default();
        let before = clock.now();
        clock.set_offset_ms(3_600_000);
        assert!(clock.now().since(before).as_secs() >= 3_600);
        clock.set_offset_ms(-3_600_000);
        assert!(clock.now() < before);
    }
}
