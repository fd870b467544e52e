//! I9: after draining, no seat is unavailable without an owner, and no pending reservation outlives its expiry.

use std::collections::HashMap;

use super::end::End;
use super::finding::{Evidence, Judgement};
use super::seats::describe;
use crate::recording::audit::{Audit, ReservationStatus, SeatRow, SeatStatus};
use crate::recording::history::{Name, Uid};

pub(super) fn check(end: &End<'_>) -> (Judgement, String) {
    let Some(audit) = end.audit else {
        return (Judgement::Unknown(end.no_audit()), String::new());
    };
    let basis = format!(
        "{} unavailable seats, {} reservations",
        audit.seats.len(),
        audit.reservations.len()
    );
    if audit.seats.is_empty() && audit.reservations.is_empty() {
        return (Judgement::Idle("no seat was held".to_owned()), basis);
    }
    if let Some(evidence) = ownerless(audit, end).or_else(|| without_seat(audit, end)) {
        return (Judgement::Invalid(evidence), basis);
    }
    let pending = audit
        .reservations
        .iter()
        .any(|row| row.status == ReservationStatus::Pending);
    let held = audit.seats.iter().any(|seat| seat.status == SeatStatus::Held);
    let judgement = match Deadline::of(end) {
        Some(deadline) => stuck(audit, deadline, end).into(),
        None if pending || held => {
            Judgement::Unknown("holds were left at the end, and it is not known how long they may stay".to_owned())
        }
        None => Judgement::Valid,
    };
    (judgement, basis)
}

/// What expired before this should have been swept when the final state was read.
#[derive(Clone, Copy)]
struct Deadline {
    expired_before_ms: i64,
}

impl Deadline {
    fn of(end: &End<'_>) -> Option<Self> {
        let grace_ms = i64::try_from(end.rules.grace_ms?).ok()?;
        let audited_ms = end.clock.at_least_ms(end.harness.audited?);
        let expired_before_ms = audited_ms.saturating_sub(grace_ms);
        end.clock.steady.then_some(Self { expired_before_ms })
    }
}

/// A seat whose owner does not exist, or owns another seat, or is not in the state that the seat says.
fn ownerless(audit: &Audit, end: &End<'_>) -> Option<Evidence> {
    audit.seats.iter().find_map(|seat| {
        let owner = seat
            .reservation
            .map(|reservation| (reservation, end.reservation(reservation)));
        let wrong = match owner {
            None => "no reservation".to_owned(),
            Some((reservation, None)) => format!("reservation {reservation}, which does not exist"),
            Some((reservation, Some(row))) if row.seat != seat.seat => {
                format!("reservation {reservation}, which is for another seat")
            }
            Some((reservation, Some(row))) => match (seat.status, row.status) {
                (SeatStatus::Sold, ReservationStatus::Paid) | (SeatStatus::Held, ReservationStatus::Pending) => {
                    return None;
                }
                // The sweeper may have passed between the two reads; the deadline below catches one that stays.
                (SeatStatus::Held, ReservationStatus::Expired) => return None,
                (_, status) => format!(
                    "reservation {reservation}, which is {}",
                    format!("{status:?}").to_lowercase()
                ),
            },
        };
        let evidence =
            Evidence::new(format!("seat {} is {} by {wrong}", end.text(seat.seat), word(seat))).row(line(seat, end));
        let row = owner.and_then(|(_, row)| row);
        Some(
            row.into_iter()
                .fold(evidence, |evidence, row| evidence.row(describe(row, end))),
        )
    })
}

fn word(seat: &SeatRow) -> &'static str {
    match seat.status {
        SeatStatus::Held => "held",
        SeatStatus::Sold => "sold",
    }
}

fn line(seat: &SeatRow, end: &End<'_>) -> String {
    let owner = seat
        .reservation
        .map_or_else(|| "nobody".to_owned(), |reservation| reservation.to_string());
    let until = seat
        .held_until_ms
        .map_or_else(String::new, |ms| format!(" until {}", super::seats::calendar(ms)));
    format!("seat {}: {} by {owner}{until}", end.text(seat.seat), word(seat))
}

/// A hold that had time left when the final state was read, and whose seat is not its own.
fn without_seat(audit: &Audit, end: &End<'_>) -> Option<Evidence> {
    if !end.clock.steady {
        return None;
    }
    let audited_ms = end.clock.at_most_ms(end.harness.audited?);
    // The state is read over some time after that moment, so only holds with a minute left are certain to be alive.
    const READING_MS: i64 = 60_000;
    let owners: HashMap<Name, Option<Uid>> = audit.seats.iter().map(|seat| (seat.seat, seat.reservation)).collect();
    let row = audit.reservations.iter().find(|row| {
        row.status == ReservationStatus::Pending
            && row.expires_ms > audited_ms.saturating_add(READING_MS)
            && owners.get(&row.seat).copied().flatten() != Some(row.reservation)
    })?;
    let reason = format!(
        "reservation {} is pending, and its seat is not held for it",
        row.reservation
    );
    Some(Evidence::new(reason).row(describe(row, end)))
}

fn stuck(audit: &Audit, deadline: Deadline, end: &End<'_>) -> Option<Evidence> {
    let row = audit
        .reservations
        .iter()
        .find(|row| row.status == ReservationStatus::Pending && row.expires_ms < deadline.expired_before_ms)
        .map(|row| {
            (
                format!(
                    "reservation {} is still pending after its expiry and the grace",
                    row.reservation
                ),
                describe(row, end),
            )
        });
    let seat = || {
        let seats = audit.seats.iter().filter(|seat| seat.status == SeatStatus::Held);
        let mut seats = seats.filter(|seat| {
            seat.held_until_ms
                .is_some_and(|until| until < deadline.expired_before_ms)
        });
        let seat = seats.next()?;
        Some((
            format!(
                "seat {} is still held after its expiry and the grace",
                end.text(seat.seat)
            ),
            line(seat, end),
        ))
    };
    let (reason, row) = row.or_else(seat)?;
    Some(Evidence::new(reason).row(row))
}
