//! The ledger's speed and memory over ten million operations of a million bookings, on one thread:
//! `cargo bench -p soundcheck --bench ledger`. A prototype did four invariants in 1.5 s and 549 MB; here are ten.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::collections::BTreeMap;
use std::time::Instant;

use soundcheck::recording::audit::{
    Audit, Entry, LedgerRow, OutboxRow, PaymentRow, PaymentStatus, ReservationRow, ReservationStatus, SeatRow,
    SeatStatus, TicketRow, UserRow,
};
use soundcheck::recording::history::{Code, IdemKey, Name, Names, OpKind, Operation, Settled, State, Uid};
use soundcheck::recording::model::{ClockAnchor, Rules};
use soundcheck::units::Nanos;
use soundcheck::verdict::ledger::end::{Drained, HarnessFacts, ServiceClock};
use soundcheck::verdict::ledger::finding::Judgement;
use soundcheck::verdict::ledger::{End, Invariant, Projection, judge};

/// Operations of one booking below.
const OPERATIONS: u64 = 10;

fn main() {
    // `cargo test --benches` passes no `--bench`: then a small run shows that it works.
    let measured = std::env::args().any(|argument| argument == "--bench");
    let bookings: u64 = if measured { 1_000_000 } else { 1_000 };

    let audit = final_state(bookings);
    let before = peak_mib();
    let started = Instant::now();
    let mut projection = Projection::default();
    for number in 0..bookings {
        booking(number, |step, operation| {
            projection.observe(number * OPERATIONS + step, &operation)
        });
    }
    let facts = projection.finish();
    let observed = started.elapsed();
    let rules = Rules {
        queue_capacity: Some(1_000),
        grace_ms: Some(1_000),
        active_ttl_ms: Some(60_000),
        staleness_ms: Some(1_000),
        drain_ms: Some(1_000),
        ..Rules::default()
    };
    let anchor = ClockAnchor {
        unix_ns: 0,
        offsets: Vec::new(),
    };
    let names = Names::default();
    let harness = HarnessFacts {
        audited: Some(Nanos(u64::MAX / 4)),
        drained: Some(Drained {
            pending: Some(0),
            waited: Nanos(0),
        }),
        dead_letters: Some(Vec::new()),
        ..HarnessFacts::default()
    };
    let end = End::new(Some(&audit), &names, &rules, ServiceClock::of(&anchor), harness);
    let judgements = judge(&facts, &end);
    let elapsed = started.elapsed();

    let valid = judgements
        .iter()
        // Nothing was scraped that the invariants of counters could be judged by.
        .filter(|(_, judgement, _)| matches!(judgement, Judgement::Valid | Judgement::Idle(_)))
        .count();
    assert_eq!(
        valid,
        Invariant::ALL.len(),
        "a flawless history is valid: {judgements:#?}"
    );
    let operations = bookings * OPERATIONS;
    println!(
        "{operations} operations: {:.2} s ({:.2} s to project), {:.1} million/s, {} invariants; peak {} MiB, of which {} \
         MiB are the final state of {bookings} bookings",
        elapsed.as_secs_f64(),
        observed.as_secs_f64(),
        operations as f64 / elapsed.as_secs_f64() / 1e6,
        judgements.len(),
        text(peak_mib()),
        text(before),
    );
}

fn text(mib: Option<u64>) -> String {
    mib.map_or_else(|| "n/a".to_owned(), |mib| mib.to_string())
}

/// The most memory that this process has had, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

fn uid(kind: u64, number: u64) -> Uid {
    // Spread like real ids, so that no hash table profits from a pattern.
    Uid::from_halves(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), kind << 32 | number)
}

fn user(number: u64) -> Name {
    Name(u32::try_from(number + 1).unwrap_or(u32::MAX))
}

fn seat(number: u64) -> Name {
    Name(u32::try_from(number + 10_000_000).unwrap_or(u32::MAX))
}

