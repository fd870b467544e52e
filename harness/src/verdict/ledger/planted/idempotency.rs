//! I7, planted: keys with two answers or two effects.

use super::case::*;
const WHICH: Invariant = Invariant::Idempotency;

/// The same key twice; the second answer is changed.
fn twice(change: impl FnOnce(&mut Operation)) -> Case {
    let mut case = Case::new();
    case.hold(ANNA, R1, 0, 10).key = IdemKey(9);
    let again = case.hold(ANNA, R1, 0, 20);
    again.key = IdemKey(9);
    change(again);
    case
}

#[test]
fn one_key_has_one_answer() {
    twice(|_| ()).acquits(WHICH);
    twice(|again| again.object = R2).convicts(WHICH, "two different answers", &[0, 1]);
    twice(|again| again.extra = Some(at(2_000))).convicts(WHICH, "two different answers", &[0, 1]);
    twice(|again| again.seat = Name(101)).convicts(WHICH, "two different answers", &[0, 1]);
    // Another user's key, and a refusal of another body, are no answers to the same request.
    twice(|again| (again.user, again.object) = (BERT, R2)).acquits(WHICH);
    twice(|again| (again.settled, again.seat) = (Settled::Fail, Name(101))).acquits(WHICH);
}

#[test]
fn one_key_has_one_effect() {
    let rows = |keys: [u64; 2]| {
        let mut case = twice(|_| ());
        for (reservation, key) in [R1, R2].into_iter().zip(keys) {
            case.row(ANNA, reservation, 0, ReservationStatus::Cancelled);
            case.audit.reservations.last_mut().unwrap().key = Some(IdemKey(key));
        }
        case
    };
    rows([9, 8]).acquits(WHICH);
    rows([9, 9]).convicts(WHICH, "two reservations", &[0, 1]);
}
