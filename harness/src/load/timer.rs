//! Sleeping until a moment, precisely.
//!
//! Tokio's own timer ticks in milliseconds: an arrival would start 1.4 ms late at the median, which at 500 arrivals a
//! second is most of the distance between two. On Linux the last ten milliseconds are slept on a timer of the kernel.

use std::io;
use std::time::Duration;

use crate::recording::RunClock;
use crate::units::Nanos;

/// Above this the coarse timer sleeps the greater part.
const FINE: Duration = Duration::from_millis(10);
/// The coarse timer is woken this much before the moment, well above its error.
const MARGIN: Duration = Duration::from_millis(5);

/// Sleeps; one sleeper at a time.
#[derive(Debug)]
pub(crate) struct Timer {
    clock: RunClock,
    fine: fine::Timer,
}

impl Timer {
    /// Must be called inside a tokio runtime, and be used in the same.
    ///
    /// # Errors
    /// When the kernel grants no timer, for want of descriptors for instance.
    pub(crate) fn new(clock: RunClock) -> io::Result<Self> {
        Ok(Self {
            clock,
            fine: fine::Timer::new()?,
        })
    }

    /// Returns when the clock shows `due` or later. Dropping the future leaves the timer usable.
    pub(crate) async fn sleep_until(&self, due: Nanos) -> io::Result<()> {
        loop {
            let left = due.since(self.clock.now());
            if left.is_zero() {
                return Ok(());
            }
            if left > FINE {
                tokio::time::sleep(left - MARGIN).await;
            } else {
                self.fine.sleep(left).await?;
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod fine {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
    use tokio::io::unix::AsyncFd;

    #[derive(Debug)]
    pub(super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
            #[expect(
                deprecated,
                reason = "an owned descriptor is safe to register, and the replacement is `unsafe`"
            )]
            let timer = AsyncFd::with_interest(timer, tokio::io::Interest::READABLE)?;
            Ok(Self(timer))
        }

        pub(super) async fn sleep(&self, length: Duration) -> io::Result<()> {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = Timespec {
                tv_sec: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: length.subsec_nanos().into(),
            };
            // Setting it anew forgets an expiry that a dropped future left unread.
            let timer = Itimerspec {
                it_interval: zero,
                it_value: value,
            };
            rustix::time::timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &timer)?;
            let mut expiries = [0; 8];
            loop {
                let mut guard = self.0.readable().await?;
                let read = guard.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut expiries)?));
                if let Ok(read) = read {
                    return read.map(|_| ());
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod fine {
    use std::io;
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct Timer;

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn sleep(&self, length: Duration) -> io::Result<()> {
            tokio::time::sleep(length).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_never_early_and_survives_a_dropped_sleep() {
        let clock = RunClock::start();
        let timer = Timer::new(clock).unwrap();
        for micros in [0, 50, 3_000, 15_000] {
            let due = clock.now().plus(Duration::from_micros(micros));
            timer.sleep_until(due).await.unwrap();
            assert!(clock.now() >= due);
        }
        let far = clock.now().plus(Duration::from_millis(9));
        // Polled once and dropped: on a starved machine it may be over by then, which is as good.
        let _dropped = futures::FutureExt::now_or_never(timer.sleep_until(far));
        let due = clock.now().plus(Duration::from_millis(2));
        timer.sleep_until(due).await.unwrap();
        assert!(clock.now() >= due);
    }
}
