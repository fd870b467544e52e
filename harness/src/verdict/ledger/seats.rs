//! I1: a seat is sold once, and no successful hold starts inside another's definite hold.

use super::end::End;
use super::facts::Facts;
use super::finding::{Evidence, Judgement};
use super::tenure::Tenure;
use crate::recording::audit::{Audit, ReservationRow, ReservationStatus};

pub(super) fn check(tenures: &[Tenure], facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    let rows = end.audit.map_or(0, |audit| audit.reservations.len());
    let basis = format!(
        "{} holds seen by clients, {rows} reservations in the final state",
        tenures.len()
    );
    let judgement = if let Some(evidence) = overlap(tenures, facts, end) {
        Judgement::Invalid(evidence)
    } else if let Some(audit) = end.audit {
        match oversold(audit, tenures, end) {
            None if tenures.is_empty() && rows == 0 => Judgement::Idle("no seat was held".to_owned()),
            evidence => evidence.into(),
        }
    } else {
        Judgement::Unknown(end.no_audit())
    };
    (judgement, basis)
}

/// Two holds of a seat of which neither can have come after the other had ended.
fn overlap(tenures: &[Tenure], facts: &Facts, end: &End<'_>) -> Option<Evidence> {
    tenures.chunk_by(|a, b| a.seat == b.seat).find_map(|holds| {
        let mut longest = holds.first()?;
        for hold in &holds[1..] {
            // `longest` returned first. Had it come first, it would have had to end before `hold` returned; had it come
            // second, `hold` would have had to end before `longest` returned.
            if longest.until > hold.from && hold.until > longest.from {
                return Some(double_sale(longest, hold, facts, end));
            }
            if hold.until > longest.until {
                longest = hold;
            }
        }
        None
    })
}

fn double_sale(first: &Tenure, second: &Tenure, facts: &Facts, end: &End<'_>) -> Evidence {
    let (first_paid, second_paid) = (facts.paid(first.reservation), facts.paid(second.reservation));
    let verb = if first_paid.is_some() && second_paid.is_some() {
        "sold"
    } else {
        "held"
    };
    Evidence::new(format!(
        "seat {} was {verb} twice at the same time: by reservation {} and by {}",
        end.text(first.seat),
        first.reservation,
        second.reservation
    ))
    .operations([first.operation, second.operation])
    .operations(first_paid.into_iter().chain(second_paid).map(|paid| paid.operation()))
}

/// Reservations of a seat that overlap by the service's own books.
fn oversold(audit: &Audit, tenures: &[Tenure], end: &End<'_>) -> Option<Evidence> {
    if !end.clock.steady {
        return None;
    }
    let mut live: Vec<&ReservationRow> = audit.reservations.iter().collect();
    // A cancelled one may have ended at any time, so it shows nothing.
    live.retain(|row| row.status != ReservationStatus::Cancelled);
    live.sort_unstable_by_key(|row| (row.seat, row.created_ms, row.reservation));
    let until = |row: &ReservationRow| match row.status {
        ReservationStatus::Paid => i64::MAX,
        _ => row.expires_ms,
    };
    let (first, second) = live.chunk_by(|a, b| a.seat == b.seat).find_map(|rows| {
        let mut longest = *rows.first()?;
        for &row in &rows[1..] {
            if until(longest) > row.created_ms {
                return Some((longest, row));
            }
            if until(row) > until(longest) {
                longest = row;
            }
        }
        None
    })?;
    let both_paid = [first, second].iter().all(|row| row.status == ReservationStatus::Paid);
    let seen = tenures
        .iter()
        .filter(|tenure| [first.reservation, second.reservation].contains(&tenure.reservation));
    let evidence = Evidence::new(format!(
        "seat {} {} by reservation {} and by {}",
        end.text(first.seat),
        if both_paid {
            "was sold twice:"
        } else {
            "has two reservations at the same time:"
        },
        first.reservation,
        second.reservation
    ));
    Some(
        evidence
            .operations(seen.map(|tenure| tenure.operation))
            .row(describe(first, end))
            .row(describe(second, end)),
    )
}

/// A reservation's row for a witness.
pub(super) fn describe(row: &ReservationRow, end: &End<'_>) -> String {
    format!(
        "reservation {}: seat {}, user {}, {:?}, created {}, expires {}",
        row.reservation,
        end.text(row.seat),
        end.text(row.user),
        row.status,
        calendar(row.created_ms),
        calendar(row.expires_ms)
    )
    .to_lowercase()
}

/// A moment of the service's clock.
pub(super) fn calendar(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms)
        .map_or_else(|_| format!("{unix_ms} ms after 1970"), |moment| format!("{moment:.3}"))
}
