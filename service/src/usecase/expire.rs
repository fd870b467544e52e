//! The sweeper: expired holds go back on sale. Two instances may sweep at once; each ends what the other did not.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Booking, Failure};
use crate::config::Mutant;
use crate::domain::{ReservationId, ScheduleId, Timestamp};
use crate::store::reservations::Overdue;

/// Reservations that one transaction ends: enough to amortise the commit, few enough not to keep holds waiting.
const BATCH: u32 = 100;
/// For how long after its hold would have ended a paid reservation is looked at again.
const WATCH: Duration = Duration::from_secs(5);

/// What the sweeper remembers between rounds.
#[derive(Debug, Default)]
pub struct Sweeper {
    oversold: HashSet<ReservationId>,
    /// D6 acts on what it read a round ago.
    stale: Vec<Overdue>,
}

impl Sweeper {
    /// One round: ends every overdue reservation and returns how many.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn round(&mut self, booking: &Booking) -> Result<usize, Failure> {
        let _timer = booking.metrics.sweep_duration.start_timer();
        let now = booking.now();
        let mut n_ended = 0;
        loop {
            let mut overdue = booking.seen("overdue", booking.store.overdue(now, BATCH).await)?;
            let is_last = overdue.len() < BATCH as usize;
            if booking.mutant(Mutant::D6) {
                std::mem::swap(&mut overdue, &mut self.stale);
            }
            if overdue.is_empty() {
                break;
            }
            n_ended += end(booking, &overdue, now).await?;
            if is_last || booking.mutant(Mutant::D3) {
                break;
            }
        }
        self.watch(booking, now).await?;
        Ok(n_ended)
    }

    async fn watch(&mut self, booking: &Booking, now: Timestamp) -> Result<(), Failure> {
        let from = Timestamp::from_unix_ms(
            now.unix_ms()
                .saturating_sub(i64::try_from(WATCH.as_millis()).unwrap_or(0)),
        );
        let found = booking.seen("paid_without_seat", booking.store.paid_without_seat(from, now).await)?;
        for reservation in &found {
            if self.oversold.insert(*reservation) {
                booking.metrics.seats_oversold.inc();
                tracing::error!(%reservation, "a paid reservation does not own its seat");
            }
        }
        self.oversold.retain(|reservation| found.contains(reservation));
        Ok(())
    }
}

async fn end(booking: &Booking, overdue: &[Overdue], now: Timestamp) -> Result<usize, Failure> {
    let ended = booking
        .transaction("expire", || booking.store.expire(overdue, now))
        .await?;
    let n_ended = ended.len();
    let schedules: HashMap<ScheduleId, ()> = ended.iter().map(|one| (one.schedule, ())).collect();
    for schedule in schedules.into_keys() {
        booking.invalidate(schedule).await;
    }
    let n = u64::try_from(n_ended).unwrap_or(u64::MAX);
    booking.metrics.reservations.with_label_values(&["expired"]).inc_by(n);
    Ok(n_ended)
}
