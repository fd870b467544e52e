//! I8, planted: seat maps of yesterday.

use super::case::*;
const WHICH: Invariant = Invariant::Staleness;

fn seen(from: u64, to: u64) -> Case {
    let mut case = Case::new();
    case.hold(ANNA, R1, 0, 10);
    case.op(OpKind::SeatSeen, from, to).seat = SEAT;
    case
}

#[test]
fn the_map_lags_no_longer_than_promised() {
    seen(212, 215).convicts(WHICH, "202.0 ms after it was held", &[0, 1]);
    seen(210, 215).acquits(WHICH);
    seen(5, 9).acquits(WHICH);
    // The hold may have expired before the map was drawn.
    seen(995, 1_001).acquits(WHICH);
    let mut no_promise = seen(212, 215);
    no_promise.rules.staleness_ms = None;
    no_promise.is_idle(WHICH, "no bound is promised");
    // Somebody looked whether each map is a set, and it was one.
    no_promise.operations[1].amount = Some(40);
    no_promise.acquits(WHICH);
}

#[test]
fn a_map_is_a_set() {
    let mut case = seen(5, 9);
    case.operations[1].amount = Some(40);
    case.acquits(WHICH);
    let repeated = case.op(OpKind::SeatSeen, 5, 9);
    (repeated.seat, repeated.amount, repeated.extra) = (SEAT, Some(40), Some(2));
    case.convicts(WHICH, "showed seat #100 2 times", &[2]);
}

/// A seat that was held from 0 to 10 ms, and is shown at `from`; it is still taken in the end, or not.
fn shown_in_the_end(from: u64, is_taken: bool) -> Case {
    let mut case = seen(from, from + 3);
    case.rules.staleness_ms = None;
    case.operations[0].extra = Some(at(0) + 60_000);
    case.operations[1].amount = Some(40);
    if is_taken {
        case.seat(SeatStatus::Held, Some(R1), 60_000);
    }
    case
}

#[test]
fn what_is_still_shown_when_nothing_changes_any_more_is_wrong_whatever_was_promised() {
    shown_in_the_end(511, true).convicts(WHICH, "nothing had changed for 500 ms", &[0, 1]);
    shown_in_the_end(510, true).acquits(WHICH);
    shown_in_the_end(511, false).acquits(WHICH);
    // Somebody else was still at it.
    let mut busy = shown_in_the_end(511, true);
    busy.hold(BERT, R2, 100, 110).seat = Name(101);
    busy.acquits(WHICH);
}
