//! I3: a completed payment ⇔ one outbox row ⇔ one applied effect (a ticket), as multisets.

use super::end::End;
use super::facts::Facts;
use super::finding::{Evidence, Judgement};
use super::money::{Side, first_difference};
use super::outbox::had_time_to_drain;
use super::uid_map::{UidMap, UidSet};
use crate::recording::audit::{Audit, OutboxRow, PaymentStatus};
use crate::recording::history::Uid;

pub(super) fn check(facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    let Some(audit) = end.audit else {
        return (Judgement::Unknown(end.no_audit()), String::new());
    };
    let completed = completed(audit);
    let basis = format!(
        "{} completed payments, {} events, {} tickets",
        completed.len(),
        audit.outbox.len(),
        audit.tickets.len()
    );
    if completed.is_empty() && audit.outbox.is_empty() && audit.tickets.is_empty() {
        return (Judgement::Idle("nothing was paid".to_owned()), basis);
    }
    let has_outbox = end.rules.outbox != Some(false);
    let broken = if has_outbox {
        outbox_rows(audit, &completed).or_else(|| gap_in_sequence(audit))
    } else {
        None
    }
    .or_else(|| ticket_twice(audit))
    .or_else(|| ticket_from_nowhere(audit, &completed, has_outbox))
    .or_else(|| effect_without_record(audit, has_outbox));
    if let Some(evidence) = broken {
        return (Judgement::Invalid(with_payment(evidence, facts)), basis);
    }
    (missing_effects(audit, &completed, has_outbox, facts, end), basis)
}

fn completed(audit: &Audit) -> Vec<Uid> {
    let completed = audit
        .payments
        .iter()
        .filter(|row| row.status == PaymentStatus::Completed);
    let mut completed: Vec<Uid> = completed.map(|row| row.reservation).collect();
    completed.sort_unstable();
    completed
}

/// What convicts, and the reservation that it is about.
type About = (Evidence, Option<Uid>);

/// Adds the operations that paid.
fn with_payment((evidence, about): About, facts: &Facts) -> Evidence {
    let pays = facts
        .pays
        .iter()
        .filter(|pay| Some(pay.reservation) == about)
        .map(|pay| pay.operation);
    evidence.operations(pays.take(2))
}

/// Payments against outbox rows, one to one.
fn outbox_rows(audit: &Audit, completed: &[Uid]) -> Option<About> {
    let mut rows: Vec<Uid> = audit.outbox.iter().map(|row| row.reservation).collect();
    rows.sort_unstable();
    let (side, &reservation) = first_difference(&rows, completed)?;
    let known = rows.binary_search(&reservation).is_ok() && completed.binary_search(&reservation).is_ok();
    let reason = match side {
        Side::Left if known => format!("the payment for reservation {reservation} left more than one event"),
        Side::Left => format!("there is an event for reservation {reservation}, whose payment is not completed"),
        Side::Right => format!("the payment for reservation {reservation} is completed and left no event"),
    };
    let of_reservation = audit.outbox.iter().filter(|row| row.reservation == reservation);
    let evidence = of_reservation
        .take(2)
        .fold(Evidence::new(reason), |evidence, row| evidence.row(describe(row)));
    Some((evidence, Some(reservation)))
}

fn describe(row: &OutboxRow) -> String {
    let state = if row.published { "published" } else { "not published" };
    format!(
        "outbox: event {} for reservation {}, number {} of shard {}, {state}",
        row.event, row.reservation, row.seq, row.shard
    )
}

/// Numbers are given in the order of the commits, so a hole is an event that was there and is gone.
fn gap_in_sequence(audit: &Audit) -> Option<About> {
    let mut rows: Vec<&OutboxRow> = audit.outbox.iter().collect();
    rows.sort_unstable_by_key(|row| (row.shard, row.seq));
    let pair = rows
        .windows(2)
        .find(|pair| pair[0].shard == pair[1].shard && pair[0].seq.checked_add(1) != Some(pair[1].seq))?;
    let what = if pair[0].seq == pair[1].seq {
        "the same number twice"
    } else {
        "a gap"
    };
    let reason = format!("shard {} of the outbox has {what} after {}", pair[0].shard, pair[0].seq);
    Some((
        Evidence::new(reason).row(describe(pair[0])).row(describe(pair[1])),
        None,
    ))
}

