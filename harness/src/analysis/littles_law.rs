//! Little's law: what a number of users can possibly ask for, and how many are under way. A throughput above it was
//! miscounted.

use std::time::Duration;

use crate::units::RatePerSec;

/// The most that `users` can complete a second when each waits the mean `response` and then thinks for the mean `think`:
/// `X ≤ N / (R + Z)` (Little 1961; the interactive response-time law). `None` when response and think time are both zero.
///
/// ```
/// use std::time::Duration;
/// use soundcheck::analysis::littles_law::largest_throughput;
/// use soundcheck::units::RatePerSec;
///
/// let most = largest_throughput(50, Duration::from_millis(200), Duration::from_millis(800));
/// assert_eq!(most, Some(RatePerSec(50.0)));
/// ```
pub fn largest_throughput(users: u64, response: Duration, think: Duration) -> Option<RatePerSec> {
    let cycle = (response + think).as_secs_f64();
    (cycle > 0.0).then(|| RatePerSec(users as f64 / cycle))
}

/// How many requests are under way on average: `N = X · R`. The estimate beside a measured pool or queue.
///
/// ```
/// use std::time::Duration;
/// use soundcheck::analysis::littles_law::concurrency;
/// use soundcheck::units::RatePerSec;
///
/// assert_eq!(concurrency(RatePerSec(400.0), Duration::from_millis(25)), 10.0);
/// ```
pub fn concurrency(throughput: RatePerSec, response: Duration) -> f64 {
    throughput.0 * response.as_secs_f64()
}

/// Whether a claimed throughput is possible, with a twentieth to spare for the ends of the window, at which requests are
/// counted that began or ended outside. `None` when there is no limit to compare with.
pub fn is_possible(claimed: RatePerSec, users: u64, response: Duration, think: Duration) -> Option<bool> {
    const SLACK: f64 = 1.05;
    largest_throughput(users, response, think).map(|most| claimed.0 <= most.0 * SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_throughput_is_recognised() {
        let (response, think) = (Duration::from_millis(100), Duration::from_millis(400));
        assert_eq!(is_possible(RatePerSec(100.0), 50, response, think), Some(true));
        assert_eq!(is_possible(RatePerSec(106.0), 50, response, think), Some(false));
        assert_eq!(is_possible(RatePerSec(1.0), 50, Duration::ZERO, Duration::ZERO), None);
    }
}
