//! When everything that a fault had held up was done: payments have their tickets, and overdue holds are back on sale.

use std::collections::BTreeMap;

use crate::analysis::backlog::{Backlog, backlog};
use crate::analysis::experiment::service_source;
use crate::analysis::incident::FaultWindow;
use crate::recording::audit::{PaymentStatus, ReservationStatus};
use crate::recording::{RecordError, Recording, SeriesSet};
use crate::units::Nanos;
use crate::verdict::ledger::end::ServiceClock;

/// What a fault held up; `None` where nobody counted it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Consistency {
    /// Payments without their ticket.
    pub(super) tickets: Option<Backlog>,
    /// Holds past their expiry and not yet back on sale.
    pub(super) holds: Option<Backlog>,
}

impl Consistency {
    /// Of the only variant of a drill, whose load was warm from `warm` on.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub(super) fn of(
        recording: &Recording,
        series: &SeriesSet,
        warm: Nanos,
        fault: FaultWindow,
    ) -> Result<Self, RecordError> {
        let mut history = recording.history()?;
        let audit = recording.audit(0, history.names_mut())?;
        // Without the whole final state nobody knows what was due.
        let Some(audit) = audit.filter(|audit| audit.is_whole()) else {
            return Ok(Self::default());
        };
        let clock = ServiceClock::of(&recording.manifest().clock);
        let paid = audit
            .payments
            .iter()
            .filter(|row| row.status == PaymentStatus::Completed);
        let paid: Vec<Nanos> = paid.filter_map(|row| Some(clock.earliest(row.completed_ms?))).collect();
        let expired = audit
            .reservations
            .iter()
            .filter(|row| row.status == ReservationStatus::Expired);
        let expired: Vec<Nanos> = expired.map(|row| clock.earliest(row.expires_ms)).collect();
        let ticketed = counted(series, "booking_consumer_messages_total", "applied");
        let swept = counted(series, "booking_reservations_total", "expired");
        Ok(Self {
            tickets: backlog(&paid, &ticketed, warm, fault),
            holds: backlog(&expired, &swept, warm, fault),
        })
    }

    /// When both were caught up with; `None` when one was not, or nobody knows.
    pub(super) fn reached(&self) -> Option<Nanos> {
        Some(self.tickets?.caught_up?.max(self.holds?.caught_up?))
    }
}

/// What the service counted of one outcome at each scrape, whatever its other labels.
fn counted(series: &SeriesSet, name: &str, outcome: &str) -> Vec<(Nanos, f64)> {
    let source = service_source("service");
    let mut sums: BTreeMap<Nanos, f64> = BTreeMap::new();
    for one in series.named(name) {
        if one.def.source == source && one.def.labels.get("outcome").is_some_and(|found| found == outcome) {
            for (at, value) in series.points(one) {
                *sums.entry(at).or_default() += value;
            }
        }
    }
    sums.into_iter().collect()
}
