//! What counters counted. A counter only rises; when it falls, its process was started again and counted from zero.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::series::{Point, Reading};
use crate::units::{Nanos, Ratio};

/// How much a counter counted over a stretch of time.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Increase {
    /// In the counter's unit.
    pub amount: f64,
    /// How many times it was found lower than before, or gone.
    pub resets: u32,
    /// How many scrapes failed meanwhile. With a gap, a reset inside it goes unseen, and `amount` is a lower bound.
    pub gaps: u32,
}

/// The increase from the first to the last value. After a reset the new value is what has been counted since
/// (Prometheus' rule); what was counted between the last scrape and the reset is lost. A series that appears where a
/// scrape had succeeded without it has counted from zero. `None` with fewer than two scrapes that succeeded.
///
/// ```
/// use soundcheck::analysis::counter::increase;
/// use soundcheck::analysis::series::points;
/// use soundcheck::units::Nanos;
///
/// let at: Vec<Nanos> = (1..=4).map(Nanos).collect();
/// let restarted = points(&at, &[], [(Nanos(1), 90.0), (Nanos(2), 100.0), (Nanos(3), 5.0), (Nanos(4), 8.0)]);
/// let counted = increase(&restarted).ok_or("too few scrapes")?;
/// assert_eq!((counted.amount, counted.resets), (18.0, 1));
/// # Ok::<(), &str>(())
/// ```
pub fn increase(points: &[Point]) -> Option<Increase> {
    let mut total = Increase {
        amount: 0.0,
        resets: 0,
        gaps: 0,
    };
    let mut before: Option<f64> = None;
    let mut scrapes = 0_u32;
    for point in points {
        let now = match point.reading {
            Reading::Gap => {
                // Gaps before the first and after the last scrape lie outside of what is compared; see below.
                total.gaps += u32::from(before.is_some());
                continue;
            }
            Reading::Value(value) => value,
            Reading::Absent => 0.0,
        };
        scrapes += 1;
        if let Some(before) = before {
            if now < before {
                total.resets += 1;
                total.amount += now;
            } else {
                total.amount += now - before;
            }
        }
        before = Some(now);
    }
    let trailing = points
        .iter()
        .rev()
        .take_while(|point| point.reading == Reading::Gap)
        .count();
    total.gaps = total.gaps.saturating_sub(u32::try_from(trailing).unwrap_or(u32::MAX));
    let shown = points.iter().any(|point| point.reading.value().is_some());
    (scrapes >= 2 && shown && total.amount.is_finite()).then_some(total)
}

/// The increase between two moments, such as the edges of a slice: from the latest scrape at or before `from` to the
/// latest at or before `until`. `None` when there is no successful scrape within `tolerance` before either, rather than
/// the increase of a shorter or longer time.
pub fn increase_between(points: &[Point], from: Nanos, until: Nanos, tolerance: Duration) -> Option<Increase> {
    let edge = |at: Nanos| {
        let latest = points.partition_point(|point| point.at <= at).checked_sub(1)?;
        let is_fresh = at.since(points[latest].at) <= tolerance;
        (is_fresh && points[latest].reading != Reading::Gap).then_some(latest)
    };
    let (first, last) = (edge(from)?, edge(until)?);
    increase(points.get(first..=last)?)
}

/// The rate a second at each point: the increase since the scrape before, over the time since it. A gap and the point
/// after it have none: their increase belongs to a longer time.
pub fn rate(points: &[Point]) -> Vec<Point> {
    let mut before: Option<Point> = None;
    let mut rates = Vec::with_capacity(points.len());
    for point in points {
        let counted = before.and_then(|before| {
            let seconds = point.at.since(before.at).as_secs_f64();
            let counted = increase(&[before, *point])?;
            (seconds > 0.0).then(|| counted.amount / seconds)
        });
        let reading = match (point.reading, counted) {
            (Reading::Gap, _) => Reading::Gap,
            (_, Some(rate)) => Reading::Value(rate),
            (_, None) => Reading::Absent,
        };
        rates.push(Point { at: point.at, reading });
        before = (point.reading != Reading::Gap).then_some(*point);
    }
    rates
}

