//! The open model: users are workers, and arrivals come by the schedule whether a user is free or not.
//!
//! A user who has nothing to do stands in a line, first in, first out. Who stands first sleeps until the next arrival is
//! due, takes it and makes room. No dispatcher and no queue of arrivals is needed, and since a waiting user owns no
//! arrival, none is lost when the run ends.
//!
//! **Blame.** A user who was in line when an arrival became due and starts it late was woken late: the generator's
//! fault. A user who came to the line only after the arrival was due finds it late because all users were busy.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::schedule::{Schedule, Slot};
use super::timer::Timer;
use crate::config::Row;
use crate::recording::{Lateness, RunClock};
use crate::units::Nanos;

/// An arrival that starts later than this counts as late. Well above what a busy generator needs to wake up.
pub const LATE: Duration = Duration::from_millis(10);

/// One user's arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// From 0 over the whole schedule; decides every choice of the journey.
    pub number: u64,
    /// When it was to start, on the run's clock: by the schedule, or by the pause of a virtual user.
    pub due: Nanos,
    /// When the user could start, or when the arrival was dropped.
    pub taken: Nanos,
    /// Who is to blame if it is late.
    pub blame: Blame,
    /// What its feeders say; what they do not, the journey draws.
    pub row: Row,
}

impl Arrival {
    /// When the user wanted to start. A virtual user wants to when it comes back from its pause, however long that took.
    pub const fn intended(&self) -> Nanos {
        match self.blame {
            Blame::Generator | Blame::UsersExhausted => self.due,
            Blame::Visit => self.taken,
        }
    }

    /// Whether what began at `at` began too long after it was meant to.
    pub const fn is_late(&self, at: Nanos) -> bool {
        at.0 > self.intended().0 + LATE.as_nanos() as u64
    }

    /// Whose lateness it is, where it is anybody's. `waited` says that its user, once there, found all connections taken.
    ///
    /// A generator that was within its tolerance has done its part, and what came on top is the wait. One that was beyond it
    /// keeps the blame, however long the wait was: it sent its requests in bunches, which may well have taken the
    /// connections, and an own fault must not be excused by what followed from it.
    pub const fn lateness(&self, waited: bool) -> Lateness {
        match self.blame {
            Blame::Generator if waited && !self.is_late(self.taken) => Lateness::BusyUsers,
            Blame::Generator => Lateness::Generator,
            Blame::UsersExhausted => Lateness::BusyUsers,
            Blame::Visit => Lateness::Untimed,
        }
    }
}

/// Why an arrival starts after it was due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// A user stood ready and was woken late.
    Generator,
    /// Every user was busy.
    UsersExhausted,
    /// It is a virtual user's visit, which nobody but the generator can make late, and which keeps no arrival waiting.
    Visit,
}

/// A number for each party that can be to blame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByBlame {
    pub generator: u64,
    pub users_exhausted: u64,
}

impl ByBlame {
    /// Both together.
    pub const fn total(self) -> u64 {
        self.generator + self.users_exhausted
    }
}

/// What became of the schedule so far. `scheduled = started + dropped`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offered {
    /// Arrivals that became due.
    pub scheduled: u64,
    /// Arrivals that a user started.
    pub started: u64,
    /// Arrivals that nobody started within the allowed lateness.
    pub dropped: ByBlame,
}

/// The schedule, shared by all users.
#[derive(Debug)]
pub(crate) struct Arrivals {
    clock: RunClock,
    /// When the schedule's zero was, once all users stood ready.
    zero: OnceLock<Nanos>,
    max_late: Option<Duration>,
    stop: CancellationToken,
    line: Mutex<Line>,
    /// Copies of two counts for those who watch while the run goes, without standing in line.
    scheduled: AtomicU64,
    started: AtomicU64,
}

#[derive(Debug)]
struct Line {
    schedule: std::iter::Peekable<Schedule>,
    timer: Timer,
    offered: Offered,
    /// Set when a feeder has run dry: whoever would have come next was never scheduled.
    is_dry: bool,
}

impl Arrivals {
    /// Must be called inside the runtime of the run. `stop` ends the arrivals before the schedule does.
    ///
    /// # Errors
    /// When there is no timer to be had.
    pub(crate) fn new(
        schedule: Schedule,
        max_late: Option<Duration>,
        clock: RunClock,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let line = Line {
            schedule: schedule.peekable(),
            timer: Timer::new(clock)?,
            offered: Offered::default(),
            is_dry: false,
        };
        Ok(Self {
            clock,
            zero: OnceLock::new(),
            max_late,
            stop,
            line: Mutex::new(line),
            scheduled: AtomicU64::new(0),
            started: AtomicU64::new(0),
        })
    }

    /// Sets the schedule's zero; only the first call counts. Returns the zero.
    pub(crate) fn begin(&self, zero: Nanos) -> Nanos {
        *self.zero.get_or_init(|| zero)
    }

