//! I6, planted: late payments, reverted sales, seats that never return.

use super::case::*;
const WHICH: Invariant = Invariant::Expiry;

fn paid_at(asked: u64) -> Case {
    let mut case = Case::booked();
    case.operations[1] = Operation {
        invoked: ms(asked),
        returned: ms(asked + 10),
        ..case.operations[1]
    };
    case
}

#[test]
fn nothing_is_paid_after_its_expiry() {
    paid_at(1_002).convicts(WHICH, "was paid after it had expired", &[0, 1]);
    paid_at(1_001).acquits(WHICH);
    let mut unsure = paid_at(1_002);
    unsure.clock_uncertainty_ms = 5;
    unsure.acquits(WHICH);
    // A late answer to an early request repeats what happened in time.
    let mut repeated = paid_at(1_500);
    repeated.pay(ANNA, R1, 900, 910).settled = Settled::Info;
    repeated.acquits(WHICH);
}

#[test]
fn the_books_show_it_too() {
    let completed = |at_ms| {
        let mut case = Case::booked();
        case.audit.payments[0].completed_ms = Some(at(at_ms));
        case
    };
    completed(1_005).acquits(WHICH);
    completed(1_006).convicts(WHICH, "was paid after its expiry", &[0, 1]);
}

#[test]
fn a_sold_seat_never_reverts() {
    let read = |from, state| {
        let mut case = Case::booked();
        let op = case.op(OpKind::ReadReservation, from, from + 10);
        (op.object, op.state) = (R1, state);
        case
    };
    read(111, State::Expired).convicts(WHICH, "later read as expired", &[1, 2]);
    read(111, State::Paid).acquits(WHICH);
    read(109, State::Pending).acquits(WHICH);
    let mut unsold = Case::booked();
    unsold.audit.seats.clear();
    unsold.convicts(WHICH, "is not sold", &[0, 1]);
    let mut forgotten = Case::booked();
    forgotten.audit.reservations.clear();
    forgotten.convicts(WHICH, "does not exist in the end", &[0, 1]);
    let mut unpaid = Case::booked();
    unpaid.audit.reservations[0].status = ReservationStatus::Expired;
    unpaid.convicts(WHICH, "is not in the end", &[0, 1]);
}

/// A hold that expired at 1,000, and an attempt later that was refused.
fn refused(from: u64, to: u64) -> Case {
    let mut case = Case::new();
    case.hold(ANNA, R1, 0, 10);
    case.row(ANNA, R1, 0, ReservationStatus::Expired);
    let op = case.hold(BERT, Uid::NONE, from, to);
    (op.settled, op.code) = (Settled::Fail, Code::SeatTaken);
    case
}

#[test]
fn an_expired_seat_is_on_sale_again_within_the_grace() {
    refused(1_502, 1_510).convicts(WHICH, "refused as taken", &[0, 1]);
    refused(1_499, 1_510).acquits(WHICH);
    let mut contended = refused(1_502, 1_510);
    contended.hold(ANNA, R2, 1_505, 1_520).settled = Settled::Info;
    contended.acquits(WHICH);
    let mut taken = refused(1_502, 1_510);
    taken.row(ANNA, R2, 1_100, ReservationStatus::Pending);
    taken.acquits(WHICH);
    let mut no_promise = refused(1_502, 1_510);
    no_promise.rules.grace_ms = None;
    no_promise.acquits(WHICH);
}
