//! When a seat was certainly taken: from the answer to its hold until the first moment at which it may have been free.

use super::end::End;
use super::facts::Facts;
use super::uid_map::UidMap;
use crate::recording::audit::ReservationStatus;
use crate::recording::history::{Name, Uid};
use crate::units::Nanos;

/// A definite hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenure {
    pub(super) seat: Name,
    pub(super) reservation: Uid,
    /// The hold had certainly happened.
    pub(super) from: Nanos,
    /// Until here nothing can have ended it; the end of time for a seat that was sold.
    pub(super) until: Nanos,
    pub(super) operation: u32,
}

/// Every definite hold, by seat and then by time.
pub(super) fn tenures(facts: &Facts, end: &End<'_>) -> Vec<Tenure> {
    let never = Nanos(u64::MAX);
    let mut released: UidMap<Nanos> = UidMap::default();
    for cancel in &facts.cancels {
        let first = released.entry(cancel.reservation).or_insert(cancel.invoked);
        *first = (*first).min(cancel.invoked);
    }
    let mut tenures: Vec<Tenure> = Vec::with_capacity(facts.holds.len());
    for hold in &facts.holds {
        // A payment that nobody heard of is settled by the final state.
        let sold = facts.is_paid(hold.reservation)
            || end
                .reservation(hold.reservation)
                .is_some_and(|row| row.status == ReservationStatus::Paid);
        let until = if sold {
            never
        } else {
            let expiry = hold.expires_ms.map_or(hold.returned, |ms| end.clock.earliest(ms.get()));
            expiry.min(released.get(&hold.reservation).copied().unwrap_or(never))
        };
        tenures.push(Tenure {
            seat: hold.seat,
            reservation: hold.reservation,
            from: hold.returned,
            until,
            operation: hold.operation,
        });
    }
    // Answers to a repeated request show the same reservation: the earliest one counts.
    tenures.sort_unstable_by_key(|tenure| (tenure.seat, tenure.reservation, tenure.from, tenure.operation));
    tenures.dedup_by_key(|tenure| (tenure.seat, tenure.reservation));
    tenures.sort_unstable_by_key(|tenure| (tenure.seat, tenure.from, tenure.operation));
    tenures
}
