//! What ended in a run: second by second, over all of it, and in the stages that are measured.

use std::collections::BTreeMap;

use super::super::judgement::Judgement;
use crate::analysis::cuts::{self, Cut};
use crate::analysis::ended::Ended;
use crate::analysis::quantile::Value;
use crate::analysis::series::Point;
use crate::analysis::started;
use crate::recording::{Clock, Endpoint, RecordError, Recording};
use crate::units::{Nanos, Ratio};

/// What ended between two cuts. Times are in seconds, of journeys; `None` where nothing was measured, or the rank falls
/// on what has no answer.
pub(super) struct Second {
    pub(super) start: Nanos,
    pub(super) length_s: f64,
    /// Journeys that ended well.
    pub(super) ok: u64,
    /// Journeys that failed, were dropped or were cut off.
    pub(super) unserved: u64,
    pub(super) response_p50: Option<f64>,
    pub(super) response_p99: Option<f64>,
    pub(super) lag_p99: Option<f64>,
    pub(super) wait_p99: Option<f64>,
}

impl Second {
    fn of(cut: &Cut) -> Self {
        let journeys = cut.by(|tag| tag.endpoint.is_journey().then_some(()));
        let journeys = journeys.into_values().next().unwrap_or_default();
        let seconds = |clock, q| seconds(journeys.quantile(clock, Ratio(q)));
        Self {
            start: cut.start,
            length_s: cut.length.as_secs_f64(),
            ok: journeys.ok(),
            unserved: journeys.unserved(),
            response_p50: seconds(Clock::Response, 0.5),
            response_p99: seconds(Clock::Response, 0.99),
            lag_p99: seconds(Clock::Lag, 0.99),
            wait_p99: seconds(Clock::Wait, 0.99),
        }
    }
}

pub(super) fn seconds(value: Option<Value>) -> Option<f64> {
    value.and_then(Value::finite).map(|ns| Nanos(ns).as_secs_f64())
}

/// What ended, by when it did.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) seconds: Vec<Second>,
    /// Over the whole run, warm-up and cool-down included, as the books are.
    pub(super) whole: BTreeMap<Endpoint, Ended>,
    /// In the stages that figures hold.
    pub(super) figures: BTreeMap<Endpoint, Ended>,
    /// Journeys that were started, a second; empty in recordings that do not tell.
    pub(super) started: Vec<Point>,
}

impl Measured {
    pub(super) fn of(recording: &Recording, judgement: &Judgement) -> Result<Self, RecordError> {
        let mut measured = Self {
            started: started::rate(&recording.series()?),
            ..Self::default()
        };
        cuts::each_second::<RecordError>(recording, judgement.zero, |cut| {
            measured.seconds.push(Second::of(cut));
            let is_measured = judgement.zero.is_some() && judgement.scenario.is_measured_at(judgement.at(cut.middle()));
            for (endpoint, ended) in cut.by(|tag| Some(tag.endpoint)) {
                if is_measured {
                    measured.figures.entry(endpoint).or_default().join(&ended);
                }
                measured.whole.entry(endpoint).or_default().join(&ended);
            }
            Ok(())
        })?;
        Ok(measured)
    }
}
