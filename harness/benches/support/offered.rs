//! Seat maps asked for by the load engine, as a run asks for them.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use soundcheck::config::{JourneyKind, ScenarioConfig};
use soundcheck::load::catalogue::{Concert, ConcertDate};
use soundcheck::load::{
    CataloguePart, Cut, Keep, LoadHandle, LoadOutcome, LoadPlan, Recorder, Selector, Target, drive,
};
use soundcheck::recording::empty_histogram;
use soundcheck::recording::{Clock, Endpoint, HistorySink, RunClock};
use soundcheck::units::{Percent, RatePerSec};

use super::stub;

pub(crate) fn seat_maps(rate: RatePerSec, length: Duration) -> ScenarioConfig {
    ScenarioConfig::constant("stub", rate, length, &[(JourneyKind::SeatMap, Percent(100.0))])
}

/// What came of it, what was recorded, and how long the arrivals and their answers took.
pub(crate) async fn attack(
    address: &str,
    scenario: ScenarioConfig,
    history: Option<HistorySink>,
) -> (LoadOutcome, Vec<Cut>, Duration) {
    let clock = RunClock::start();
    let selector = Arc::new(Selector::new(0));
    let names = vec!["stub".to_owned()];
    let recorder = Arc::new(Recorder::new(names, Arc::clone(&selector), Keep::Everything, clock));
    let id: uuid::Uuid = stub::ID.parse().unwrap();
    let date = ConcertDate {
        schedule_id: id,
        seats: 1,
    };
    let part = CataloguePart {
        users: vec![id].into(),
        concerts: [Concert {
            concert_id: id,
            schedules: vec![date],
        }]
        .into(),
    };
    let targets = [Target {
        address: format!("http://{address}"),
        part,
    }];
    let plan = LoadPlan {
        scenario,
        seed: 7,
        nonce: 9,
        first_variant: 0,
    };
    let load = drive(
        plan,
        &targets,
        selector,
        Arc::clone(&recorder),
        history,
        LoadHandle::new(),
    );
    let outcome = Box::pin(load).await.unwrap();
    assert_eq!(outcome.total.failed, 0, "{:?}", recorder.causes());
    let took = outcome.ended.since(outcome.began);
    (outcome, recorder.cut(), took)
}

/// The requests of all cuts for seat maps, by the clocks that are meant.
pub(crate) fn merged(cuts: &[Cut], which: impl Fn(Clock) -> bool) -> Histogram<u64> {
    let mut merged = empty_histogram();
    for cut in cuts {
        if cut.tag.endpoint == Endpoint::Seats && which(cut.tag.clock) {
            merged += &cut.histogram;
        }
    }
    merged
}
