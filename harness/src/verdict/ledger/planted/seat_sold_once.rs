//! I1, planted: holds that overlap, and holds that only seem to.

use super::case::*;
const WHICH: Invariant = Invariant::SeatSoldOnce;

/// Two holds, the second at `from`.
fn two(from: u64, to: u64, between: impl FnOnce(&mut Case)) -> Case {
    let mut case = Case::new();
    case.hold(ANNA, R1, 0, 10);
    between(&mut case);
    case.hold(BERT, R2, from, to);
    case
}

#[test]
fn a_hold_inside_another() {
    two(500, 510, |_| ()).convicts(WHICH, "held twice", &[0, 1]);
}

#[test]
fn a_hold_that_may_have_come_after_the_expiry() {
    two(990, 1_001, |_| ()).acquits_or_idle(WHICH);
    two(980, 999, |_| ()).convicts(WHICH, "held twice", &[0, 1]);
    // A clock that may be two milliseconds off leaves room for innocence.
    let mut case = two(980, 999, |_| ());
    case.clock_uncertainty_ms = 2;
    case.acquits_or_idle(WHICH);
}

#[test]
fn a_hold_after_a_cancellation_that_nobody_heard_of() {
    let cancel = |from, settled| {
        move |case: &mut Case| {
            let op = case.op(OpKind::Cancel, from, from + 10);
            (op.object, op.settled) = (R1, settled);
        }
    };
    two(500, 510, cancel(400, Settled::Ok)).acquits_or_idle(WHICH);
    two(500, 510, cancel(400, Settled::Info)).acquits_or_idle(WHICH);
    two(500, 510, cancel(400, Settled::Fail)).convicts(WHICH, "held twice", &[0, 2]);
    two(500, 510, cancel(511, Settled::Ok)).convicts(WHICH, "held twice", &[0, 2]);
}

#[test]
fn a_hold_without_an_answer_convicts_nobody() {
    let mut case = two(500, 510, |_| ());
    case.operations[1].settled = Settled::Info;
    case.acquits_or_idle(WHICH);
}

#[test]
fn a_repeated_request_with_the_same_reservation() {
    let mut case = two(500, 510, |_| ());
    case.operations[1].object = R1;
    case.acquits_or_idle(WHICH);
}

#[test]
fn a_sold_seat_is_never_held_again() {
    let late = |pay: bool| {
        let mut case = two(5_000, 5_010, |case| {
            if pay {
                case.pay(ANNA, R1, 100, 110);
            }
        });
        case.row(
            ANNA,
            R1,
            5,
            if pay {
                ReservationStatus::Paid
            } else {
                ReservationStatus::Expired
            },
        );
        case.row(BERT, R2, 5_005, ReservationStatus::Expired);
        case
    };
    late(true).convicts(WHICH, "held twice", &[0, 1, 2]);
    late(false).acquits(WHICH);
}

#[test]
fn overlapping_reservations_in_the_final_state() {
    let rows = |second_created, status| {
        let mut case = Case::new();
        case.row(ANNA, R1, 0, status);
        case.row(BERT, R2, second_created, ReservationStatus::Paid);
        case
    };
    rows(999, ReservationStatus::Expired).convicts(WHICH, "two reservations at the same time", &[]);
    rows(1_000, ReservationStatus::Expired).acquits(WHICH);
    rows(999, ReservationStatus::Cancelled).acquits(WHICH);
    rows(5_000, ReservationStatus::Paid).convicts(WHICH, "was sold twice", &[]);
}
