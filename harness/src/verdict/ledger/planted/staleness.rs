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
    assert!(matches!(no_promise.judge(WHICH), Judgement::Idle(_)));
}
