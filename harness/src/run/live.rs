//! What somebody who watches a run sees, second by second: the numbers of the report, as far as they are known by now.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};

use crate::analysis::ended::Ended;
use crate::analysis::quantile::Value;
use crate::config::ScenarioConfig;
use crate::load::{Gathered, LoadHandle};
use crate::recording::Clock;
use crate::scrape::poll::Latest;
use crate::units::{Nanos, Ratio};

/// Percentiles are told of so many seconds: of one alone they jump about.
const WINDOW: usize = 10;

/// One second of a run under way. What is not known is absent, never 0.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Snapshot {
    /// Seconds since the first stage began.
    pub at: f64,
    pub stage: String,
    /// What is broken on purpose now.
    pub fault: Option<String>,
    /// Seconds until the last stage is over.
    pub left: f64,
    /// Arrivals a second that the scenario plans now; absent where only virtual users come.
    pub planned: Option<f64>,
    /// Journeys that were begun, a second: by the schedule and by virtual users.
    pub started: f64,
    /// Journeys that ended well, a second.
    pub achieved: f64,
    /// Journeys that were not served, a second: those that failed, were dropped or were cut off. In the books and in exports
    /// “failed” is the first of these alone.
    pub failed: f64,
    /// From when users wanted to start, over the last ten seconds.
    pub p50: Option<Waited>,
    pub p99: Option<Waited>,
    /// Seconds that journeys began late.
    pub lag_p99: Option<f64>,
    /// Journeys since the beginning, by how they ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Of the last second's lookups in the cache, per cent.
    pub hit_ratio: Option<f64>,
    pub waiting: Option<f64>,
    pub outbox: Option<f64>,
}

/// How long users waited.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Waited {
    Seconds(f64),
    /// The rank falls on somebody who got no answer.
    ForEver,
}

impl Waited {
    /// In seconds; without an answer it is infinite.
    pub const fn as_secs_f64(self) -> f64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::ForEver => f64::INFINITY,
        }
    }
}

impl From<Value> for Waited {
    fn from(value: Value) -> Self {
        value.finite().map_or(Self::ForEver, |ns| Self::Seconds(seconds(ns)))
    }
}

/// A number of seconds, or a word: JSON knows no infinity.
impl Serialize for Waited {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seconds(seconds) => serializer.serialize_f64(*seconds),
            Self::ForEver => serializer.serialize_str("for-ever"),
        }
    }
}

/// What is broken on purpose, told by whoever breaks it. Copies tell of the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Broken(Arc<Mutex<Option<String>>>);