    /// The schedule's zero, once it is set.
    pub(crate) fn began(&self) -> Option<Nanos> {
        self.zero.get().copied()
    }

    /// The next arrival, when it is due; `None` once there are no more. Arrivals that are too late are told to
    /// `on_drop` and passed over. `feed` is asked for the row of each arrival in their order; without one there is no
    /// further arrival.
    ///
    /// # Errors
    /// When the timer fails.
    pub(crate) async fn next(
        &self,
        feed: impl Fn(u64) -> Option<Row>,
        mut on_drop: impl FnMut(&Arrival),
    ) -> io::Result<Option<Arrival>> {
        let asked = self.clock.now();
        let mut line = self.line.lock().await;
        let line = &mut *line;
        loop {
            let is_over = line.is_dry || self.stop.is_cancelled();
            let (Some(&zero), Some(&slot), false) = (self.zero.get(), line.schedule.peek(), is_over) else {
                return Ok(None);
            };
            let due = Nanos(zero.0.saturating_add(slot.due.0));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(None),
                slept = line.timer.sleep_until(due) => slept?,
            }
            let Some(row) = feed(slot.number) else {
                line.is_dry = true;
                return Ok(None);
            };
            line.schedule.next();
            self.scheduled.fetch_add(1, Ordering::Relaxed);
            let arrival = Arrival {
                row,
                ..arrival(slot, due, asked, self.clock.now())
            };
            if line.offered.take(&arrival, self.max_late) {
                self.started.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(arrival));
            }
            on_drop(&arrival);
        }
    }

    /// Ends the schedule: what was due until `until` and was never taken counts as dropped at `now`.
    pub(crate) async fn close(&self, until: Nanos, now: Nanos, mut on_drop: impl FnMut(&Arrival)) {
        let mut line = self.line.lock().await;
        let Some(&zero) = self.zero.get().filter(|_| !line.is_dry) else {
            return;
        };
        while let Some(slot) = line
            .schedule
            .next_if(|slot| zero.0.saturating_add(slot.due.0) <= until.0)
        {
            let due = Nanos(zero.0.saturating_add(slot.due.0));
            self.scheduled.fetch_add(1, Ordering::Relaxed);
            line.offered.scheduled += 1;
            line.offered.dropped.users_exhausted += 1;
            on_drop(&Arrival {
                number: slot.number,
                due,
                taken: now.max(due),
                blame: Blame::UsersExhausted,
                row: Row::default(),
            });
        }
    }

    /// How many arrivals became due, and how many were started.
    pub(crate) fn counts(&self) -> (u64, u64) {
        // Started first: a reader may see an arrival too few started, never one too many.
        let started = self.started.load(Ordering::Relaxed);
        (self.scheduled.load(Ordering::Relaxed), started)
    }

    /// What became of the schedule, once nobody stands in line any more.
    pub(crate) async fn offered(&self) -> Offered {
        self.line.lock().await.offered
    }
}

fn arrival(slot: Slot, due: Nanos, asked: Nanos, taken: Nanos) -> Arrival {
    let blame = if asked <= due {
        Blame::Generator
    } else {
        Blame::UsersExhausted
    };
    Arrival {
        number: slot.number,
        due,
        taken,
        blame,
        row: Row::default(),
    }
}

