//! What Prometheus answers to a question about a stretch of time.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A picture is drawn from at most about so many points a curve: one a pixel.
const MOST_POINTS: u64 = 250;
/// Rates are asked over as long as this: long enough for a few scrapes, whatever their distance.
const RATES_OVER_S: u64 = 60;

/// A stretch of time, and how far apart in it values are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// Both in Unix seconds.
    from: u64,
    to: u64,
    step: u64,
}

impl Stretch {
    /// The `last` so long before `now`, in whole seconds.
    pub fn until(now: Timestamp, last: Duration) -> Self {
        let to = u64::try_from(now.as_second()).unwrap_or_default();
        let last = last.as_secs().clamp(1, to.max(1));
        let step = last.div_ceil(MOST_POINTS);
        Self {
            from: to - last,
            to,
            step,
        }
    }

    /// Unix time, as is the end.
    pub const fn from_s(&self) -> u64 {
        self.from
    }

    pub const fn to_s(&self) -> u64 {
        self.to
    }

    pub const fn step_s(&self) -> u64 {
        self.step
    }

    pub const fn length(&self) -> Duration {
        Duration::from_secs(self.to - self.from)
    }

    /// Over which time rates are asked at least: nothing may fall between two points.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.step.max(RATES_OVER_S))
    }
}

/// One series of an answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    /// `(seconds since the stretch began, value)`, ascending. `None` is a gap: there was no value, or none that is finite.
    pub points: Vec<(f64, Option<f64>)>,
}

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("the answer is not a range of values, as a Prometheus would give it")]
    Shape(#[from] serde_json::Error),
    #[error("the answer holds `{0}`, which is no number")]
    Number(String),
}

/// As it is in JSON.
#[derive(Deserialize)]
struct Matrix {
    result: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    metric: BTreeMap<String, String>,
    /// Not there for native histograms, which have no curve.
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// The series in the `data` of an answer, in the order of their labels.
///
/// # Errors
/// When they are not what a Prometheus answers to a question about a stretch of time.
pub fn series(data: &Value, stretch: &Stretch) -> Result<Vec<Series>, AnswerError> {
    let matrix = Matrix::deserialize(data)?;
    let mut all = Vec::with_capacity(matrix.result.len());
    for row in matrix.result {
        let mut points: Vec<(f64, Option<f64>)> = Vec::with_capacity(row.values.len());
        for (at, value) in row.values {
            let number: f64 = value.parse().map_err(|_| AnswerError::Number(value))?;
            let at = at - stretch.from as f64;
            // Moments without a value are not in the answer.
            if let Some((before, _)) = points
                .last()
                .filter(|(before, _)| at - before > 1.5 * stretch.step as f64)
            {
                points.push((before + stretch.step as f64, None));
            }
            points.push((at, number.is_finite().then_some(number)));
        }
        all.push(Series {
            labels: row.metric,
            points,
        });
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(all)
}

impl Series {
    pub(super) fn numbers(&self) -> impl DoubleEndedIterator<Item = f64> {
        self.points.iter().filter_map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stretch(last_s: u64) -> Stretch {
        Stretch::until(Timestamp::from_second(1_000_000).unwrap(), Duration::from_secs(last_s))
    }

    #[test]
    fn a_stretch_has_no_more_points_than_pixels_and_rates_leave_none_of_it_out() {
        for (last, step, window) in [(15 * 60, 4, 60), (250, 1, 60), (251, 2, 60), (86_400, 346, 346)] {
            let stretch = stretch(last);
            assert_eq!((stretch.step_s(), stretch.window().as_secs()), (step, window), "{last}");
            assert_eq!((stretch.from_s(), stretch.to_s()), (1_000_000 - last, 1_000_000));
        }
    }

    #[track_caller]
    fn check(values: &Value, expected: &[(f64, Option<f64>)]) {
        let data = json!({"resultType": "matrix", "result": [{"metric": {"route": "/a"}, "values": values}]});
        let series = series(&data, &stretch(900)).unwrap();
        assert_eq!(series.len(), 1);
        assert_eq!(series[0].labels["route"], "/a");
        assert_eq!(series[0].points, expected);
    }

    #[test]
    fn what_is_not_there_and_what_is_not_finite_are_gaps() {
        check(
            &json!([[999_100, "0"], [999_104, "1.5e-3"], [999_108.0, "-2"]]),
            &[(0.0, Some(0.0)), (4.0, Some(0.0015)), (8.0, Some(-2.0))],
        );
        check(
            &json!([[999_104, "NaN"], [999_108, "+Inf"], [999_112, "-Inf"], [999_116, "3"]]),
            &[(4.0, None), (8.0, None), (12.0, None), (16.0, Some(3.0))],
        );
        // One step is missing, and then many.
        check(
            &json!([[999_100, "1"], [999_108, "2"], [999_600, "3"]]),
            &[
                (0.0, Some(1.0)),
                (4.0, None),
                (8.0, Some(2.0)),
                (12.0, None),
                (500.0, Some(3.0)),
            ],
        );
        check(&json!([]), &[]);
    }

    #[test]
    fn what_no_prometheus_answers_is_refused() {
        let of = |data: &Value| series(data, &stretch(900)).unwrap_err().to_string();
        for data in [
            json!(null),
            json!({"resultType": "scalar", "result": [1_000_000, "1"]}),
            json!({"result": [{"metric": {}, "values": [["soon", "1"]]}]}),
        ] {
            assert!(of(&data).contains("not a range of values"), "{data}");
        }
        let odd = json!({"result": [{"metric": {}, "values": [[1_000_000, "many"]]}]});
        assert!(of(&odd).contains("`many`"), "{}", of(&odd));
        assert_eq!(series(&json!({"result": []}), &stretch(900)).unwrap(), []);
    }
}