/// One user enters, waits, charges, is refused a seat that is gone, takes another and pays: a millisecond later than
/// the one before.
fn booking(number: u64, mut record: impl FnMut(u64, Operation)) {
    const MS: u64 = 1_000_000;
    let start = number * MS;
    let (me, token, reservation) = (user(number), uid(1, number), uid(2, number));
    let mut step = 0;
    let mut add = |kind, change: &dyn Fn(&mut Operation)| {
        let invoked = Nanos(start + step * 20 * MS);
        let mut operation = Operation::new(kind, me.0, invoked, Nanos(invoked.0 + 5 * MS), Settled::Ok);
        operation.user = me;
        operation.status = 200;
        change(&mut operation);
        record(step, operation);
        step += 1;
    };
    let expires_ms = i64::try_from((start + 60_000 * MS) / MS).ok();
    let place = |state| {
        move |op: &mut Operation| {
            (op.object, op.state, op.extra) = (token, state, expires_ms);
        }
    };
    add(OpKind::QueueEnter, &place(State::Waiting));
    add(OpKind::QueuePosition, &place(State::Waiting));
    add(OpKind::QueuePosition, &place(State::Waiting));
    add(OpKind::QueuePosition, &place(State::Active));
    add(OpKind::Charge, &|op| {
        (op.amount, op.key, op.object) = (Some(10), IdemKey(number * 4 + 1), uid(3, number))
    });
    add(OpKind::SeatSeen, &|op| op.seat = seat(number));
    add(OpKind::Hold, &|op| {
        (op.seat, op.settled, op.code, op.status) =
            (seat(number.saturating_sub(500)), Settled::Fail, Code::SeatTaken, 409);
    });
    add(OpKind::Hold, &|op| {
        (op.seat, op.object, op.amount, op.extra) = (seat(number), reservation, Some(10), expires_ms);
        op.key = IdemKey(number * 4 + 2);
    });
    add(OpKind::Pay, &|op| {
        (op.object, op.amount, op.key) = (reservation, Some(10), IdemKey(number * 4 + 3));
    });
    add(OpKind::ReadReservation, &|op| {
        (op.object, op.state) = (reservation, State::Paid)
    });
}

fn final_state(bookings: u64) -> Audit {
    let mut audit = Audit {
        summary: Some(BTreeMap::new()),
        ..Audit::default()
    };
    for number in 0..bookings {
        let (me, reservation, event) = (user(number), uid(2, number), uid(4, number));
        let created_ms = i64::try_from(number + 140).unwrap_or(i64::MAX);
        audit.users.push(UserRow {
            user: me,
            initial: 0,
            balance: 0,
        });
        for (entry, key) in [(Entry::Charge, Some(IdemKey(number * 4 + 1))), (Entry::Payment, None)] {
            audit.ledger.push(LedgerRow {
                user: me,
                entry,
                amount: 10,
                reservation: (entry == Entry::Payment).then_some(reservation),
                key,
            });
        }
        audit.seats.push(SeatRow {
            seat: seat(number),
            price: 10,
            status: SeatStatus::Sold,
            reservation: Some(reservation),
            held_until_ms: None,
        });
        audit.reservations.push(ReservationRow {
            reservation,
            user: me,
            seat: seat(number),
            status: ReservationStatus::Paid,
            amount: 10,
            created_ms,
            expires_ms: created_ms + 60_000,
            key: Some(IdemKey(number * 4 + 2)),
        });
        audit.payments.push(PaymentRow {
            reservation,
            status: PaymentStatus::Completed,
            amount: 10,
            completed_ms: Some(created_ms + 20),
            key: None,
        });
        audit.outbox.push(OutboxRow {
            event,
            shard: 0,
            seq: number + 1,
            reservation,
            published: true,
        });
        audit.processed.push(event);
        audit.tickets.push(TicketRow { reservation, event });
    }
    audit
}