impl Offered {
    /// Counts an arrival; whether it is started.
    fn take(&mut self, arrival: &Arrival, max_late: Option<Duration>) -> bool {
        let lateness = arrival.taken.since(arrival.due);
        self.scheduled += 1;
        let is_dropped = max_late.is_some_and(|max_late| lateness > max_late);
        if !is_dropped {
            self.started += 1;
        } else if arrival.blame == Blame::Generator {
            self.dropped.generator += 1;
        } else {
            self.dropped.users_exhausted += 1;
        }
        !is_dropped
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{ArrivalKind, Stage};
    use crate::units::RatePerSec;

    fn arrivals(rate: f64, seconds: f64, max_late: Option<Duration>) -> (Arc<Arrivals>, CancellationToken) {
        let stage = Stage {
            name: String::new(),
            length: Duration::from_secs_f64(seconds),
            from: RatePerSec(rate),
            to: RatePerSec(rate),
            virtual_users: (0, 0),
            is_warm_up: false,
            is_cool_down: false,
        };
        let stop = CancellationToken::new();
        let schedule = Schedule::new(&[stage], ArrivalKind::Even, 0);
        let clock = RunClock::start();
        let arrivals = Arrivals::new(schedule, max_late, clock, stop.clone()).unwrap();
        arrivals.begin(clock.now());
        (Arc::new(arrivals), stop)
    }

    /// Users who are busy for `busy` with each arrival; returns what they started, in order.
    async fn work(arrivals: &Arc<Arrivals>, users: usize, busy: Duration) -> Vec<Arrival> {
        let users: Vec<_> = (0..users)
            .map(|_| {
                let arrivals = Arc::clone(arrivals);
                tokio::spawn(async move {
                    let mut started = Vec::new();
                    while let Some(arrival) = arrivals.next(|_| Some(Row::default()), |_| ()).await.unwrap() {
                        started.push(arrival);
                        tokio::time::sleep(busy).await;
                    }
                    started
                })
            })
            .collect();
        let mut all = Vec::new();
        for user in users {
            all.extend(user.await.unwrap());
        }
        all.sort_unstable_by_key(|arrival| arrival.number);
        all
    }

    fn numbers(started: &[Arrival]) -> Vec<u64> {
        started.iter().map(|arrival| arrival.number).collect()
    }

    #[test]
    fn a_wait_for_a_connection_is_blamed_on_busy_users_unless_the_generator_was_late_itself() {
        let lateness = |blame, overslept, waited| {
            let arrival = Arrival {
                number: 0,
                due: Nanos(0),
                taken: Nanos::from_duration(overslept),
                blame,
                row: Row::default(),
            };
            arrival.lateness(waited)
        };
        let more = LATE + Duration::from_nanos(1);
        assert_eq!(lateness(Blame::Generator, LATE, false), Lateness::Generator);
        assert_eq!(lateness(Blame::Generator, LATE, true), Lateness::BusyUsers);
        assert_eq!(lateness(Blame::Generator, more, true), Lateness::Generator);
        assert_eq!(lateness(Blame::UsersExhausted, more, true), Lateness::BusyUsers);
        assert_eq!(lateness(Blame::Visit, more, true), Lateness::Untimed);
    }

    #[tokio::test]
    async fn every_arrival_is_started_once_and_late_ones_are_blamed_on_too_few_users() {
        let (arrivals, _) = arrivals(200.0, 0.5, None);
        let started = work(&arrivals, 1, Duration::from_millis(20)).await;
        assert_eq!(numbers(&started), (0..100).collect::<Vec<_>>());
        let offered = arrivals.offered().await;
        assert_eq!(
            (offered.scheduled, offered.started, offered.dropped.total()),
            (100, 100, 0)
        );
        let is_late = |arrival: &&Arrival| arrival.is_late(arrival.taken);
        let late: Vec<&Arrival> = started.iter().filter(is_late).collect();
        let exhausted = late.iter().filter(|late| late.blame == Blame::UsersExhausted);
        assert!(exhausted.count() > 90, "{late:?}");
        let last = started[99].taken.since(started[99].due);
        assert!(
            last > Duration::from_secs(1),
            "the last one waits for all before it: {last:?}"
        );
    }

    #[tokio::test]
    async fn what_is_too_late_is_dropped_and_counted() {
        let (arrivals, _) = arrivals(200.0, 0.5, Some(Duration::from_millis(15)));
        let started = work(&arrivals, 1, Duration::from_millis(50)).await;
        let offered = arrivals.offered().await;
        assert_eq!(offered.scheduled, 100);
        assert_eq!(offered.started, started.len() as u64);
        assert_eq!(offered.scheduled, offered.started + offered.dropped.total());
        assert!(offered.dropped.users_exhausted > 50, "{offered:?}");
        assert_eq!(arrivals.counts(), (100, offered.started));
    }

    #[tokio::test]
    async fn a_generator_that_stood_still_is_blamed_itself() {
        // On one thread, a user who blocks it keeps the waiting one from being woken.
        let (arrivals, _) = arrivals(100.0, 0.2, Some(Duration::from_millis(40)));
        let waiting = tokio::spawn({
            let arrivals = Arc::clone(&arrivals);
            async move { while arrivals.next(|_| Some(Row::default()), |_| ()).await.unwrap().is_some() {} }
        });
        while arrivals.counts().1 == 0 {
            tokio::task::yield_now().await;
        }
        let until = std::time::Instant::now() + Duration::from_millis(100);
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        waiting.await.unwrap();
        let offered = arrivals.offered().await;
        assert!(offered.dropped.generator >= 1, "{offered:?}");
        assert_eq!(offered.scheduled, 20);
        assert_eq!(offered.scheduled, offered.started + offered.dropped.total());
    }

    #[tokio::test]
    async fn a_stop_ends_the_arrivals_without_losing_one() {
        let (arrivals, stop) = arrivals(1_000.0, 60.0, None);
        let users = tokio::spawn({
            let arrivals = Arc::clone(&arrivals);
            async move { work(&arrivals, 4, Duration::ZERO).await }
        });
        while arrivals.counts().1 < 20 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        let started = users.await.unwrap();
        let offered = arrivals.offered().await;
        assert_eq!(numbers(&started), (0..offered.started).collect::<Vec<_>>());
        assert_eq!(offered.scheduled, offered.started);
    }
}