fn ticket_twice(audit: &Audit) -> Option<About> {
    let mut tickets: Vec<(Uid, Uid)> = audit
        .tickets
        .iter()
        .map(|ticket| (ticket.reservation, ticket.event))
        .collect();
    tickets.sort_unstable();
    let pair = tickets.windows(2).find(|pair| pair[0].0 == pair[1].0)?;
    let evidence = pair.iter().fold(
        Evidence::new(format!("reservation {} has two tickets", pair[0].0)),
        |evidence, (reservation, event)| {
            evidence.row(format!("ticket for reservation {reservation} from event {event}"))
        },
    );
    Some((evidence, Some(pair[0].0)))
}

fn ticket_from_nowhere(audit: &Audit, completed: &[Uid], has_outbox: bool) -> Option<About> {
    // By now each of these payments is known to have one event.
    let mut events: UidMap<Option<Uid>> = completed.iter().map(|&reservation| (reservation, None)).collect();
    for row in &audit.outbox {
        events.insert(row.reservation, Some(row.event));
    }
    let ticket = audit
        .tickets
        .iter()
        .find(|ticket| match events.get(&ticket.reservation) {
            None => true,
            Some(event) => has_outbox && *event != Some(ticket.event),
        })?;
    let why = if events.contains_key(&ticket.reservation) {
        "event"
    } else {
        "payment"
    };
    let reason = format!("reservation {} has a ticket without a {why}", ticket.reservation);
    let row = format!(
        "ticket for reservation {} from event {}",
        ticket.reservation, ticket.event
    );
    Some((Evidence::new(reason).row(row), Some(ticket.reservation)))
}

/// An effect and the record that it was applied are one transaction.
fn effect_without_record(audit: &Audit, has_outbox: bool) -> Option<About> {
    let mut applied: Vec<Uid> = audit.tickets.iter().map(|ticket| ticket.event).collect();
    applied.sort_unstable();
    // Marks of events that are not ours, such as one produced by hand, say nothing.
    let ours: UidSet = if has_outbox {
        audit.outbox.iter().map(|row| row.event).collect()
    } else {
        applied.iter().copied().collect()
    };
    let marked = audit.processed.iter().filter(|event| ours.contains(event));
    let mut processed: Vec<Uid> = marked.copied().collect();
    processed.sort_unstable();
    let (side, &event) = first_difference(&applied, &processed)?;
    let row = audit.outbox.iter().find(|row| row.event == event);
    let reason = match side {
        Side::Left => format!("event {event} was applied more than once, or without being marked as processed"),
        Side::Right => format!("event {event} is marked as processed and had no effect"),
    };
    let evidence = row
        .into_iter()
        .fold(Evidence::new(reason), |evidence, row| evidence.row(describe(row)));
    Some((evidence, row.map(|row| row.reservation)))
}

/// Payments that have no ticket: lost when there was time enough, and otherwise perhaps only late.
fn missing_effects(audit: &Audit, completed: &[Uid], has_outbox: bool, facts: &Facts, end: &End<'_>) -> Judgement {
    let tickets: UidSet = audit.tickets.iter().map(|ticket| ticket.reservation).collect();
    let dead = end.harness.dead_letters.as_deref().unwrap_or_default();
    let is_dead = |event: Uid| dead.iter().any(|letter| Uid::of(&letter.key) == event);
    let events: UidMap<&OutboxRow> = audit.outbox.iter().map(|row| (row.reservation, row)).collect();
    let mut missing = completed
        .iter()
        .filter(|reservation| !tickets.contains(reservation))
        .map(|&reservation| (reservation, events.get(&reservation).copied()))
        .filter(|(_, row)| !row.is_some_and(|row| is_dead(row.event)));
    let Some((reservation, row)) = missing.next() else {
        return Judgement::Valid;
    };
    let count = 1 + missing.count();
    if !had_time_to_drain(end) {
        return Judgement::Unknown(format!(
            "{count} payments had no ticket yet, and the run did not wait until their events were through"
        ));
    }
    let path = if has_outbox { "an event and" } else { "" };
    let reason = format!(
        "the payment for reservation {reservation} has {path} no ticket ({count} such); it is not among the dead letters"
    );
    let evidence = row
        .into_iter()
        .fold(Evidence::new(reason), |evidence, row| evidence.row(describe(row)));
    Judgement::Invalid(with_payment((evidence, Some(reservation)), facts))
}
