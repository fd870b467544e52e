//! Virtual users: they come back when they are done and have thought, and are as many as their stages say.

use std::time::Duration;

use soundcheck::config::ScenarioConfig;
use soundcheck::load::LoadHandle;
use soundcheck::recording::{Clock, Endpoint, RunClock};

use crate::run::{run, seat_maps};
use crate::stub::Stub;

/// `users` for this long, beside no arrivals at all.
fn virtual_users(users: u32, seconds: f64, think: Duration) -> ScenarioConfig {
    let mut scenario = seat_maps(0.0, seconds, 1);
    scenario.stages[0].virtual_users = (users, users);
    (scenario.think.from, scenario.think.to) = (think, think);
    scenario
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_comes_back_when_it_is_done_and_has_thought() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::from_millis(20), clock);
    let scenario = virtual_users(5, 2.0, Duration::from_millis(80));
    let run = run(&stub, scenario, clock, LoadHandle::new()).await;
    let total = run.outcome.total;
    assert_eq!(total.imbalances(), [] as [String; 0]);
    assert_eq!(
        (total.scheduled, total.dropped, total.failed),
        (total.ok, 0, 0),
        "{total:?}"
    );
    // Each of the five comes every tenth of a second at most, from the beginning on; a busy machine lets it come less often.
    assert!(total.ok >= 25 && total.ok <= 5 * 20, "{total:?}");
    assert_eq!(run.merged(Endpoint::JourneySeatMap, Clock::Response).len(), total.ok);
    assert_eq!(run.outcome.offered.scheduled, 0, "there were no arrivals");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn virtual_users_and_arrivals_share_a_run_and_its_books() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::from_millis(5), clock);
    let mut scenario = virtual_users(3, 1.0, Duration::from_millis(50));
    scenario.stages.extend(seat_maps(100.0, 1.0, 10).stages);
    scenario.stages[1].virtual_users = (3, 0);
    scenario.users = 10;
    let handle = LoadHandle::new();
    let run = run(&stub, scenario, clock, handle.clone()).await;
    let (total, offered) = (run.outcome.total, &run.outcome.offered);
    assert_eq!(offered.scheduled, 100);
    assert!(total.scheduled > offered.scheduled, "{total:?}");
    assert_eq!(total.imbalances(), [] as [String; 0]);
    assert_eq!(handle.progress().scheduled, total.scheduled);
    // Visits come when they come: among the lateness of arrivals they would hide it.
    assert_eq!((total.arrivals(), total.visits), (100, total.scheduled - 100));
    let lateness = |clock| run.merged(Endpoint::JourneySeatMap, clock).len();
    assert_eq!(lateness(Clock::Lag) + lateness(Clock::Wait), 100);
    assert_eq!(
        run.merged(Endpoint::JourneySeatMap, Clock::Response).len(),
        total.scheduled
    );
}

/// A service that stands still is asked no more: what the closed model cannot see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_an_answer_asks_for_nothing() {
    let clock = RunClock::start();
    let stub = Stub::start(Duration::from_millis(500), clock);
    let run = run(&stub, virtual_users(4, 1.0, Duration::ZERO), clock, LoadHandle::new()).await;
    let total = run.outcome.total;
    assert!((4..=8).contains(&total.scheduled), "{total:?}");
}
