//! Reading reservations, and ending them without a payment: cancelled by their user, or expired.
//!
//! Rows are locked in one order everywhere: reservation, seat, payment, user, outbox. So two transactions about the
//! same reservation wait for each other and do not deadlock.

use super::{Store, StoreError};
use crate::config::Mutant;
use crate::domain::{
    IdempotencyKey, Money, PaymentId, Reservation, ReservationId, ReservationStatus, ScheduleId, SeatId, Timestamp,
    UserId,
};

/// What became of a wish to cancel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cancelled {
    /// The seat of this date is on sale again.
    Now(ScheduleId),
    /// It was in this state already.
    Already(ReservationStatus),
    /// No such reservation of this user.
    Unknown,
}

/// A reservation past its expiry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overdue {
    /// The reservation.
    pub reservation: ReservationId,
    /// Its seat.
    pub seat: SeatId,
    /// Its date.
    pub schedule: ScheduleId,
}

/// What was stored under an idempotency key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stored<T> {
    /// What the first request caused.
    pub first: T,
    /// Whether the first request was the same as this one.
    pub same_request: bool,
}

/// The columns of [`reservation_query`]: ids of reservation, payment, seat, schedule and user, amount, status,
/// expiry, and the hash of the idempotency key.
pub(super) type ReservationRow = (i64, i64, i64, i64, i64, i64, i64, i64, Vec<u8>);

macro_rules! reservation_query {
    ($condition:literal) => {
        concat!(
            "SELECT r.id, p.id, r.seat_id, r.schedule_id, r.user_id, r.amount, r.status, r.expires_at_ms, r.idem_hash ",
            "FROM reservations r JOIN payments p ON p.reservation_id = r.id WHERE ",
            $condition
        )
    };
}
pub(super) use reservation_query;

pub(super) fn reservation_from(row: &ReservationRow) -> Result<Reservation, StoreError> {
    let read = || {
        Some(Reservation {
            id: ReservationId::from_raw(row.0)?,
            payment: PaymentId::from_raw(row.1)?,
            seat: SeatId::from_raw(row.2)?,
            schedule: ScheduleId::from_raw(row.3)?,
            user: UserId::from_raw(row.4)?,
            amount: Money::new(row.5)?,
            status: ReservationStatus::from_raw(row.6)?,
            expires_at: Timestamp::from_unix_ms(row.7),
        })
    };
    read().ok_or(StoreError::Corrupt("reservations"))
}

const RELEASE_SEAT: &str = "UPDATE seats SET status = 0, held_until_ms = NULL, reservation_id = NULL, \
     version = version + 1 WHERE id = ? AND reservation_id = ? AND status = 1";
/// The same without looking at what the seat has become (mutant D6).
const RELEASE_SEAT_BLINDLY: &str = "UPDATE seats SET status = 0, held_until_ms = NULL, reservation_id = NULL, \
     version = version + 1 WHERE id = ? AND ? = ?";
const CANCEL_PAYMENT: &str = "UPDATE payments SET status = 2 WHERE reservation_id = ? AND status = 0";
/// The wrong state (mutant D4).
const CANCEL_PAYMENT_AS_COMPLETED: &str = "UPDATE payments SET status = 1 WHERE reservation_id = ? AND status = 0";

