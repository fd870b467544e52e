//! I6: nothing is paid after its definite expiry; an expired seat is on sale within the grace; sold never reverts.

use std::collections::HashMap;
use std::num::NonZeroI64;

use super::end::End;
use super::facts::Facts;
use super::finding::{Evidence, Judgement};
use super::seats::{calendar, describe};
use super::token::At;
use crate::recording::audit::{Audit, PaymentStatus, ReservationRow, ReservationStatus, SeatStatus};
use crate::recording::history::{Name, Uid};
use crate::units::Nanos;

pub(super) fn check(facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    let pays = facts.pays.iter().filter(|pay| pay.ok).count();
    let basis = format!("{pays} payments, {} attempts to hold", facts.attempts.len());
    let from_clients = paid_late(facts, end).or_else(|| reverted_to_readers(facts));
    let judgement = match (from_clients, end.audit) {
        (Some(evidence), _) => Judgement::Invalid(evidence),
        (None, None) => Judgement::Unknown(end.no_audit()),
        (None, Some(audit)) => {
            let evidence = completed_late(audit, facts, end)
                .or_else(|| reverted_in_the_end(audit, facts, end))
                .or_else(|| never_returned(audit, facts, end));
            match evidence {
                None if facts.attempts.is_empty() && audit.reservations.is_empty() => {
                    Judgement::Idle("no seat was held".to_owned())
                }
                evidence => evidence.into(),
            }
        }
    };
    (judgement, basis)
}

/// A payment asked for when its reservation had certainly expired, and granted.
fn paid_late(facts: &Facts, end: &End<'_>) -> Option<Evidence> {
    let hold = facts.holds.iter().find(|hold| {
        // What was asked for earlier may have happened earlier, and later answers only repeat it.
        let payment = facts
            .payments
            .get(&hold.reservation)
            .filter(|payment| payment.answered.is_some());
        let late = |ms: NonZeroI64| payment.is_some_and(|payment| payment.asked > end.clock.latest(ms.get()));
        hold.expires_ms.is_some_and(late)
    })?;
    let expires = hold.expires_ms.map_or_else(String::new, |ms| calendar(ms.get()));
    let reason = format!(
        "reservation {} was paid after it had expired at {expires}",
        hold.reservation
    );
    Some(
        Evidence::new(reason)
            .operations([hold.operation])
            .operations(facts.paid(hold.reservation).map(At::operation)),
    )
}

/// The same by the service's own books, whose times are all taken from one clock.
fn completed_late(audit: &Audit, facts: &Facts, end: &End<'_>) -> Option<Evidence> {
    if !end.clock.steady {
        return None;
    }
    let completed = audit
        .payments
        .iter()
        .filter(|row| row.status == PaymentStatus::Completed);
    completed
        .filter_map(|payment| Some((payment.completed_ms?, end.reservation(payment.reservation)?)))
        .find_map(|(completed_ms, row)| {
            (completed_ms > row.expires_ms).then(|| {
                let reason = format!("reservation {} was paid after its expiry", row.reservation);
                operations_of(row.reservation, facts, Evidence::new(reason))
                    .row(describe(row, end))
                    .row(format!(
                        "payment for reservation {}: completed {}",
                        row.reservation,
                        calendar(completed_ms)
                    ))
            })
        })
}

/// The hold and the payment of a reservation.
fn operations_of(reservation: Uid, facts: &Facts, evidence: Evidence) -> Evidence {
    let hold = facts
        .holds
        .iter()
        .find(|hold| hold.reservation == reservation)
        .map(|hold| hold.operation);
    let pay = facts
        .pays
        .iter()
        .find(|pay| pay.reservation == reservation)
        .map(|pay| pay.operation);
    evidence.operations(hold.into_iter().chain(pay))
}

/// A reservation that was paid, and that somebody later read as anything else.
fn reverted_to_readers(facts: &Facts) -> Option<Evidence> {
    let read = facts
        .reads
        .iter()
        .find(|read| facts.paid(read.reservation).is_some_and(|paid| paid.t() < read.invoked))?;
    let reason = format!(
        "reservation {} was paid, and later read as {}",
        read.reservation,
        read.state.name()
    );
    let pay = facts.paid(read.reservation).map(At::operation);
    Some(Evidence::new(reason).operations(pay.into_iter().chain([read.operation])))
}

