//! Objectives: what users were promised, over a sliding window. When a breach began and ended is told by
//! [`crate::analysis::incident`]; here is only whether the promise was kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::analysis::incident::Second;
use crate::units::{Nanos, Ratio};

/// At least this share of requests is served, in every window of this length.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Promise {
    pub name: String,
    pub availability: Ratio,
    pub over: Duration,
    /// A window with fewer requests than this proves nothing.
    pub least_requests: u64,
}

/// Three values: a promise that nobody tested is not kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Kept {
    /// In the worst window, this share was served.
    Met {
        worst: Ratio,
    },
    /// The worst window, and what was served in it.
    Missed {
        worst: Ratio,
        from: Nanos,
    },
    Unknown {
        reason: String,
    },
}

/// Judges a promise by what users got, second by second and without holes.
///
/// ```
/// use std::time::Duration;
/// use soundcheck::analysis::incident::Second;
/// use soundcheck::units::{Nanos, Ratio};
/// use soundcheck::verdict::objective::{Kept, Promise, judge};
///
/// let promise = Promise {
///     name: "booking".to_owned(),
///     availability: Ratio(0.9),
///     over: Duration::from_secs(2),
///     least_requests: 10,
/// };
/// let second = |at: u64, failed| Second { at: Nanos(at * 1_000_000_000), served: 10 - failed, failed, p99: None };
/// assert_eq!(judge(&promise, &[second(0, 0), second(1, 2)]), Kept::Met { worst: Ratio(0.9) });
/// ```
pub fn judge(promise: &Promise, seconds: &[Second]) -> Kept {
    let length = usize::try_from(promise.over.as_secs()).unwrap_or(usize::MAX).max(1);
    let mut worst: Option<(Ratio, Nanos)> = None;
    for window in seconds.windows(length) {
        let served: u64 = window.iter().map(|second| second.served).sum();
        let asked: u64 = served + window.iter().map(|second| second.failed).sum::<u64>();
        if asked == 0 || asked < promise.least_requests {
            continue;
        }
        let share = Ratio(served as f64 / asked as f64);
        if worst.is_none_or(|(least, _)| share.0 < least.0) {
            worst = window.first().map(|first| (share, first.at));
        }
    }
    match worst {
        None => Kept::Unknown {
            reason: format!(
                "no window of {} s had {} requests",
                promise.over.as_secs(),
                promise.least_requests.max(1)
            ),
        },
        Some((worst, from)) if worst.0 < promise.availability.0 => Kept::Missed { worst, from },
        Some((worst, _)) => Kept::Met { worst },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failed: &[u64], expected: &Kept) {
        let promise = Promise {
            name: "booking".to_owned(),
            availability: Ratio(0.9),
            over: Duration::from_secs(2),
            least_requests: 10,
        };
        let seconds = failed.iter().enumerate().map(|(at, &failed)| Second {
            at: Nanos(at as u64),
            served: 10 - failed,
            failed,
            p99: None,
        });
        assert_eq!(&judge(&promise, &seconds.collect::<Vec<_>>()), expected);
    }

    #[test]
    fn the_worst_window_decides() {
        check(&[0, 0, 0], &Kept::Met { worst: Ratio(1.0) });
        check(&[0, 2, 0, 1, 0], &Kept::Met { worst: Ratio(0.9) });
        check(
            &[0, 0, 5, 1, 0],
            &Kept::Missed {
                worst: Ratio(0.7),
                from: Nanos(2),
            },
        );
    }

    #[test]
    fn too_little_data_never_passes() {
        let unknown = Kept::Unknown {
            reason: "no window of 2 s had 10 requests".to_owned(),
        };
        check(&[], &unknown);
        check(&[0], &unknown);
    }
}
