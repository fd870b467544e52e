//! An incident in numbers: when users were first hurt, when that was noticeable, and when it was over. Who was
//! hurt is told by [`super::blast_radius`].
//!
//! The input is one entry a second, by when answers came (or were given up): what an observer could have seen at that
//! moment. A second without requests is unknown; it is never good.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::quantile::Value;
use crate::units::{Nanos, Ratio};

/// What users got in one second.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Second {
    /// Start of the second.
    pub at: Nanos,
    /// Requests that the service answered properly.
    pub served: u64,
    /// Errors, time-outs, lost connections, dropped arrivals and journeys that were cut off.
    pub failed: u64,
    /// 99th percentile of response time in nanoseconds; `None` without requests.
    pub p99: Option<Value>,
}

/// What users were promised.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Objective {
    /// At least this share is served.
    pub availability: Ratio,
    /// p99 of response time is at most this; `None` promises nothing.
    pub p99_at_most: Option<Nanos>,
}

/// How a second compares with the objective.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    Good,
    Bad,
    /// Nothing was asked for.
    Unknown,
}

impl Objective {
    /// Judges one second.
    pub fn judge(&self, second: &Second) -> Quality {
        let asked = second.served + second.failed;
        if asked == 0 {
            return Quality::Unknown;
        }
        let slow = match (self.p99_at_most, second.p99) {
            (Some(limit), Some(p99)) => p99 > Value::Finite(limit.0),
            _ => false,
        };
        // A failed request is already counted against availability; an infinite p99 would only count it again.
        let slow = slow && second.p99 != Some(Value::Infinite);
        if slow || (second.served as f64) < self.availability.0 * asked as f64 {
            Quality::Bad
        } else {
            Quality::Good
        }
    }
}

/// When the fault was there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FaultWindow {
    pub injected: Nanos,
    pub healed: Nanos,
}

/// How many seconds in a row make a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Runs {
    /// Bad ones that a watcher needs before saying "something is wrong".
    pub to_detect: usize,
    /// Good ones that end an incident. A bad second alone, with as many good ones before and after it, is no relapse:
    /// no watcher would speak of it.
    pub to_recover: usize,
    /// What a second is in which nothing ended. Unknown by default; bad where arrivals went on at ten a second or more
    /// all the while, since then every user was left waiting.
    pub silence: Quality,
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            to_detect: 2,
            to_recover: 5,
            silence: Quality::Unknown,
        }
    }
}

/// The moments of an incident.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Times {
    /// Start of the first bad second from the injection on.
    pub first_bad: Option<Nanos>,
    /// End of the run of bad seconds that a watcher needs.
    pub detected: Option<Nanos>,
    /// Start of the good seconds, at or after the heal, that ended the incident for good. `None` when the recording ends
    /// before enough of them are known.
    pub recovered: Option<Nanos>,
    /// Start of the good seconds, at or after the heal, that nothing but bad seconds alone interrupted since, however few
    /// they are.
    pub good_since: Option<Nanos>,
    /// Start of the last second; `None` without any.
    pub last: Option<Nanos>,
    /// Bad seconds from the injection on.
    pub bad_seconds: u64,
    /// Those of them since [`Times::good_since`], each alone.
    pub bad_after: u64,
    /// Seconds from the injection on in which nothing was asked for.
    pub unknown_seconds: u64,
    /// Bad seconds before the injection: with any, the steady-state hypothesis did not hold to begin with.
    pub bad_before: u64,
}

impl Times {
    /// From the injection until a watcher could tell; `None` when none could.
    pub fn to_detect(&self, fault: FaultWindow) -> Option<Duration> {
        self.detected.map(|at| at.since(fault.injected))
    }

    /// From the heal until the objective was good for good. Zero when it held from the heal on; `None` when the recording
    /// does not show that it was good again.
    pub fn to_recover(&self, fault: FaultWindow) -> Option<Duration> {
        self.recovered.map(|at| at.since(fault.healed))
    }
}

