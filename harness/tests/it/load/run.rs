//! Drives a scenario against a stub and keeps all that came of it.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use soundcheck::config::{ArrivalKind, JourneyKind, ScenarioConfig};
use soundcheck::load::{
    CataloguePart, Cut, Keep, LoadError, LoadHandle, LoadOutcome, LoadPlan, Recorder, Selector, Target, drive,
};
use soundcheck::recording::{Clock, Endpoint, HistorySink, Outcome, RunClock};
use soundcheck::units::{Percent, RatePerSec};

use crate::stub::Stub;

/// Tests that measure the machine's time run alone; the others share it.
pub(crate) static TURN: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

pub(crate) struct Run {
    pub(crate) outcome: LoadOutcome,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) recorder: Arc<Recorder>,
}

/// Seat maps at an even rate by `users` users.
pub(crate) fn seat_maps(rate: f64, seconds: f64, users: u32) -> ScenarioConfig {
    scenario(JourneyKind::SeatMap, rate, seconds, users)
}

pub(crate) fn scenario(kind: JourneyKind, rate: f64, seconds: f64, users: u32) -> ScenarioConfig {
    let length = Duration::from_secs_f64(seconds);
    ScenarioConfig {
        arrivals: ArrivalKind::Even,
        users,
        admitted: if kind.needs_admitted() { 1 } else { 0 },
        ..ScenarioConfig::constant("stub", RatePerSec(rate), length, &[(kind, Percent(100.0))])
    }
}

pub(crate) fn part() -> CataloguePart {
    let id = uuid::Uuid::from_u128;
    let date = soundcheck::load::catalogue::ConcertDate {
        schedule_id: id(3),
        seats: 1,
    };
    CataloguePart {
        users: (100..200).map(id).collect(),
        concerts: [soundcheck::load::catalogue::Concert {
            concert_id: id(2),
            schedules: vec![date],
        }]
        .into(),
    }
}

pub(crate) async fn run(stub: &Stub, scenario: ScenarioConfig, clock: RunClock, handle: LoadHandle) -> Run {
    let _turn = TURN.read().await;
    run_alone(stub, scenario, clock, handle).await
}

/// For a test that holds the turn to itself.
pub(crate) async fn run_alone(stub: &Stub, scenario: ScenarioConfig, clock: RunClock, handle: LoadHandle) -> Run {
    try_run(stub.url(), scenario, clock, handle).await.unwrap()
}

pub(crate) async fn try_run(
    address: String,
    scenario: ScenarioConfig,
    clock: RunClock,
    handle: LoadHandle,
) -> Result<Run, LoadError> {
    try_run_with_history(address, scenario, clock, handle, None).await
}

pub(crate) async fn try_run_with_history(
    address: String,
    scenario: ScenarioConfig,
    clock: RunClock,
    handle: LoadHandle,
    history: Option<HistorySink>,
) -> Result<Run, LoadError> {
    let selector = Arc::new(Selector::new(0));
    let recorder = Arc::new(Recorder::new(
        vec!["stub".to_owned()],
        Arc::clone(&selector),
        Keep::Everything,
        clock,
    ));
    let targets = [Target { address, part: part() }];
    let plan = LoadPlan {
        scenario,
        seed: 7,
        nonce: 9,
        first_variant: 0,
    };
    let outcome = drive(plan, &targets, selector, Arc::clone(&recorder), history, handle).await?;
    // Asserted by `drive`; said again here, since all else rests on it.
    let total = outcome.total;
    assert_eq!(total.scheduled, total.started + total.dropped);
    assert_eq!(total.started, total.ok + total.failed + total.unfinished);
    Ok(Run {
        outcome,
        cuts: recorder.cut(),
        recorder,
    })
}

impl Run {
    /// All histograms of an endpoint and a clock in one, whatever the outcome.
    pub(crate) fn merged(&self, endpoint: Endpoint, clock: Clock) -> Histogram<u64> {
        let mut merged = soundcheck::recording::empty_histogram();
        for cut in self
            .cuts
            .iter()
            .filter(|cut| cut.tag.endpoint == endpoint && cut.tag.clock == clock)
        {
            merged += &cut.histogram;
        }
        merged
    }

    /// How many samples of an endpoint ended how.
    pub(crate) fn count(&self, endpoint: Endpoint, outcome: Outcome) -> u64 {
        self.cuts
            .iter()
            .filter(|cut| cut.tag.endpoint == endpoint && cut.tag.outcome == outcome)
            .filter(|cut| cut.tag.clock == Clock::Response || cut.tag.clock == Clock::Service)
            .map(|cut| cut.histogram.len())
            .max()
            .unwrap_or(0)
    }
}