/// Hits over hits and misses; `None` when nothing was asked for.
pub fn hit_ratio(hits: f64, misses: f64) -> Option<Ratio> {
    let asked = hits + misses;
    (asked > 0.0 && hits >= 0.0 && misses >= 0.0).then(|| Ratio(hits / asked))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(readings: &[Reading]) -> Vec<Point> {
        let second = |i: usize| Nanos(i as u64 * 1_000_000_000);
        readings
            .iter()
            .enumerate()
            .map(|(i, reading)| Point {
                at: second(i),
                reading: *reading,
            })
            .collect()
    }

    fn counted(values: &[f64]) -> Vec<Point> {
        series(&values.iter().map(|v| Reading::Value(*v)).collect::<Vec<_>>())
    }

    #[track_caller]
    fn check(readings: &[Reading], expected: Option<(f64, u32, u32)>) {
        let got = increase(&series(readings)).map(|i| (i.amount, i.resets, i.gaps));
        assert_eq!(got, expected);
    }

    #[test]
    fn increases() {
        use Reading::{Absent, Gap, Value};
        check(&[], None);
        check(&[Value(5.0)], None);
        check(&[Absent, Absent], None);
        check(&[Value(5.0), Value(5.0)], Some((0.0, 0, 0)));
        check(&[Value(5.0), Gap, Value(9.0)], Some((4.0, 0, 1)));
        check(&[Gap, Value(5.0), Value(9.0), Gap], Some((4.0, 0, 0)));
        check(&[Gap, Gap], None);
        check(&[Value(5.0), Gap], None);
        // A label seen for the first time has counted from zero.
        check(&[Absent, Value(3.0), Value(4.0)], Some((4.0, 0, 0)));
        // A process that was started again shows nothing before it counts.
        check(&[Value(7.0), Absent, Value(2.0)], Some((2.0, 1, 0)));
        check(&[Value(f64::INFINITY), Value(1.0)], Some((1.0, 1, 0)));
        check(&[Value(1.0), Value(f64::INFINITY)], None);
    }

    proptest! {
        #[test]
        fn resets_lose_only_what_no_scrape_saw(
            steps in prop::collection::vec((0_u32..1_000, prop::bool::weighted(0.1)), 2..80)
        ) {
            let (mut counter, mut values, mut seen) = (0.0_f64, Vec::new(), 0.0_f64);
            for (i, (added, restarted)) in steps.iter().enumerate() {
                let before = counter;
                counter = if *restarted { f64::from(*added) } else { counter + f64::from(*added) };
                if i > 0 {
                    // A restart that has overtaken the old value is invisible, and counts as less.
                    seen += if counter < before { counter } else { counter - before };
                }
                values.push(counter);
            }
            let got = increase(&counted(&values)).unwrap();
            prop_assert!((got.amount - seen).abs() < 1e-9);
            let true_total: u32 = steps[1..].iter().map(|(added, _)| added).sum();
            prop_assert!(got.amount <= f64::from(true_total) + 1e-9);
        }

        #[test]
        fn without_resets_gaps_lose_nothing(
            steps in prop::collection::vec((0_u32..1_000, prop::bool::weighted(0.3)), 2..80)
        ) {
            let mut counter = 0.0;
            let mut readings = vec![Reading::Value(0.0)];
            for (added, gap) in &steps {
                counter += f64::from(*added);
                readings.push(if *gap { Reading::Gap } else { Reading::Value(counter) });
            }
            readings.push(Reading::Value(counter));
            let got = increase(&series(&readings)).unwrap();
            prop_assert_eq!((got.amount, got.resets), (counter, 0));
            prop_assert_eq!(got.gaps as usize, steps.iter().filter(|(_, gap)| *gap).count());
        }
    }

    #[test]
    fn a_rate_does_not_cross_a_gap() {
        use Reading::{Absent, Gap, Value};
        let rates = rate(&series(&[
            Value(0.0),
            Value(10.0),
            Gap,
            Value(40.0),
            Value(45.0),
            Value(1.0),
        ]));
        let readings: Vec<Reading> = rates.iter().map(|p| p.reading).collect();
        assert_eq!(readings, [Absent, Value(10.0), Gap, Absent, Value(5.0), Value(1.0)]);
    }

    #[test]
    fn edges_need_a_fresh_value() {
        let points = counted(&[0.0, 10.0, 30.0, 60.0]);
        let second = |s: f64| Nanos((s * 1e9) as u64);
        let between = |a, b, ms| increase_between(&points, second(a), second(b), Duration::from_millis(ms));
        assert_eq!(between(1.0, 3.0, 0).unwrap().amount, 50.0);
        assert_eq!(between(1.2, 2.9, 900).unwrap().amount, 20.0);
        assert_eq!(between(1.2, 2.9, 100), None);
        assert_eq!(between(1.0, 9.0, 1_000), None);
        assert_eq!(between(3.0, 1.0, 0), None);
        // Seen for the first time at the second edge: all of it was counted in between.
        let new = series(&[Reading::Absent, Reading::Value(7.0), Reading::Gap]);
        let between = |a, b| increase_between(&new, second(a), second(b), Duration::from_millis(100));
        assert_eq!(between(0.0, 1.0).unwrap().amount, 7.0);
        assert_eq!(between(0.0, 2.0), None);
    }

    #[test]
    fn nothing_asked_for_has_no_hit_ratio() {
        assert_eq!(hit_ratio(0.0, 0.0), None);
        assert_eq!(hit_ratio(3.0, 1.0), Some(Ratio(0.75)));
    }
}
