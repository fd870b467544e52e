//! A service without defects: whatever happens to it, nobody may be accused.

use std::time::Duration;

use soundcheck::config::JourneyKind::{Abandon, Book, Browse, HoldCycle, Position};
use soundcheck::load::LoadHandle;
use soundcheck::stack::StackChoice;
use soundcheck::verdict::ledger::Overall;

use crate::support::rehearsal::{House, Rehearsal, broken};

/// False when the stack cannot be had here.
async fn run(stack: StackChoice, nonce: u64) -> bool {
    let Some(rehearsal) = Rehearsal::start(stack, House::default()).await else {
        return false;
    };
    let kinds = [Book, Abandon, Browse, Position, HoldCycle];
    let mut scenario = Rehearsal::scenario(&kinds, 50.0, Duration::from_millis(1_500));
    scenario.think.to = Duration::from_millis(30);
    scenario.admitted = 3;
    rehearsal.load(scenario, nonce, LoadHandle::new()).await;
    let report = rehearsal.judge().await;
    let accused = broken(&report);
    assert_eq!(
        report.overall(),
        Overall::Valid,
        "run {nonce} on {stack:?}: {accused:#?}\n{report:#?}"
    );
    true
}

/// Ten runs, with few seats, few places and every kind of journey; all of them must be beyond doubt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_runs_without_a_defect_raise_no_alarm() {
    for nonces in [1..=5, 6..=10] {
        futures::future::join_all(nonces.map(|nonce| run(StackChoice::Embedded, nonce))).await;
    }
}

/// The same on MySQL, Redis and Kafka, which bear less at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_runs_without_a_defect_raise_no_alarm_on_containers() {
    for nonce in (1..=10).step_by(2) {
        let pair = [nonce, nonce + 1].map(|nonce| run(StackChoice::Containers, nonce));
        if futures::future::join_all(pair).await.contains(&false) {
            return;
        }
    }
}