impl Broken {
    /// Whole again with `None`.
    pub(super) fn set(&self, fault: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn now(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes a snapshot of each second.
pub(super) struct Watcher {
    scenario: ScenarioConfig,
    zero: Nanos,
    service: Latest,
    load: LoadHandle,
    /// Journeys that were begun until the last second.
    started: u64,
    broken: Broken,
    /// Journeys that ended in the last seconds, a second each.
    window: VecDeque<Ended>,
    outcomes: BTreeMap<&'static str, u64>,
    /// Lookups that found something, and all of them, at the last second.
    lookups: Option<(f64, f64)>,
}

impl Watcher {
    /// Of a run whose first stage began at `zero`; `service` is what the service last said of itself, and `load` what is
    /// sent to it.
    pub(super) fn new(scenario: ScenarioConfig, zero: Nanos, service: Latest, load: LoadHandle) -> Self {
        Self {
            scenario,
            zero,
            service,
            load,
            started: 0,
            broken: Broken::default(),
            window: VecDeque::new(),
            outcomes: BTreeMap::new(),
            lookups: None,
        }
    }

    /// Also tells what is broken.
    pub(super) fn of_drill(self, broken: Broken) -> Self {
        Self { broken, ..self }
    }

    /// The snapshot after what was `gathered`, at `now`.
    pub(super) fn look(&mut self, gathered: &Gathered, now: Nanos) -> Snapshot {
        let mut second = Ended::default();
        let journeys = gathered.cuts.iter().filter(|cut| cut.tag.endpoint.is_journey());
        // The time from the send is told to nobody here.
        for cut in journeys.filter(|cut| cut.tag.clock != Clock::Service) {
            second.add(&cut.tag, &cut.histogram);
        }
        for (outcome, count) in &second.by_outcome {
            *self.outcomes.entry(outcome.name()).or_default() += count;
        }
        let (ok, failed) = (second.ok(), second.unserved());
        self.window.push_back(second);
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        let at = now.since(self.zero).as_secs_f64();
        let length = gathered.length.as_secs_f64();
        let stage = self.scenario.stage_at(at);
        let stage = stage.map_or_else(|| "waiting for the last ones".to_owned(), |stage| stage.name.clone());
        // Of the time in which the journeys were begun and ended that it is held against.
        let planned = self.planned(at - length / 2.0);
        let a_second = |count: u64| count as f64 / length.max(0.001);
        let started = self.load.progress().started;
        let started = started - std::mem::replace(&mut self.started, started);
        let mut window = Ended::default();
        for second in &self.window {
            window.join(second);
        }
        let waited = |q| window.quantile(Clock::Response, Ratio(q)).map(Waited::from);
        Snapshot {
            at,
            stage,
            fault: self.broken.now(),
            left: (self.scenario.length().as_secs_f64() - at).max(0.0),
            planned,
            started: a_second(started),
            achieved: a_second(ok),
            failed: a_second(failed),
            p50: waited(0.5),
            p99: waited(0.99),
            lag_p99: window
                .lateness_quantile(Ratio(0.99))
                .and_then(Value::finite)
                .map(seconds),
            outcomes: self.outcomes.clone(),
            hit_ratio: self.hit_ratio(),
            waiting: self.service.sum("booking_queue_waiting", &[]),
            outbox: self.service.sum("booking_outbox_pending", &[]),
        }
    }

    /// The rate that is planned so many seconds after the beginning; `None` where only virtual users come.
    fn planned(&self, at: f64) -> Option<f64> {
        match self.scenario.stage_at(at) {
            Some(stage) if !stage.has_arrivals() => None,
            Some(_) => self.scenario.planned_at(at).map(|rate| rate.0),
            None => self.scenario.has_arrivals().then_some(0.0),
        }
    }

    fn hit_ratio(&mut self) -> Option<f64> {
        const LOOKUPS: &str = "booking_cache_requests_total";
        let now = self
            .service
            .sum(LOOKUPS, &[("result", "hit")])
            .zip(self.service.sum(LOOKUPS, &[]));
        let before = std::mem::replace(&mut self.lookups, now);
        let ((hits, all), (hits_before, all_before)) = (now?, before?);
        // A counter that went back belongs to another process.
        let (hits, all) = (hits - hits_before, all - all_before);
        (all > 0.0 && hits >= 0.0).then(|| hits / all * 100.0)
    }
}

fn seconds(ns: u64) -> f64 {
    Nanos(ns).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::shipped;
    use crate::load::Cut;
    use crate::recording::{Endpoint, Outcome, SeriesKind, Tag, empty_histogram};
    use crate::scrape::Sample;

    const SECOND: u64 = 1_000_000_000;

    fn cut(outcome: Outcome, clock: Clock, ms: u64, count: u64) -> Cut {
        let mut histogram = empty_histogram();
        histogram.record_n(ms * 1_000_000, count).unwrap();
        Cut {
            tag: Tag {
                variant: "service".to_owned(),
                endpoint: Endpoint::JourneyBook,
                outcome,
                clock,
            },
            slice: 0,
            start: Nanos(SECOND),
            length: Duration::from_secs(1),
            histogram,
        }
    }

    fn second(cuts: &[Cut]) -> Gathered {
        Gathered {
            start: Nanos(SECOND),
            length: Duration::from_secs(1),
            cuts: cuts.to_vec(),
        }
    }

    fn lookups(hits: f64, misses: f64) -> Vec<Sample> {
        let of = |result: &str, value| {
            Sample::new(
                "booking_cache_requests_total",
                &[("result", result)],
                SeriesKind::Counter,
                value,
            )
        };
        let waiting = Sample::new("booking_queue_waiting", &[], SeriesKind::Gauge, 7.0);
        vec![of("hit", hits), of("miss", misses), waiting]
    }

    #[test]
    fn a_second_is_told_as_far_as_it_is_known() {
        let latest = Latest::default();
        // 3 s at 20/s, then 12 s at 40/s.
        let (scenario, load) = (shipped::scenario("smoke").unwrap(), LoadHandle::new());
        let mut watcher = Watcher::new(scenario, Nanos(SECOND), latest.clone(), load.clone());
        load.counted((21, 19));
        let first = watcher.look(&second(&[]), Nanos(2 * SECOND));
        // What is planned, what was begun of it, and what has come of that are three numbers.
        assert_eq!(
            (first.planned, first.started, first.achieved, first.p50),
            (Some(20.0), 19.0, 0.0, None)
        );
        assert_eq!((first.hit_ratio, first.waiting, first.outbox), (None, None, None));

        latest.set(Some(lookups(10.0, 5.0)));
        let cuts = [
            cut(Outcome::Won, Clock::Response, 20, 38),
            cut(Outcome::Won, Clock::Lag, 1, 38),
            cut(Outcome::TimeOut, Clock::Response, 5_000, 2),
        ];
        load.counted((65, 60));
        let next = watcher.look(&second(&cuts), Nanos(6 * SECOND));
        assert_eq!(
            (next.planned, next.started, next.achieved, next.failed),
            (Some(40.0), 41.0, 38.0, 2.0)
        );
        assert!(
            matches!(next.p50, Some(Waited::Seconds(p50)) if (p50 - 0.02).abs() < 0.001),
            "{next:?}"
        );
        assert_eq!(next.p99, Some(Waited::ForEver), "one in twenty waits for ever");
        assert!((next.lag_p99.unwrap() - 0.001).abs() < 0.0001, "{next:?}");
        assert_eq!(next.outcomes, BTreeMap::from([("time-out", 2), ("won", 38)]));
        assert_eq!(
            (next.hit_ratio, next.waiting),
            (None, Some(7.0)),
            "a counter alone is no rate"
        );
        assert!((next.left - 10.0).abs() < 1e-9);
        let told = serde_json::to_value(&next).unwrap();
        assert!(told["p50"].is_f64() && told["p99"] == "for-ever", "{told}");

        latest.set(Some(lookups(19.0, 6.0)));
        let third = watcher.look(&second(&[]), Nanos(7 * SECOND));
        assert_eq!(third.hit_ratio, Some(90.0));
        assert_eq!(
            (third.started, third.p99),
            (0.0, Some(Waited::ForEver)),
            "the time-outs are of the last ten seconds"
        );
        latest.set(None);
        let gone = watcher.look(&second(&[]), Nanos(40 * SECOND));
        assert_eq!((gone.hit_ratio, gone.waiting, gone.planned), (None, None, Some(0.0)));
        assert_eq!(gone.left, 0.0);
    }

    #[test]
    fn where_nobody_got_an_answer_that_is_what_is_told() {
        let scenario = shipped::scenario("smoke").unwrap();
        let mut watcher = Watcher::new(scenario, Nanos(SECOND), Latest::default(), LoadHandle::new());
        let cuts = [cut(Outcome::TimeOut, Clock::Response, 5_000, 2)];
        let told = watcher.look(&second(&cuts), Nanos(6 * SECOND));
        assert_eq!((told.p50, told.p99), (Some(Waited::ForEver), Some(Waited::ForEver)));
    }
}
