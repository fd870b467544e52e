//! Seat maps asked for by the load engine, as a run asks for them.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use soundcheck::config::{JourneyKind, ScenarioConfig};
use soundcheck::load::catalogue::{Concert, ConcertDate};
use soundcheck::load::{
    CataloguePart, Cut, Keep, LoadHandle, LoadOutcome, LoadPlan, Recorder, Selector, Target, drive,
};
use soundcheck::recording::model::Environment;
use soundcheck::recording::{
    Clock, Endpoint, HistorySink, Manifest, RecordingWriter, RunClock, empty_histogram, environment,
};
use soundcheck::units::{Percent, RatePerSec};

use super::stub;

pub(crate) fn seat_maps(rate: RatePerSec, length: Duration) -> ScenarioConfig {
    ScenarioConfig::constant("stub", rate, length, &[(JourneyKind::SeatMap, Percent(100.0))])
}

/// What came of it, and what was recorded of it, in memory.
pub(crate) async fn attack(address: &str, scenario: ScenarioConfig) -> (LoadOutcome, Vec<Cut>) {
    let (selector, recorder) = recorder(RunClock::start());
    let outcome = Box::pin(load(address, scenario, selector, &recorder, None)).await;
    (outcome, recorder.cut())
}

/// With all that a run writes of its load: every operation, and the histograms of every second.
pub(crate) async fn recorded(address: &str, scenario: ScenarioConfig) {
    let clock = RunClock::start();
    let dir = tempfile::tempdir().unwrap();
    let manifest = Manifest::new("run", environment::tool(), 7, Environment::default(), clock.anchor());
    let writer = RecordingWriter::create(&dir.path().join("run"), &manifest).unwrap();
    let (selector, recorder) = recorder(clock);
    let cut = || {
        for cut in recorder.cut() {
            let Cut {
                start,
                length,
                tag,
                histogram,
                ..
            } = cut;
            writer.interval(start, length, &tag, &histogram).unwrap();
        }
        writer.flush().unwrap();
    };
    let mut load = Box::pin(load(address, scenario, selector, &recorder, Some(writer.history())));
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = &mut load => break,
            _ = second.tick() => cut(),
        }
    }
    cut();
    drop(load);
    writer.close().unwrap();
}

fn recorder(clock: RunClock) -> (Arc<Selector>, Arc<Recorder>) {
    let selector = Arc::new(Selector::new(0));
    let recorder = Recorder::new(vec!["stub".to_owned()], Arc::clone(&selector), Keep::Everything, clock);
    (selector, Arc::new(recorder))
}

async fn load(
    address: &str,
    scenario: ScenarioConfig,
    selector: Arc<Selector>,
    recorder: &Arc<Recorder>,
    history: Option<HistorySink>,
) -> LoadOutcome {
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
        Arc::clone(recorder),
        history,
        LoadHandle::new(),
    );
    let outcome = load.await.unwrap();
    assert_eq!(outcome.total.failed, 0, "{:?}", recorder.causes());
    outcome
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
