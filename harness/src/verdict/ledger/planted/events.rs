//! I3, planted: events lost, doubled or without effect.

use super::case::*;
const WHICH: Invariant = Invariant::Events;

#[test]
fn each_payment_has_one_event() {
    let mut none = Case::booked();
    none.audit.outbox.clear();
    none.convicts(WHICH, "left no event", &[1]);
    let mut two = Case::booked();
    let row = OutboxRow {
        event: uid(900),
        seq: 2,
        ..two.audit.outbox[0]
    };
    two.audit.outbox.push(row);
    two.convicts(WHICH, "more than one event", &[1]);
    let mut unpaid = Case::booked();
    unpaid.audit.payments.clear();
    unpaid.convicts(WHICH, "whose payment is not completed", &[1]);
}

#[test]
fn numbers_have_no_hole() {
    let numbered = |numbers: [u64; 2]| {
        let mut case = Case::booked();
        case.paid(BERT, R2, 200);
        for (row, seq) in case.audit.outbox.iter_mut().zip(numbers) {
            row.seq = seq;
        }
        case
    };
    numbered([4, 5]).acquits(WHICH);
    numbered([4, 6]).convicts(WHICH, "a gap after 4", &[]);
    numbered([4, 4]).convicts(WHICH, "same number twice", &[]);
    let mut other_shard = numbered([4, 9]);
    other_shard.audit.outbox[1].shard = 1;
    other_shard.acquits(WHICH);
}

#[test]
fn each_event_has_one_effect() {
    let mut lost = Case::booked();
    lost.audit.tickets.clear();
    lost.audit.processed.clear();
    lost.convicts(WHICH, "no ticket (1 such)", &[1]);
    // Merely late, as far as anybody knows.
    lost.harness.drained = None;
    lost.doubts(WHICH, "did not wait");
    lost.harness.drained = Some(Drained {
        pending: Some(1),
        waited: ms(2_999),
    });
    lost.doubts(WHICH, "did not wait");
    lost.harness.drained = Some(Drained {
        pending: None,
        waited: ms(3_000),
    });
    lost.convicts(WHICH, "no ticket", &[1]);
    // Not lost: it lies among the dead letters.
    let key = lost.audit.outbox[0].event.to_string();
    lost.harness.dead_letters = Some(vec![DeadLetter {
        key,
        cause: None,
        attempts: None,
        source: None,
    }]);
    lost.acquits(WHICH);
}

#[test]
fn effects_and_their_marks_agree() {
    let mut unmarked = Case::booked();
    unmarked.audit.processed.clear();
    unmarked.convicts(WHICH, "without being marked", &[1]);
    let mut swallowed = Case::booked();
    swallowed.audit.tickets.clear();
    swallowed.convicts(WHICH, "had no effect", &[1]);
    let mut foreign = Case::booked();
    foreign.audit.processed.insert(0, uid(1));
    foreign.acquits(WHICH);
    let mut twice = Case::booked();
    twice.audit.tickets.push(TicketRow {
        event: uid(900),
        ..twice.audit.tickets[0]
    });
    twice.convicts(WHICH, "two tickets", &[1]);
}

#[test]
fn without_an_outbox_tickets_alone_are_counted() {
    let mut direct = Case::booked();
    direct.rules.outbox = Some(false);
    direct.audit.outbox.clear();
    direct.acquits(WHICH);
    direct.audit.tickets.clear();
    direct.audit.processed.clear();
    direct.convicts(WHICH, "no ticket", &[1]);
}
