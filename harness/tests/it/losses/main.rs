//! The service killed and the broker away, under the engine's load, on either stack: no seat is sold twice, no money and
//! no event is lost, and nothing that was acknowledged is forgotten. The ledger judges.
//!
//! In a binary of its own, since it kills and stops. Its tests take turns on each stack, which they load as a whole.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod broker;
mod kills;

use std::time::{Duration, Instant};

use soundcheck::config::JourneyKind::{Abandon, Book, Browse, Position};
use soundcheck::config::ScenarioConfig;
use soundcheck::fault::Fault;
use soundcheck::load::LoadHandle;
use soundcheck::recording::Recording;
use soundcheck::recording::audit::PaymentStatus;
use soundcheck::recording::event::{FaultStep, What};
use soundcheck::scrape::Source as _;
use soundcheck::scrape::service::ServiceSource;
use soundcheck::stack::StackChoice;
use soundcheck::units::Percent;
use soundcheck::verdict::ledger::{self, Invariant};
use support::rehearsal::{House, Rehearsal, assert_held};
use tokio::sync::{Mutex, MutexGuard};

static ON_EMBEDDED: Mutex<()> = Mutex::const_new(());
static ON_CONTAINERS: Mutex<()> = Mutex::const_new(());

/// Whose turn it is on a stack.
async fn turn(stack: StackChoice) -> MutexGuard<'static, ()> {
    match stack {
        StackChoice::Containers => ON_CONTAINERS.lock().await,
        _ => ON_EMBEDDED.lock().await,
    }
}

/// Longer than anything here takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);
/// The arrivals are ended when the test has seen what it needs; this only keeps a test that hangs from loading forever.
const LONGEST: Duration = Duration::from_secs(600);
/// What must have been put to the test, and have held.
const NOTHING_IS_LOST: [Invariant; 6] = [
    Invariant::SeatSoldOnce,
    Invariant::Money,
    Invariant::Events,
    Invariant::Outbox,
    Invariant::Idempotency,
    Invariant::NoOrphans,
];

/// A house in which bookings matter until the end. Tokens of visitors whose visit was cut off end soon.
fn house() -> House<'static> {
    House {
        n_schedules: 20,
        seats_per_schedule: 150,
        capacity: 60,
        active_ttl: Duration::from_secs(5),
        ..House::default()
    }
}

/// Few enough at a time for a machine that is shared with others: what overload does is not the question here.
fn bookings() -> ScenarioConfig {
    let mut scenario = Rehearsal::scenario(&[Book, Abandon, Browse, Position], 12.0, LONGEST);
    scenario.journeys = [(Book, 70.0), (Abandon, 10.0), (Browse, 10.0), (Position, 10.0)]
        .map(|(kind, share)| (kind, Percent(share)))
        .into();
    // So that whatever happens finds visits in every step.
    scenario.think.to = Duration::from_millis(60);
    // Whoever is stuck must not keep others from arriving.
    scenario.users = 600;
    scenario
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < WITHIN, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The sum of a metric's series that have this label; 0 for a counter that has not counted yet, `None` when the service
/// does not answer in time, as it may on a busy machine.
async fn metric(rehearsal: &Rehearsal, name: &str, with: Option<(&str, &str)>) -> Option<f64> {
    let mut metrics = ServiceSource::new(&format!("{}/metrics", rehearsal.base_url())).unwrap();
    let samples = metrics.scrape().await.ok()?;
    let of_name = samples.iter().filter(|sample| sample.name == name);
    let matching = of_name.filter(|sample| {
        with.is_none_or(|(label, value)| sample.labels.get(label).is_some_and(|found| found == value))
    });
    Some(matching.map(|sample| sample.value).sum())
}

/// Waits until so many more journeys have ended well.
async fn until_served(handle: &LoadHandle, n_more: u64) {
    let before = handle.progress().ok;
    until("visits that end well", async || handle.progress().ok >= before + n_more).await;
}

/// One fault's life, written down as a drill does. `meanwhile` lasts as long as the fault.
async fn break_and_mend(
    rehearsal: &Rehearsal,
    handle: &LoadHandle,
    name: &str,
    fault: &dyn Fault,
    meanwhile: impl Future<Output = ()>,
) {
    let step = |step: FaultStep| {
        rehearsal.event(What::Fault {
            name: name.to_owned(),
            target: fault.target(),
            step,
            detail: None,
        });
    };
    step(FaultStep::Injecting);
    let injected = fault.inject(&rehearsal.watchdog).await.unwrap();
    step(FaultStep::Injected);
    meanwhile.await;
    step(FaultStep::Healing);
    injected.heal().await.unwrap();
    step(FaultStep::Healed);
    fault.verify().await.unwrap();
    until_served(handle, 5).await;
    step(FaultStep::Verified);
}

/// Judges: everything of [`NOTHING_IS_LOST`] held, and enough was paid for that to mean something.
async fn nothing_is_lost(rehearsal: Rehearsal) {
    let (recording, _folder) = rehearsal.close().await;
    let report = ledger::verify(&recording).unwrap();
    assert_held(&report, &NOTHING_IS_LOST);
    let (n_paid, n_tickets) = paid(&recording);
    assert!(n_paid >= 100, "{n_paid} payments are too few to mean anything");
    assert_eq!(n_tickets, n_paid);
}

/// How many payments and tickets there are in the end.
fn paid(recording: &Recording) -> (usize, usize) {
    let mut history = recording.history().unwrap();
    let audit = recording.audit(0, history.names_mut()).unwrap().unwrap();
    let completed = audit
        .payments
        .iter()
        .filter(|row| row.status == PaymentStatus::Completed);
    (completed.count(), audit.tickets.len())
}
