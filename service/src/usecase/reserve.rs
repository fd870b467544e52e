//! Holding a seat, reading a reservation, giving it back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::work::{MAX_ATTEMPTS, after_commit};
use super::{Booking, Failure};
use crate::adapters::redis_lock::Acquired;
use crate::config::{Locking, Mutant};
use crate::domain::{
    IdempotencyKey, PaymentId, QueueToken, Reservation, ReservationId, ReservationStatus, ScheduleId, SeatId, UserId,
};
use crate::store::StoreError;
use crate::store::hold::{Held, NewHold};
use crate::store::reservations::Cancelled;

/// A hold, and whether the answer is that of an earlier request.
type Answer = (Reservation, bool);

impl Booking {
    /// Holds a seat for the token's user, once for each key.
    ///
    /// # Errors
    /// When the token is not admitted, the seat is not free, or the key stands for another request.
    pub async fn hold(
        self: &Arc<Self>,
        token: QueueToken,
        seat: SeatId,
        key: IdempotencyKey,
    ) -> Result<Reservation, Failure> {
        let this = self.clone();
        let change = async move { this.hold_through(token, seat, key).await };
        let held = self.carry_through(change, |metrics, result| {
            let outcome = match result {
                Ok((_, true)) => "replayed",
                Ok((_, false)) => "held",
                Err(failure) => refusal_name(failure),
            };
            metrics.reservations.with_label_values(&[outcome]).inc();
        });
        held.await.map(|(reservation, _)| reservation)
    }

    async fn hold_through(&self, token: QueueToken, seat: SeatId, key: IdempotencyKey) -> Result<Answer, Failure> {
        let refusal = match self.require_admission(token).await {
            Ok(()) => match self.hold_admitted(token.user, seat, &key).await {
                Ok(held) => return Ok((held, false)),
                Err(refusal) => refusal,
            },
            Err(refusal) => refusal,
        };
        // The key is looked up only now, so that a hold that succeeds pays nothing for it, and whatever the refusal: also
        // when only the waiting room is away.
        if refusal.is_of_the_database() {
            return Err(refusal);
        }
        let stored = self.store.reservation_by_key(token.user, &key).await;
        match self.seen("reservation_by_key", stored)? {
            Some(stored) if stored.same_request => Ok((stored.first, true)),
            Some(_) => Err(Failure::IdempotencyMismatch),
            None if matches!(refusal, Failure::SeatTaken) => {
                let known = self.seen("seat_exists", self.store.seat_exists(seat).await)?;
                Err(if known { refusal } else { Failure::NotFound("seat") })
            }
            None => Err(refusal),
        }
    }

    async fn hold_admitted(&self, user: UserId, seat: SeatId, key: &IdempotencyKey) -> Result<Reservation, Failure> {
        let Some(locks) = self.locks.as_ref().filter(|_| self.locking() == Locking::RedisLock) else {
            return self.hold_unlocked(user, seat, key).await;
        };
        let asked = Instant::now();
        let acquired = locks.acquire(&format!("seat:{}", seat.raw())).await;
        let result = match &acquired {
            Ok(Acquired::Held(_)) => "acquired",
            Ok(Acquired::Busy) => "refused",
            Err(_) => "error",
        };
        self.metrics
            .lock_wait
            .with_label_values(&[result])
            .observe(asked.elapsed().as_secs_f64());
        match self.counted(acquired)? {
            Acquired::Held(guard) => {
                let held = self.hold_unlocked(user, seat, key).await;
                // Not waited for: the answer does not depend on it, and a lost release ends with the lock's lifetime.
                drop(guard);
                held
            }
            Acquired::Busy => Err(self.contended()),
        }
    }

