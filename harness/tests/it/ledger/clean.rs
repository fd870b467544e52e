//! A service without defects: whatever happens to it, nobody may be accused.

use std::time::Duration;

use soundcheck::config::JourneyKind::{Abandon, Book, Browse, HoldCycle, Position};
use soundcheck::verdict::ledger::Overall;

use crate::rehearsal::{House, Rehearsal, broken};

async fn run(nonce: u64) {
    let rehearsal = Rehearsal::start(House::default()).await;
    let kinds = [Book, Abandon, Browse, Position, HoldCycle];
    let mut scenario = Rehearsal::scenario(&kinds, 50.0, Duration::from_millis(1_500));
    scenario.think.to = Duration::from_millis(30);
    scenario.admitted = 3;
    rehearsal.load(scenario, nonce).await;
    let report = rehearsal.judge().await;
    let accused = broken(&report);
    assert_eq!(
        report.overall(),
        Overall::Valid,
        "run {nonce}: {accused:#?}\n{report:#?}"
    );
}

/// Ten runs, with few seats, few places and every kind of journey; all of them must be beyond doubt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_runs_without_a_defect_raise_no_alarm() {
    for nonces in [1..=5, 6..=10] {
        futures::future::join_all(nonces.map(run)).await;
    }
}
