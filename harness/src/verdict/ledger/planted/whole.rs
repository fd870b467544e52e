//! All invariants at once.

use super::case::*;

#[test]
fn a_flawless_booking_is_valid_in_every_way() {
    for invariant in Invariant::ALL {
        let judgement = Case::booked().judge(invariant);
        let idle = matches!(judgement, Judgement::Idle(_));
        assert!(judgement == Judgement::Valid || idle, "{invariant:?}: {judgement:?}");
    }
}

#[test]
fn a_missing_final_state_leaves_everything_unknown() {
    for invariant in [
        Invariant::SeatSoldOnce,
        Invariant::Money,
        Invariant::Events,
        Invariant::NoOrphans,
    ] {
        let mut case = Case::booked();
        case.audit.summary = None;
        case.doubts(invariant, "not recorded to its end");
        case.harness.audit_error = Some("exit status 1".to_owned());
        case.doubts(invariant, "exit status 1");
        let mut cut = Case::booked();
        cut.audit.summary = Some([("reservations".to_owned(), 2)].into());
        cut.doubts(invariant, "not recorded to its end");
    }
}