/// Paid in the clients' eyes or by its own status, and yet its seat is not sold to it.
fn reverted_in_the_end(audit: &Audit, facts: &Facts, end: &End<'_>) -> Option<Evidence> {
    for pay in facts.pays.iter().filter(|pay| pay.ok) {
        let row = end.reservation(pay.reservation);
        if row.is_none_or(|row| row.status != ReservationStatus::Paid) {
            let reason = match row {
                Some(_) => format!("reservation {} was paid and is not in the end", pay.reservation),
                None => format!("reservation {} was paid and does not exist in the end", pay.reservation),
            };
            let evidence = operations_of(pay.reservation, facts, Evidence::new(reason));
            return Some(
                row.into_iter()
                    .fold(evidence, |evidence, row| evidence.row(describe(row, end))),
            );
        }
    }
    let sold: HashMap<Name, Option<Uid>> = audit
        .seats
        .iter()
        .filter(|seat| seat.status == SeatStatus::Sold)
        .map(|seat| (seat.seat, seat.reservation))
        .collect();
    let row = audit.reservations.iter().find(|row| {
        row.status == ReservationStatus::Paid && sold.get(&row.seat).copied().flatten() != Some(row.reservation)
    })?;
    let reason = match sold.get(&row.seat) {
        Some(Some(other)) => format!(
            "seat {} was paid by {} and is sold to {other}",
            end.text(row.seat),
            row.reservation
        ),
        _ => format!(
            "seat {} was paid by {} and is not sold",
            end.text(row.seat),
            row.reservation
        ),
    };
    Some(operations_of(row.reservation, facts, Evidence::new(reason)).row(describe(row, end)))
}

/// "Taken" was the answer, though nobody had the seat: every reservation of it had ended, and nobody else was trying.
fn never_returned(audit: &Audit, facts: &Facts, end: &End<'_>) -> Option<Evidence> {
    let grace_ms = i64::try_from(end.rules.grace_ms?).ok()?;
    if !end.clock.steady {
        return None;
    }
    let mut rows: Vec<&ReservationRow> = audit.reservations.iter().collect();
    rows.sort_unstable_by_key(|row| (row.seat, row.created_ms));
    // For a group of rows up to each one, until when the seat may have been taken.
    let mut until_ms: Vec<i64> = Vec::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        let own = match row.status {
            ReservationStatus::Paid => i64::MAX,
            _ => row.expires_ms.saturating_add(grace_ms),
        };
        let before = place
            .checked_sub(1)
            .filter(|&before| rows[before].seat == row.seat)
            .map(|before| until_ms[before]);
        until_ms.push(before.map_or(own, |before| before.max(own)));
    }
    facts.attempts.chunk_by(|a, b| a.seat == b.seat).find_map(|attempts| {
        let mut busy_until = Nanos(0);
        attempts.iter().enumerate().find_map(|(place, attempt)| {
            let alone = busy_until < attempt.invoked
                && attempts
                    .get(place + 1)
                    .is_none_or(|next| next.invoked > attempt.returned);
            busy_until = busy_until.max(attempt.returned);
            if !attempt.taken || !alone {
                return None;
            }
            let answered_ms = end.clock.at_most_ms(attempt.returned);
            let created = rows.partition_point(|row| (row.seat, row.created_ms) <= (attempt.seat, answered_ms));
            let last = created.checked_sub(1).filter(|&last| rows[last].seat == attempt.seat);
            let free = last.is_none_or(|last| until_ms[last] < end.clock.at_least_ms(attempt.invoked));
            // Without any reservation, the seat may have been unavailable from the start.
            let last = last.filter(|_| free)?;
            let row = rows[last];
            let reason = format!(
                "seat {} was refused as taken, though its last reservation had ended and nobody else asked for it",
                end.text(attempt.seat)
            );
            let evidence = Evidence::new(reason)
                .operations([attempt.operation])
                .row(describe(row, end));
            Some(operations_of(row.reservation, facts, evidence))
        })
    })
}
