//! A scraped series as points in time. Between two points nothing is made up: there is no interpolation here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::recording::SeriesSet;
use crate::recording::series::Series;
use crate::units::Nanos;

/// What one scrape says about one series.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// The value shown.
    Value(f64),
    /// The scrape succeeded and did not show the series, or showed "not a number": nothing has been observed.
    Absent,
    /// The scrape failed: nothing is known.
    Gap,
}

impl Reading {
    /// A scraped value; "not a number" is Prometheus' way of saying that there is none.
    pub const fn of(value: f64) -> Self {
        if value.is_nan() {
            Self::Absent
        } else {
            Self::Value(value)
        }
    }

    /// The number, where there is one.
    pub const fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Gap => None,
        }
    }
}

/// A reading and its moment.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Point {
    pub at: Nanos,
    pub reading: Reading,
}

/// Joins the values of a series with the moments at which its source was scraped or failed to be. All three are in
/// order of time; so is the result.
///
/// ```
/// use soundcheck::analysis::series::{Reading, points};
/// use soundcheck::units::Nanos;
///
/// let second = |n: u64| Nanos(n * 1_000_000_000);
/// let got = points(&[second(1), second(2), second(4)], &[second(3)], [(second(2), 7.0), (second(4), 8.0)]);
/// let readings: Vec<Reading> = got.iter().map(|point| point.reading).collect();
/// assert_eq!(readings, [Reading::Absent, Reading::Value(7.0), Reading::Gap, Reading::Value(8.0)]);
/// ```
pub fn points(scrapes: &[Nanos], gaps: &[Nanos], values: impl IntoIterator<Item = (Nanos, f64)>) -> Vec<Point> {
    let mut values = values.into_iter().peekable();
    let mut joined: Vec<Point> = scrapes
        .iter()
        .map(|at| {
            while values.next_if(|(t, _)| t < at).is_some() {}
            let reading = values
                .next_if(|(t, _)| t == at)
                .map_or(Reading::Absent, |(_, value)| Reading::of(value));
            Point { at: *at, reading }
        })
        .chain(gaps.iter().map(|at| Point {
            at: *at,
            reading: Reading::Gap,
        }))
        .collect();
    joined.sort_by_key(|point| point.at);
    joined
}

/// A series of a recording, with the gaps of its source.
pub fn read(set: &SeriesSet, series: &Series) -> Vec<Point> {
    let Some(source) = set.sources().get(&series.def.source) else {
        return Vec::new();
    };
    let gaps: Vec<Nanos> = source.gaps.iter().map(|(at, _)| *at).collect();
    points(&source.scrapes, &gaps, set.points(series))
}

/// The sum of all series with this name from this source whose labels hold the wanted ones, such as the hits of a cache
/// whatever their layer. `None` when there is no such series: then nothing was counted, which is not zero.
pub fn read_sum(set: &SeriesSet, source: &str, name: &str, wanted: &[(&str, &str)]) -> Option<Vec<Point>> {
    let chosen: Vec<Vec<Point>> = set
        .named(name)
        .filter(|series| series.def.source == source)
        .filter(|series| {
            wanted
                .iter()
                .all(|(label, value)| series.def.labels.get(*label).is_some_and(|v| v == value))
        })
        .map(|series| read(set, series))
        .collect();
    sum(&chosen)
}

/// The sum of series of one source, which share their moments. A gap in one is a gap in the sum; an absent series adds
/// nothing; where all are absent, so is the sum. `None` when the moments differ.
pub fn sum(series: &[Vec<Point>]) -> Option<Vec<Point>> {
    let (first, others) = series.split_first()?;
    let mut total = first.clone();
    for other in others {
        if other.len() != total.len() {
            return None;
        }
        for (into, from) in total.iter_mut().zip(other) {
            if into.at != from.at {
                return None;
            }
            into.reading = match (into.reading, from.reading) {
                (Reading::Gap, _) | (_, Reading::Gap) => Reading::Gap,
                (Reading::Value(a), Reading::Value(b)) => Reading::Value(a + b),
                (value, Reading::Absent) | (Reading::Absent, value) => value,
            };
        }
    }
    Some(total)
}

/// The points from `from` to before `until`.
pub fn window(points: &[Point], from: Nanos, until: Nanos) -> &[Point] {
    let start = points.partition_point(|point| point.at < from);
    let end = points.partition_point(|point| point.at < until).max(start);
    &points[start..end]
}

/// The latest value at or before `at` and no older than `tolerance`; `None` across a gap.
pub fn value_at(points: &[Point], at: Nanos, tolerance: Duration) -> Option<f64> {
    let after = points.partition_point(|point| point.at <= at);
    let latest = points[..after].last()?;
    (at.since(latest.at) <= tolerance).then(|| latest.reading.value())?
}

/// The numbers alone, without gaps: for quantiles of a gauge, never for anything over time.
pub fn values(points: &[Point]) -> Vec<f64> {
    points.iter().filter_map(|point| point.reading.value()).collect()
}

/// Runs of points without a gap between them, for lines on a chart that must not cross what is not known.
pub fn unbroken(points: &[Point]) -> Vec<&[Point]> {
    points
        .split(|point| matches!(point.reading, Reading::Gap | Reading::Absent))
        .filter(|run| !run.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64, reading: Reading) -> Point {
        Point {
            at: Nanos(second * 1_000_000_000),
            reading,
        }
    }

    #[test]
    fn a_gap_is_stronger_than_a_value_and_a_value_than_nothing() {
        let a = vec![
            at(1, Reading::Value(1.0)),
            at(2, Reading::Value(1.0)),
            at(3, Reading::Absent),
        ];
        let b = vec![at(1, Reading::Absent), at(2, Reading::Gap), at(3, Reading::Absent)];
        let both = sum(&[a.clone(), b]).unwrap();
        let readings: Vec<Reading> = both.iter().map(|p| p.reading).collect();
        assert_eq!(readings, [Reading::Value(1.0), Reading::Gap, Reading::Absent]);
        assert_eq!(sum(&[a, vec![at(1, Reading::Gap)]]), None);
        assert_eq!(sum(&[]), None);
    }

    #[test]
    fn old_values_are_no_values() {
        let points = [at(1, Reading::Value(5.0)), at(2, Reading::Gap)];
        assert_eq!(
            value_at(&points, Nanos(1_500_000_000), Duration::from_secs(1)),
            Some(5.0)
        );
        assert_eq!(
            value_at(&points, Nanos(1_500_000_000), Duration::from_millis(100)),
            None
        );
        assert_eq!(value_at(&points, Nanos(2_000_000_000), Duration::from_secs(5)), None);
        assert_eq!(value_at(&points, Nanos(0), Duration::from_secs(5)), None);
    }

    #[test]
    fn windows_and_runs() {
        let points = [
            at(1, Reading::Value(1.0)),
            at(2, Reading::Gap),
            at(3, Reading::Value(3.0)),
            at(4, Reading::Value(f64::INFINITY)),
        ];
        assert_eq!(window(&points, Nanos(2_000_000_000), Nanos(4_000_000_000)).len(), 2);
        assert_eq!(window(&points, Nanos(4_000_000_000), Nanos(1)).len(), 0);
        assert_eq!(
            unbroken(&points).iter().map(|run| run.len()).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(values(&points), [1.0, 3.0, f64::INFINITY]);
        assert_eq!(Reading::of(f64::NAN), Reading::Absent);
    }
}
