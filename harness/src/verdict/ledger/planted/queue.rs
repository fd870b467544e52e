//! I5, planted: overtaking, crowding, losing.

use super::case::*;
use OpKind::{QueueEnter, QueuePosition};
const WHICH: Invariant = Invariant::Queue;
const CARA: Name = Name(3);

/// Anna enters, then Bert; Bert is seen active at 200, and Anna polls at `polled`.
fn overtaking(bert_asks: u64, polled: u64, state: State) -> Case {
    let mut case = Case::new();
    case.queue(QueueEnter, ANNA, 0, 10, State::Waiting);
    case.queue(QueueEnter, BERT, bert_asks, bert_asks + 10, State::Waiting);
    case.queue(QueuePosition, BERT, 190, 200, State::Active);
    case.queue(QueuePosition, ANNA, polled, polled + 10, state);
    case
}

#[test]
fn who_came_first_is_let_in_first() {
    overtaking(20, 210, State::Waiting).convicts(WHICH, "still waited", &[0, 1, 2, 3]);
    overtaking(20, 210, State::Active).acquits(WHICH);
    // Asked for before Anna had her answer: either may have been first.
    overtaking(9, 210, State::Waiting).acquits(WHICH);
    // Her poll may have been answered before Bert was let in.
    overtaking(20, 195, State::Waiting).acquits(WHICH);
}

#[test]
fn a_place_may_be_as_old_as_the_first_request_for_it() {
    let mut case = overtaking(20, 210, State::Waiting);
    case.queue(QueueEnter, BERT, 5, 15, State::None).settled = Settled::Info;
    case.acquits(WHICH);
}

/// Three tokens, one after the other; the third is seen active at 300.
fn three(third: u64) -> Case {
    let mut case = Case::new();
    case.queue(QueueEnter, ANNA, 0, 10, State::Active);
    case.queue(QueueEnter, BERT, 100, 110, State::Active);
    case.queue(QueueEnter, CARA, third, third + 10, State::Active);
    case
}

#[test]
fn never_more_are_active_than_there_are_places() {
    three(300).convicts(WHICH, "3 tokens were certainly active", &[0, 1, 2]);
    three(4_990).acquits(WHICH);
    let mut unknown = three(300);
    unknown.rules.queue_capacity = None;
    unknown.doubts(WHICH, "capacity is not known");
}

#[test]
fn a_token_ends_with_a_payment_or_a_farewell_even_unheard() {
    for settled in [Settled::Ok, Settled::Info] {
        let mut paid = three(300);
        paid.pay(ANNA, R1, 250, 260).settled = settled;
        paid.row(ANNA, R1, 50, ReservationStatus::Paid);
        paid.acquits(WHICH);
        let mut left = three(300);
        left.queue(OpKind::QueueLeave, ANNA, 250, 260, State::None).settled = settled;
        left.acquits(WHICH);
    }
    let mut refused = three(300);
    refused.pay(ANNA, R1, 250, 260).settled = Settled::Fail;
    refused.convicts(WHICH, "certainly active", &[0, 1, 2]);
}

#[test]
fn a_broken_waiting_room_leaves_only_what_was_seen() {
    let mut case = three(300);
    case.harness.faults.push(FaultWindow {
        name: "container.kill".to_owned(),
        target: "redis".to_owned(),
        from: ms(120),
        until: Some(ms(150)),
    });
    case.acquits(WHICH);
}

/// Anna waits; at 500 nobody knows her token.
fn forgotten(gone: u64, change: impl FnOnce(&mut Case)) -> Case {
    let mut case = Case::new();
    case.queue(QueueEnter, ANNA, 0, 10, State::Waiting);
    let op = case.queue(QueuePosition, ANNA, gone, gone + 10, State::None);
    (op.settled, op.code, op.extra) = (Settled::Fail, Code::TokenGone, None);
    change(&mut case);
    case
}

#[test]
fn nobody_is_lost() {
    forgotten(500, |_| ()).convicts(WHICH, "gone before its expiry", &[0, 1]);
    forgotten(4_995, |_| ()).acquits(WHICH);
    forgotten(500, |case| {
        case.queue(OpKind::QueueLeave, ANNA, 400, 600, State::None).settled = Settled::Info;
    })
    .acquits(WHICH);
    // Let in unseen, an active token may have expired before the waiting one's time.
    forgotten(500, |case| case.rules.active_ttl_ms = Some(400)).acquits(WHICH);
    forgotten(500, |case| case.rules.active_ttl_ms = None).acquits(WHICH);
}

#[test]
fn no_token_outlives_its_expiry() {
    // Polled long after the expiry that the same answer tells.
    let polled = |from: u64| {
        let mut case = Case::new();
        case.queue(QueueEnter, ANNA, 0, 10, State::Active);
        case.queue(QueuePosition, ANNA, from, from + 10, State::Active).extra = Some(at(5_000));
        case
    };
    polled(5_502).convicts(WHICH, "still good after its expiry", &[0, 1]);
    polled(5_501).acquits(WHICH);
    let mut renewed = polled(5_502);
    renewed.operations[1].extra = Some(at(9_000));
    renewed.acquits(WHICH);
}
