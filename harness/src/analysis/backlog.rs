//! What was due and not yet done: how far a fault made it grow, and when it was no larger than before.
//!
//! What is due is known to the moment, from the final state; what is done is a counter, known at each scrape. Of work that
//! goes on there is always some under way, so that a backlog is over when it is back to what it was before the fault, and
//! not when it happens to be empty.

use serde::{Deserialize, Serialize};

use super::incident::FaultWindow;
use crate::units::Nanos;

/// A backlog around a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Backlog {
    /// The most that was under way at a scrape before the fault.
    pub before: u64,
    /// The most that was under way at a scrape from the injection on.
    pub most: u64,
    /// The first scrape after the heal at which no more was under way than before the fault; `None` when there was none
    /// in the recording.
    pub caught_up: Option<Nanos>,
}

/// The backlog of what fell due at the moments `due`, of which `done` counts what was done, scrape by scrape from `since`
/// on. `None` without a scrape before the fault and one after the heal, or when the counter began anew: then nobody knows.
///
/// ```
/// use soundcheck::analysis::backlog::backlog;
/// use soundcheck::analysis::incident::FaultWindow;
/// use soundcheck::units::Nanos;
///
/// let second = |n: u64| Nanos(n * 1_000_000_000);
/// let fault = FaultWindow { injected: second(3), healed: second(6) };
/// let due: Vec<Nanos> = (1..10).map(second).collect();
/// let done = [(2, 2.0), (4, 2.0), (6, 2.0), (7, 6.0), (8, 8.0)].map(|(at, done)| (second(at), done));
/// let found = backlog(&due, &done, second(0), fault).ok_or("not scraped")?;
/// assert_eq!((found.before, found.most, found.caught_up), (0, 4, Some(second(8))));
/// # Ok::<(), &str>(())
/// ```
pub fn backlog(due: &[Nanos], done: &[(Nanos, f64)], since: Nanos, fault: FaultWindow) -> Option<Backlog> {
    let is_reset = done.windows(2).any(|pair| pair[1].1 < pair[0].1);
    if is_reset {
        return None;
    }
    let under_way = |(at, done): &(Nanos, f64)| {
        let fallen_due = due.iter().filter(|moment| *moment <= at).count() as u64;
        (*at, fallen_due.saturating_sub(*done as u64))
    };
    let seen: Vec<(Nanos, u64)> = done.iter().filter(|(at, _)| *at >= since).map(under_way).collect();
    let most = |is_of: &dyn Fn(Nanos) -> bool| seen.iter().filter(|(at, _)| is_of(*at)).map(|(_, n)| *n).max();
    let before = most(&|at| at < fault.injected)?;
    most(&|at| at >= fault.healed)?;
    Some(Backlog {
        before,
        most: most(&|at| at >= fault.injected)?,
        caught_up: seen
            .iter()
            .find(|(at, n)| *at >= fault.healed && *n <= before)
            .map(|(at, _)| *at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Nanos {
        Nanos(n * 1_000_000_000)
    }

    const FAULT: (u64, u64) = (10, 20);

    #[track_caller]
    fn check(due: &[u64], done: &[(u64, f64)], expected: Option<(u64, u64, Option<u64>)>) {
        let fault = FaultWindow {
            injected: second(FAULT.0),
            healed: second(FAULT.1),
        };
        let due: Vec<Nanos> = due.iter().map(|at| second(*at)).collect();
        let done: Vec<(Nanos, f64)> = done.iter().map(|(at, done)| (second(*at), *done)).collect();
        let found = backlog(&due, &done, second(1), fault);
        let found = found.map(|found| (found.before, found.most, found.caught_up));
        let expected = expected.map(|(before, most, caught_up)| (before, most, caught_up.map(second)));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_always_under_way_is_no_backlog() {
        // One is always under way, before and after.
        let due: Vec<u64> = (1..=30).collect();
        let done = [
            (5, 4.0),
            (9, 8.0),
            (15, 9.0),
            (20, 9.0),
            (21, 12.0),
            (24, 23.0),
            (30, 29.0),
        ];
        check(&due, &done, Some((1, 11, Some(24))));
    }

    #[test]
    fn a_backlog_that_is_never_worked_off_has_no_end() {
        let due: Vec<u64> = (1..=12).collect();
        check(&due, &[(9, 9.0), (15, 9.0), (30, 10.0)], Some((0, 3, None)));
    }

    #[test]
    fn a_fault_that_holds_nothing_up_is_over_with_the_first_look() {
        check(&[], &[(9, 0.0), (21, 0.0)], Some((0, 0, Some(21))));
    }

    #[test]
    fn nothing_is_known_without_a_look_on_both_sides_or_of_a_counter_that_began_anew() {
        check(&[5], &[], None);
        check(&[5], &[(12, 1.0), (21, 1.0)], None);
        check(&[5], &[(9, 1.0), (19, 1.0)], None);
        check(&[5], &[(9, 1.0), (15, 0.0), (21, 1.0)], None);
    }
}