impl Store {
    /// A reservation by its id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        read_on!(self, "reservation", |connection| {
            let row: Option<ReservationRow> = sqlx::query_as(reservation_query!("r.id = ?"))
                .bind(id.raw())
                .fetch_optional(connection)
                .await?;
            row.as_ref().map(reservation_from).transpose()
        })
    }

    /// What a hold with this key caused before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reservation_by_key(
        &self,
        user: UserId,
        key: &IdempotencyKey,
    ) -> Result<Option<Stored<Reservation>>, StoreError> {
        read_on!(self, "reservation_by_key", |connection| {
            let row: Option<ReservationRow> = sqlx::query_as(reservation_query!("r.user_id = ? AND r.idem_key = ?"))
                .bind(user.raw())
                .bind(key.key())
                .fetch_optional(connection)
                .await?;
            let Some(row) = row else { return Ok(None) };
            let first = reservation_from(&row)?;
            let same_request = row.8 == key.hash();
            Ok(Some(Stored { first, same_request }))
        })
    }

    /// Gives a pending reservation of `user` back.
    ///
    /// # Errors
    /// When the database does not do its work.
    pub async fn cancel(&self, id: ReservationId, user: UserId, now: Timestamp) -> Result<Cancelled, StoreError> {
        let cancel_payment = if self.mutants().has(Mutant::D4) {
            CANCEL_PAYMENT_AS_COMPLETED
        } else {
            CANCEL_PAYMENT
        };
        write_on!(self, "cancel", |transaction| {
            let row: Option<ReservationRow> = sqlx::query_as(reservation_query!("r.id = ?"))
                .bind(id.raw())
                .fetch_optional(&mut *transaction)
                .await?;
            let Some(reservation) = row.as_ref().map(reservation_from).transpose()? else {
                return Ok(Cancelled::Unknown);
            };
            if reservation.user != user {
                return Ok(Cancelled::Unknown);
            }
            let changed =
                sqlx::query("UPDATE reservations SET status = 2 WHERE id = ? AND status = 0 AND expires_at_ms > ?")
                    .bind(id.raw())
                    .bind(now.unix_ms())
                    .execute(&mut *transaction)
                    .await?;
            if changed.rows_affected() == 0 {
                // Between our read and our write another transaction may have decided; its commit is visible now.
                let row: Option<ReservationRow> = sqlx::query_as(reservation_query!("r.id = ?"))
                    .bind(id.raw())
                    .fetch_optional(&mut *transaction)
                    .await?;
                let decided = row.as_ref().map(reservation_from).transpose()?;
                return Ok(decided.map_or(Cancelled::Unknown, |found| Cancelled::Already(found.status_at(now))));
            }
            if !self.mutants().has(Mutant::D3) {
                sqlx::query(RELEASE_SEAT)
                    .bind(reservation.seat.raw())
                    .bind(id.raw())
                    .execute(&mut *transaction)
                    .await?;
            }
            sqlx::query(cancel_payment)
                .bind(id.raw())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(Cancelled::Now(reservation.schedule))
        })
    }

    /// Pending reservations past their expiry, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<Overdue>, StoreError> {
        read_on!(self, "overdue", |connection| {
            let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
                "SELECT id, seat_id, schedule_id FROM reservations WHERE status = 0 AND expires_at_ms <= ? \
                 ORDER BY expires_at_ms, id LIMIT ?",
            )
            .bind(now.unix_ms())
            .bind(limit)
            .fetch_all(connection)
            .await?;
            let overdue = rows.iter().map(|row| {
                Some(Overdue {
                    reservation: ReservationId::from_raw(row.0)?,
                    seat: SeatId::from_raw(row.1)?,
                    schedule: ScheduleId::from_raw(row.2)?,
                })
            });
            overdue
                .collect::<Option<_>>()
                .ok_or(StoreError::Corrupt("reservations"))
        })
    }

    /// Ends overdue reservations in one transaction and puts their seats back on sale. One that was paid, cancelled or
    /// swept by another instance in the meantime is left alone. Returns those that were ended.
    ///
    /// # Errors
    /// When the database does not do its work.
    pub async fn expire(&self, overdue: &[Overdue], now: Timestamp) -> Result<Vec<Overdue>, StoreError> {
        let blind = self.mutants().has(Mutant::D6);
        let release = if blind { RELEASE_SEAT_BLINDLY } else { RELEASE_SEAT };
        write_on!(self, "expire", |transaction| {
            let mut ended = Vec::with_capacity(overdue.len());
            for one in overdue {
                let changed = sqlx::query(
                    "UPDATE reservations SET status = 3 WHERE id = ? AND status = 0 AND expires_at_ms <= ?",
                )
                .bind(one.reservation.raw())
                .bind(now.unix_ms())
                .execute(&mut *transaction)
                .await?;
                if changed.rows_affected() == 0 && !blind {
                    continue;
                }
                if !self.mutants().has(Mutant::D3) {
                    let query = sqlx::query(release).bind(one.seat.raw()).bind(one.reservation.raw());
                    let query = if blind {
                        query.bind(one.reservation.raw())
                    } else {
                        query
                    };
                    query.execute(&mut *transaction).await?;
                }
                sqlx::query(CANCEL_PAYMENT)
                    .bind(one.reservation.raw())
                    .execute(&mut *transaction)
                    .await?;
                ended.push(*one);
            }
            transaction.commit().await?;
            Ok(ended)
        })
    }

    /// Paid reservations whose seat is not theirs, sold twice or back on sale, among the next `at_most` paid ones by the
    /// end that their hold had, later than `after`. Also the end that the last of these had, or `None` when they were all
    /// that there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn paid_without_seat(
        &self,
        after: Timestamp,
        at_most: u32,
    ) -> Result<(Vec<ReservationId>, Option<Timestamp>), StoreError> {
        read_on!(self, "paid_without_seat", |connection| {
            let last: Option<(i64,)> = sqlx::query_as(NTH_PAID)
                .bind(after.unix_ms())
                .bind(at_most.saturating_sub(1))
                .fetch_optional(&mut *connection)
                .await?;
            let last = last.map(|(expires_at_ms,)| expires_at_ms);
            let rows: Vec<(i64,)> = sqlx::query_as(PAID_WITHOUT_SEAT)
                .bind(after.unix_ms())
                .bind(last.unwrap_or(i64::MAX))
                .fetch_all(&mut *connection)
                .await?;
            let found = rows.iter().filter_map(|row| ReservationId::from_raw(row.0)).collect();
            Ok((found, last.map(Timestamp::from_unix_ms)))
        })
    }
}

/// Both read the same stretch of `reservations_expiry` and nothing else of the table; the second one also one seat by its
/// key for each reservation in it. What a payment writes stays as it is: an index for this would be paid for by each hold.
pub const NTH_PAID: &str = "SELECT expires_at_ms FROM reservations WHERE status = 1 AND expires_at_ms > ? \
     ORDER BY expires_at_ms LIMIT 1 OFFSET ?";
/// See [`NTH_PAID`].
pub const PAID_WITHOUT_SEAT: &str = "SELECT r.id FROM reservations r JOIN seats s ON s.id = r.seat_id \
     WHERE r.status = 1 AND r.expires_at_ms > ? AND r.expires_at_ms <= ? \
     AND (s.status <> 2 OR s.reservation_id IS NULL OR s.reservation_id <> r.id)";