/// Finds the moments of an incident in seconds that stand in order of time.
///
/// ```
/// use soundcheck::analysis::incident::{FaultWindow, Objective, Runs, Second, times};
/// use soundcheck::units::{Nanos, Ratio};
///
/// let second = |n: u64| Nanos(n * 1_000_000_000);
/// let seconds: Vec<Second> = (0..30)
///     .map(|n| Second { at: second(n), served: 100, failed: if (10..17).contains(&n) { 40 } else { 0 }, p99: None })
///     .collect();
/// let fault = FaultWindow { injected: second(10), healed: second(15) };
/// let objective = Objective { availability: Ratio(0.999), p99_at_most: None };
/// let found = times(&seconds, objective, fault, Runs::default());
/// assert_eq!(found.to_detect(fault).map(|t| t.as_secs()), Some(2));
/// assert_eq!(found.to_recover(fault).map(|t| t.as_secs()), Some(2));
/// ```
pub fn times(seconds: &[Second], objective: Objective, fault: FaultWindow, runs: Runs) -> Times {
    const SECOND: Duration = Duration::from_secs(1);
    let mut found = Times {
        first_bad: None,
        detected: None,
        recovered: None,
        good_since: None,
        last: seconds.last().map(|last| last.at),
        bad_seconds: 0,
        bad_after: 0,
        unknown_seconds: 0,
        bad_before: 0,
    };
    let (mut bad_run, mut good_run) = (0, 0);
    for second in seconds {
        let quality = match objective.judge(second) {
            Quality::Unknown => runs.silence,
            judged => judged,
        };
        // The second in which the fault began belongs to it: its end was not healthy any more.
        if second.at.plus(SECOND) <= fault.injected {
            found.bad_before += u64::from(quality == Quality::Bad);
            continue;
        }
        match quality {
            Quality::Bad => {
                found.bad_seconds += 1;
                found.first_bad = found.first_bad.or(Some(second.at.max(fault.injected)));
                bad_run += 1;
                let is_noticed = bad_run >= runs.to_detect;
                if is_noticed {
                    found.detected = found.detected.or(Some(second.at.plus(SECOND)));
                }
                if good_run >= runs.to_recover && !is_noticed {
                    found.bad_after += 1;
                } else {
                    (found.good_since, found.bad_after) = (None, 0);
                }
                good_run = 0;
            }
            Quality::Good => {
                bad_run = 0;
                if second.at.plus(SECOND) > fault.healed {
                    good_run += 1;
                    found.good_since = found.good_since.or(Some(second.at.max(fault.healed)));
                }
            }
            // Breaks no run and makes none: silence is neither an alarm nor an all-clear.
            Quality::Unknown => found.unknown_seconds += 1,
        }
    }
    // For good: a relapse would have cleared it.
    found.recovered = found.good_since.filter(|_| good_run >= runs.to_recover);
    found
}

/// How much of an error budget the run spent: failures over what the objective allows for its requests. 1 is all of it.
/// `None` without requests or with an objective that allows nothing.
pub fn budget_spent(seconds: &[Second], availability: Ratio) -> Option<f64> {
    let failed: u64 = seconds.iter().map(|s| s.failed).sum();
    let asked: u64 = seconds.iter().map(|s| s.served + s.failed).sum();
    let allowed = (1.0 - availability.0) * asked as f64;
    (allowed > 0.0).then(|| failed as f64 / allowed)
}