    async fn hold_unlocked(&self, user: UserId, seat: SeatId, key: &IdempotencyKey) -> Result<Reservation, Failure> {
        for attempt in 1..=MAX_ATTEMPTS {
            let now = self.now();
            let ids = (
                ReservationId::from_raw(self.ids.next(now)),
                PaymentId::from_raw(self.ids.next(now)),
            );
            let (Some(reservation), Some(payment)) = ids else {
                return Err(Failure::Conflict);
            };
            let new = NewHold {
                seat,
                user,
                reservation,
                payment,
                now,
                expires_at: now.plus(self.config.hold_ttl),
                key: key.clone(),
            };
            let schedule_before = self.invalidate_early(seat).await;
            let attempted = self.transaction("hold", || self.store.hold(&new, self.locking())).await;
            match attempted {
                Ok(Held::Yes { schedule, amount }) => {
                    after_commit("hold");
                    if !schedule_before {
                        self.invalidate(schedule).await;
                    }
                    return Ok(Reservation {
                        id: reservation,
                        payment,
                        seat,
                        schedule,
                        user,
                        amount,
                        status: ReservationStatus::Pending,
                        expires_at: new.expires_at,
                    });
                }
                Ok(Held::Refused) => return Err(Failure::SeatTaken),
                Ok(Held::Changed) => {
                    self.metrics.database_retries.with_label_values(&["version"]).inc();
                    if self.mutant(Mutant::D14) {
                        return Err(self.contended());
                    }
                    self.pause(attempt).await;
                }
                Err(StoreError::Contended { .. }) => return Err(self.contended()),
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.contended())
    }

    /// A conflict; as D14, the 500 that careless services answer with.
    fn contended(&self) -> Failure {
        if self.mutant(Mutant::D14) {
            return Failure::Internal("could not acquire the lock".into());
        }
        Failure::Conflict
    }

    /// D9: the cache is changed before the commit, and so refilled with what the transaction is about to change.
    async fn invalidate_early(&self, seat: SeatId) -> bool {
        if !self.mutant(Mutant::D9) {
            return false;
        }
        if let Ok(Some(schedule)) = self.store.schedule_of(seat).await {
            self.invalidate(schedule).await;
            // The window of the defect, wide enough for a reader to come into it on any machine.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        true
    }

    /// A reservation of `user`.
    ///
    /// # Errors
    /// When there is none, or it is somebody else's.
    pub async fn reservation(&self, user: UserId, id: ReservationId) -> Result<Reservation, Failure> {
        let found = self.seen("reservation", self.store.reservation(id).await)?;
        let mut reservation = found
            .filter(|found| found.user == user)
            .ok_or(Failure::NotFound("reservation"))?;
        reservation.status = reservation.status_at(self.now());
        Ok(reservation)
    }

    /// Gives a pending reservation of `user` back; doing so twice is no failure.
    ///
    /// # Errors
    /// When it is paid or expired, or there is none.
    pub async fn cancel(self: &Arc<Self>, user: UserId, id: ReservationId) -> Result<(), Failure> {
        let this = self.clone();
        let change = async move {
            let now = this.now();
            match this.transaction("cancel", || this.store.cancel(id, user, now)).await? {
                Cancelled::Now(schedule) => {
                    after_commit("cancel");
                    this.invalidate(schedule).await;
                    Ok(true)
                }
                Cancelled::Already(ReservationStatus::Cancelled) => Ok(false),
                Cancelled::Already(ReservationStatus::Paid) => Err(Failure::AlreadyPaid),
                // Pending cannot be: the update would have found it.
                Cancelled::Already(ReservationStatus::Expired | ReservationStatus::Pending) => Err(Failure::Expired),
                Cancelled::Unknown => Err(Failure::NotFound("reservation")),
            }
        };
        let cancelled = self.carry_through(change, |metrics, result| {
            if matches!(result, Ok(true)) {
                metrics.reservations.with_label_values(&["cancelled"]).inc();
            }
        });
        cancelled.await.map(|_| ())
    }

    /// Forgets a date's seat map after a committed change. When the cache is away, the change stands and the entry
    /// ends with its time to live.
    pub(crate) async fn invalidate(&self, schedule: ScheduleId) {
        let Some(cache) = &self.cache else { return };
        let result = match cache.invalidate(schedule).await {
            Ok(()) => "ok",
            Err(error) => {
                let cause: &dyn std::error::Error = &*error.source;
                tracing::warn!(
                    dependency = error.dependency,
                    error = cause,
                    "a seat map could not be invalidated"
                );
                "error"
            }
        };
        self.metrics.cache_invalidations.with_label_values(&[result]).inc();
    }
}

fn refusal_name(failure: &Failure) -> &'static str {
    match failure {
        Failure::SeatTaken | Failure::NotFound(_) => "seat_taken",
        Failure::Conflict => "conflict",
        Failure::IdempotencyMismatch => "mismatch",
        Failure::NotAdmitted | Failure::TokenGone => "not_admitted",
        _ => "error",
    }
}
