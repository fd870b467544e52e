//! A checker is tested by what it must find and by what it must not: defective services of the simulation, single
//! planted violations with the witness that shows them, near misses, and clean histories in thousands.

use proptest::prelude::*;

use super::finding::{Invariant, Judgement};
use super::judge::{judge, unsettled};
use super::simulation::{Defect, Evidence, Size, simulate};

fn judgements(evidence: &Evidence) -> Vec<(Invariant, Judgement, String)> {
    evidence.show(judge)
}

fn of(evidence: &Evidence, invariant: Invariant) -> Judgement {
    judgements(evidence)
        .into_iter()
        .find(|(which, ..)| *which == invariant)
        .unwrap()
        .1
}

const SIZE: Size = Size {
    clients: 12,
    seats: 30,
    capacity: 5,
    steps: 4_000,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// However clients and losses interleave, a correct service is never accused, and nothing stays unknown.
    #[test]
    fn clean_histories_raise_no_alarm(
        seed in any::<u64>(),
        clients in 1_u32..20,
        seats in 1_u32..12,
        capacity in 1_u32..8,
        steps in 0_u32..2_000,
    ) {
        let evidence = simulate(seed, Size { clients, seats, capacity, steps }, Defect::None);
        for (invariant, judgement, basis) in judgements(&evidence) {
            prop_assert!(
                matches!(judgement, Judgement::Valid | Judgement::Idle(_)),
                "{invariant:?} ({basis}): {judgement:?}"
            );
        }
        prop_assert_eq!(evidence.show(unsettled), 0, "keys settle every operation without an answer");
    }
}

/// How often each defect is found in twenty runs, and by which invariant.
#[track_caller]
fn catches(defect: Defect, expected: Invariant) {
    let mut caught = 0;
    for seed in 0..20 {
        let evidence = simulate(seed, SIZE, defect);
        if let Judgement::Invalid(found) = of(&evidence, expected) {
            caught += 1;
            assert!(!found.reason.is_empty());
            assert!(
                !found.operations.is_empty() || !found.rows.is_empty(),
                "{}",
                found.reason
            );
        }
    }
    assert!(
        caught >= 18,
        "{defect:?} was caught by {expected:?} in {caught} of 20 runs"
    );
}

#[test]
fn every_defect_is_caught_by_its_invariant() {
    catches(Defect::Oversell, Invariant::SeatSoldOnce);
    catches(Defect::CompletedWithoutDebit, Invariant::Money);
    catches(Defect::DebitTwice, Invariant::Money);
    catches(Defect::PayAfterExpiry, Invariant::Expiry);
    catches(Defect::AdmitAll, Invariant::Queue);
    catches(Defect::LastInFirstOut, Invariant::Queue);
    catches(Defect::LoseFromQueue, Invariant::Queue);
    catches(Defect::SwallowEvents, Invariant::Events);
    catches(Defect::NoEvent, Invariant::Events);
    catches(Defect::ForgetKeys, Invariant::Idempotency);
    catches(Defect::NeverSweep, Invariant::NoOrphans);
    catches(Defect::NeverSweep, Invariant::Expiry);
    catches(Defect::ServerErrors, Invariant::Contention);
}
