//! Rows of a feeder reach the requests, each with one arrival, and a feeder that runs dry ends the load where it did.

use std::time::Duration;

use soundcheck::config::ScenarioConfig;
use soundcheck::load::LoadHandle;
use soundcheck::recording::{Endpoint, Outcome, RunClock};

use crate::run::{Run, run};
use crate::stub::Stub;

/// Even bookings at 100/s for a second, by stub users of which the feeder names some.
fn scenario(feeder: &str) -> ScenarioConfig {
    let text = format!(
        "name: a\narrivals: even\nusers: 20\nstages: [{{for: 1s, rate: 100/s}}]\njourneys: {{book: 100%}}\n\
         data: {{users: 100, concerts: 1, schedules-per-concert: 1, seats-per-schedule: 2}}\nfeeders: [{feeder}]\n"
    );
    ScenarioConfig::parse("s.yaml", &text).unwrap()
}

fn users(numbers: impl IntoIterator<Item = u32>) -> String {
    let lines = numbers.into_iter().map(|number| format!("\\n{number}"));
    format!("\"user{}\"", lines.collect::<String>())
}

async fn book(scenario: ScenarioConfig) -> (Run, LoadHandle, Vec<u128>) {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::ZERO, clock);
    let handle = LoadHandle::new();
    let run = run(&stub, scenario, clock, handle.clone()).await;
    let entered = stub.script.entered.lock().unwrap();
    // The users of the stub's catalogue count from 100.
    let users = entered.values().map(|user| user.as_u128() - 99).collect();
    (run, handle, users)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_arrival_is_the_user_of_its_row() {
    let rows = users((1..=100).rev());
    let (run, handle, came) = book(scenario(&format!("{{name: fans, rows: {rows}}}"))).await;
    assert_eq!(run.outcome.total.ok, 100, "{:?}", run.recorder.causes());
    assert_eq!(came, (1..=100).rev().collect::<Vec<u128>>());
    assert_eq!(handle.dry(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_a_seat_that_is_gone_takes_no_other() {
    // The stub sells seat 1 alone.
    let rows = "\"concert,schedule,seat\\n1,1,1\\n1,1,2\"";
    let (run, ..) = book(scenario(&format!("{{name: places, rows: {rows}, again: true}}"))).await;
    let ended = [Outcome::Won, Outcome::SoldOut].map(|outcome| run.count(Endpoint::JourneyBook, outcome));
    assert_eq!(ended, [50, 50], "{:?}", run.recorder.causes());
    assert_eq!(run.count(Endpoint::Hold, Outcome::Won), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feeder_that_runs_dry_ends_the_arrivals_and_nothing_else() {
    let rows = users(1..=30);
    let (run, handle, came) = book(scenario(&format!("{{name: fans, rows: {rows}}}"))).await;
    let dry = handle.dry().expect("30 rows do not suffice for 100 arrivals");
    assert_eq!((dry.feeder.as_str(), dry.rows), ("fans", 30));
    // The 31st arrival is due after three tenths of a second, and cannot be noticed before.
    assert!(dry.at.since(run.outcome.began) >= Duration::from_millis(300), "{dry:?}");
    assert!(run.outcome.was_stopped);
    let total = run.outcome.total;
    assert_eq!(
        (total.scheduled, total.ok, total.dropped, total.unfinished),
        (30, 30, 0, 0),
        "{total:?}"
    );
    assert_eq!(came, (1..=30).collect::<Vec<u128>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn virtual_users_take_their_rows_as_they_come() {
    let rows = users(1..=25);
    let mut scenario = scenario(&format!("{{name: fans, rows: {rows}, order: shuffled}}"));
    scenario.stages[0].length = Duration::from_secs(60);
    (scenario.stages[0].from.0, scenario.stages[0].to.0) = (0.0, 0.0);
    scenario.stages[0].virtual_users = (4, 4);
    let (run, handle, mut came) = book(scenario).await;
    assert_eq!(handle.dry().map(|dry| dry.rows), Some(25));
    assert_eq!((run.outcome.total.scheduled, run.outcome.total.ok), (25, 25));
    came.sort_unstable();
    assert_eq!(came, (1..=25).collect::<Vec<u128>>(), "each row is used once");
}
