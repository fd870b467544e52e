//! The sweeper: expired holds go back on sale. Two instances may sweep at once; each ends what the other did not.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Booking, Failure};
use crate::config::Mutant;
use crate::domain::{ReservationId, ScheduleId, Timestamp};
use crate::store::reservations::Overdue;

/// Reservations that one transaction ends: enough to amortise the commit, few enough not to keep holds waiting.
const BATCH: u32 = 100;
/// Paid reservations that one round looks at: so few that MySQL is done in some 10 ms, so many that a round sees all of
/// them up to eight payments a second with holds of five minutes. Above that, seeing all takes several rounds.
const LOOK: u32 = 2_500;
/// For how long after its hold would have ended a paid reservation is looked at again: the sweeper itself may take its
/// seat then.
const WATCH: Duration = Duration::from_secs(5);
/// The same, when the sweeper begins: what was sold twice while nobody swept is still found after a restart.
const WATCH_AT_START: Duration = Duration::from_secs(60 * 60);

/// What the sweeper remembers between rounds.
#[derive(Debug, Default)]
pub struct Sweeper {
    /// Told already.
    oversold: HashSet<ReservationId>,
    /// `None` before the first look.
    look: Option<Look>,
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

    /// Looks at the next of the paid reservations whose holds would not have ended yet, or have just ended. Not at
    /// payments: a payment that does not find its seat is refused, so that it is an older one that loses its seat to it.
    async fn watch(&mut self, booking: &Booking, now: Timestamp) -> Result<(), Failure> {
        let look = *self
            .look
            .get_or_insert_with(|| Look::from(before(now, WATCH_AT_START), now));
        let found = booking.store.paid_without_seat(look.after, LOOK).await;
        let (found, last) = booking.seen("paid_without_seat", found)?;
        for reservation in found {
            if self.oversold.insert(reservation) {
                booking.metrics.seats_oversold.inc();
                tracing::error!(%reservation, "a paid reservation does not own its seat");
            }
        }
        // The next look begins where this one began, however long this one took or the database was away.
        self.look = Some(match last {
            Some(after) => Look { after, ..look },
            None => Look::from(before(look.began, WATCH), now),
        });
        Ok(())
    }
}

/// A look at all that are to be looked at, in as many rounds as it takes.
#[derive(Clone, Copy, Debug)]
struct Look {
    began: Timestamp,
    /// Those whose holds end until then were seen.
    after: Timestamp,
}

impl Look {
    const fn from(after: Timestamp, began: Timestamp) -> Self {
        Self { began, after }
    }
}

fn before(moment: Timestamp, by: Duration) -> Timestamp {
    let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(moment.unix_ms().saturating_sub(by_ms))
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