/// Joins the seconds of several endpoints or variants: counts are added, and p99 is left out, since quantiles do not add.
pub fn join_counts<'a>(parts: impl IntoIterator<Item = &'a [Second]>) -> Vec<Second> {
    let mut joined: BTreeMap<Nanos, Second> = BTreeMap::new();
    for second in parts.into_iter().flatten() {
        let into = joined.entry(second.at).or_insert(Second {
            served: 0,
            failed: 0,
            p99: None,
            ..*second
        });
        into.served += second.served;
        into.failed += second.failed;
    }
    joined.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVE: Objective = Objective {
        availability: Ratio(0.99),
        p99_at_most: Some(Nanos(500_000_000)),
    };

    fn at(second: u64) -> Nanos {
        Nanos(second * 1_000_000_000)
    }

    /// One letter a second: good, bad, slow, or silent.
    fn seconds(letters: &str) -> Vec<Second> {
        let second = |(n, letter): (usize, char)| {
            let (served, failed, p99_ms) = match letter {
                'g' => (100, 0, Some(20)),
                'b' => (50, 50, Some(20)),
                's' => (100, 0, Some(900)),
                _ => (0, 0, None),
            };
            Second {
                at: at(n as u64),
                served,
                failed,
                p99: p99_ms.map(|ms| Value::Finite(ms * 1_000_000)),
            }
        };
        letters.chars().enumerate().map(second).collect()
    }

    /// Injected at 5, healed at 10; expected are seconds from injection to detection, and from heal to recovery.
    #[track_caller]
    fn check(letters: &str, detect: Option<u64>, recover: Option<u64>) -> Times {
        let fault = FaultWindow {
            injected: at(5),
            healed: at(10),
        };
        let got = times(
            &seconds(letters),
            OBJECTIVE,
            fault,
            Runs {
                to_detect: 2,
                to_recover: 3,
                silence: Quality::Unknown,
            },
        );
        assert_eq!(got.to_detect(fault).map(|t| t.as_secs()), detect, "{got:?}");
        assert_eq!(got.to_recover(fault).map(|t| t.as_secs()), recover, "{got:?}");
        got
    }

    #[test]
    fn moments() {
        check("gggggbbbbbbbggggg", Some(2), Some(2));
        check("gggggsssssggggggg", Some(2), Some(0));
        // One bad second is a blip that no watcher reports.
        check("gggggbgggggggggg", None, Some(0));
        // Silence during the fault: nothing is known of it, and it delays the alarm without hiding it.
        check("gggggb.....bbggggg", Some(7), Some(3));
        // A relapse starts the recovery anew, and so does any bad second before the all-clear.
        check("gggggbbbbbgggbbggggg", Some(2), Some(5));
        check("gggggbbbbbggbggggg", Some(2), Some(3));
        // Too short an all-clear, and an end in silence, are none.
        check("gggggbbbbbbbgg", Some(2), None);
        check("gggggbbbbb......", Some(2), None);
        check("", None, None);
    }

    #[test]
    fn a_bad_second_alone_is_no_relapse_and_is_counted() {
        let blips = check("gggggbbbbbgggbgggbggg", Some(2), Some(0));
        assert_eq!((blips.bad_seconds, blips.bad_after), (7, 2));
        // Two with too little between them, good or silent, are a relapse.
        for relapse in ["gggggbbbbbgggbgbggg", "gggggbbbbbgggb.bggg"] {
            assert_eq!(check(relapse, Some(2), Some(6)).bad_after, 0);
        }
        // Of the last one nobody knows whether it is alone.
        for end in ["", "gg", "...."] {
            let open = check(&format!("gggggbbbbbgggb{end}"), Some(2), None);
            assert_eq!((open.good_since, open.bad_after), (Some(at(10)), 1));
        }
    }

    #[test]
    fn too_few_good_seconds_at_the_end_are_told_from_none() {
        assert_eq!(check("gggggbbbbbbbgg", Some(2), None).good_since, Some(at(12)));
        assert_eq!(check("gggggbbbbbbbggb", Some(2), None).good_since, None);
        assert_eq!(check("gggggbbbbbgggbb", Some(2), None).good_since, None);
    }

    #[test]
    fn silence_under_load_is_an_outage() {
        let fault = FaultWindow {
            injected: at(5),
            healed: at(10),
        };
        let runs = Runs {
            to_detect: 2,
            to_recover: 3,
            silence: Quality::Bad,
        };
        let got = times(&seconds("ggggg......bggggg"), OBJECTIVE, fault, runs);
        assert_eq!(
            (got.first_bad, got.detected, got.bad_seconds),
            (Some(at(5)), Some(at(7)), 7)
        );
        assert_eq!((got.recovered, got.unknown_seconds), (Some(at(12)), 0));
    }

    #[test]
    fn a_sick_start_is_told() {
        assert_eq!(check("gbbggbbbbbgggg", Some(2), Some(0)).bad_before, 2);
        assert_eq!(check("gggggbb..bgggg", Some(2), Some(0)).unknown_seconds, 2);
    }

    #[test]
    fn failures_do_not_count_twice() {
        let second = Second {
            at: at(0),
            served: 995,
            failed: 5,
            p99: Some(Value::Infinite),
        };
        assert_eq!(OBJECTIVE.judge(&second), Quality::Good);
    }

    #[test]
    fn budgets_and_sums() {
        let run = seconds("gggb");
        assert_eq!(budget_spent(&run, Ratio(0.9)).map(|b| b.round()), Some(1.0));
        assert_eq!(budget_spent(&seconds("...."), Ratio(0.9)), None);
        assert_eq!(budget_spent(&run, Ratio(1.0)), None);
        let joined = join_counts([&run[..], &run[2..]]);
        assert_eq!(
            joined.iter().map(|s| s.served).collect::<Vec<_>>(),
            [100, 100, 200, 100]
        );
    }
}
