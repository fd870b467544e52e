//! I9, planted: seats without owners, holds without end.

use super::case::*;
const WHICH: Invariant = Invariant::NoOrphans;

/// A seat held by Anna's reservation, both as given, with the reservation created at `created`.
fn held(created: u64, status: ReservationStatus, owner: Option<Uid>) -> Case {
    let mut case = Case::new();
    case.row(ANNA, R1, created, status);
    case.seat(SeatStatus::Held, owner, created + 1_000);
    case
}

#[test]
fn every_unavailable_seat_has_its_owner() {
    held(9_500, ReservationStatus::Pending, Some(R1)).acquits(WHICH);
    held(9_500, ReservationStatus::Pending, None).convicts(WHICH, "held by no reservation", &[]);
    held(9_500, ReservationStatus::Pending, Some(R2)).convicts(WHICH, "does not exist", &[]);
    held(9_500, ReservationStatus::Cancelled, Some(R1)).convicts(WHICH, "which is cancelled", &[]);
    held(9_500, ReservationStatus::Paid, Some(R1)).convicts(WHICH, "which is paid", &[]);
    let mut sold = Case::booked();
    sold.audit.reservations[0].status = ReservationStatus::Expired;
    sold.convicts(WHICH, "which is expired", &[]);
    let mut elsewhere = held(9_500, ReservationStatus::Pending, Some(R1));
    elsewhere.audit.reservations[0].seat = Name(101);
    elsewhere.convicts(WHICH, "for another seat", &[]);
}

#[test]
fn nothing_outlives_its_expiry_and_the_grace() {
    held(8_500, ReservationStatus::Pending, Some(R1)).acquits(WHICH);
    held(8_499, ReservationStatus::Pending, Some(R1)).convicts(WHICH, "still pending", &[]);
    held(8_499, ReservationStatus::Expired, Some(R1)).convicts(WHICH, "still held", &[]);
    held(8_500, ReservationStatus::Expired, Some(R1)).acquits(WHICH);
    let mut no_promise = held(8_499, ReservationStatus::Pending, Some(R1));
    no_promise.rules.grace_ms = None;
    no_promise.doubts(WHICH, "how long they may stay");
}

#[test]
fn a_live_hold_has_its_seat() {
    let mut long = held(9_500, ReservationStatus::Pending, Some(R1));
    long.audit.seats.clear();
    long.audit.reservations[0].expires_ms = at(80_000);
    long.convicts(WHICH, "its seat is not held for it", &[]);
    // With less than a minute left, it may have ended while the final state was read.
    long.audit.reservations[0].expires_ms = at(69_000);
    long.acquits(WHICH);
}
