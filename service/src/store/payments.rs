//! Paying for a reservation: one transaction from the debit to the outbox row.

use super::dialect::Dialect as _;
use super::reservations::{ReservationRow, Stored, reservation_from, reservation_query};
use super::{Store, StoreError};
use crate::config::Mutant;
use crate::domain::reservation::shard_of;
use crate::domain::{
    ChargeId, EventId, IdempotencyKey, Money, PaymentCompleted, PaymentId, Reservation, ReservationId,
    ReservationStatus, Timestamp, UserId,
};

/// A payment that is asked for.
#[derive(Clone, Debug)]
pub struct NewPayment {
    /// What is paid for.
    pub reservation: ReservationId,
    /// By whom.
    pub user: UserId,
    /// The client's key.
    pub key: IdempotencyKey,
    /// The moment of the payment.
    pub now: Timestamp,
    /// The id that the event will have.
    pub event: EventId,
    /// The id that the ledger's row will have.
    pub ledger: ChargeId,
    /// How many shards the outbox has; `None` writes no outbox row (`events.mode: direct`).
    pub outbox_shards: Option<u32>,
    /// W3C trace context of the request.
    pub trace_parent: Option<String>,
}

/// What a completed payment is answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The payment.
    pub payment: PaymentId,
    /// What was paid for.
    pub reservation: ReservationId,
    /// The price paid.
    pub amount: Money,
    /// The balance right after.
    pub balance: Money,
    /// When.
    pub paid_at: Timestamp,
}

/// What became of a wish to pay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paid {
    /// Done.
    Now(Receipt, PaymentCompleted),
    /// The reservation is in this state already; `Pending` when it lost its seat, which must never happen.
    Already(ReservationStatus),
    /// The balance does not suffice.
    Insufficient,
    /// No such reservation of this user.
    Unknown,
}

const MARK_PAID: &str = "UPDATE reservations SET status = 1 WHERE id = ? AND status = 0 AND expires_at_ms > ?";
/// Relies on what was read before (mutants D5 and D6).
const MARK_PAID_BLINDLY: &str = "UPDATE reservations SET status = 1 WHERE id = ? AND ? = ?";
const SELL_SEAT: &str = "UPDATE seats SET status = 2, held_until_ms = NULL, version = version + 1 \
     WHERE id = ? AND reservation_id = ? AND status = 1";
/// The same, pleased with a seat that is sold already (mutant D5).
const SELL_SEAT_AGAIN: &str = "UPDATE seats SET status = 2, held_until_ms = NULL, version = version + 1 \
     WHERE id = ? AND reservation_id = ?";
const COMPLETE: &str = "UPDATE payments SET status = 1, balance_after = ?, completed_at_ms = ?, idem_key = ?, \
     idem_hash = ? WHERE reservation_id = ?";

impl Store {
    /// Debits the user, sells the seat, completes the payment and writes the event, or does nothing.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the user's key is taken; otherwise when the database does not do its work.
    pub async fn pay(&self, new: &NewPayment) -> Result<Paid, StoreError> {
        // D5 trusts a read made before the transaction.
        let seen_before = if self.mutants().has(Mutant::D5) {
            let seen = self.reservation(new.reservation).await?;
            // The window of the defect, wide enough for payments that are sent at once to meet in it on any machine.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            seen
        } else {
            None
        };
        let twice = seen_before.is_some();
        let blind = twice || self.mutants().has(Mutant::D6);
        write_on!(self, "pay", |transaction| {
            let reservation = match seen_before {
                Some(reservation) => Some(reservation),
                None => {
                    let row: Option<ReservationRow> = sqlx::query_as(reservation_query!("r.id = ?"))
                        .bind(new.reservation.raw())
                        .fetch_optional(&mut *transaction)
                        .await?;
                    row.as_ref().map(reservation_from).transpose()?
                }
            };
            let Some(reservation) = reservation.filter(|found| found.user == new.user) else {
                return Ok(Paid::Unknown);
            };
            let state = if blind {
                reservation.status
            } else {
                reservation.status_at(new.now)
            };
            if state != ReservationStatus::Pending {
                return Ok(Paid::Already(state));
            }
            let mark = sqlx::query(if blind { MARK_PAID_BLINDLY } else { MARK_PAID });
            let mark = mark.bind(new.reservation.raw()).bind(new.now.unix_ms());
            let mark = if blind { mark.bind(new.now.unix_ms()) } else { mark };
            if mark.execute(&mut *transaction).await?.rows_affected() == 0 {
                // Between our read and our write another transaction decided; its commit is visible now.
                let row: Option<ReservationRow> = sqlx::query_as(reservation_query!("r.id = ?"))
                    .bind(new.reservation.raw())
                    .fetch_optional(&mut *transaction)
                    .await?;
                let decided = row.as_ref().map(reservation_from).transpose()?;
                return Ok(decided.map_or(Paid::Unknown, |found| Paid::Already(found.status_at(new.now))));
            }
            let sold = sqlx::query(if twice { SELL_SEAT_AGAIN } else { SELL_SEAT })
                .bind(reservation.seat.raw())
                .bind(new.reservation.raw())
                .execute(&mut *transaction)
                .await?;
            if sold.rows_affected() == 0 {
                return Ok(Paid::Already(ReservationStatus::Pending));
            }
            let (user, amount) = (new.user.raw(), reservation.amount.minor());
            let Some(balance) = transaction.debit(user, amount).await? else {
                return Ok(Paid::Insufficient);
            };
            sqlx::query(
                "INSERT INTO balance_ledger (id, user_id, entry, amount, balance_after, reservation_id, created_at_ms) \
                 VALUES (?, ?, 2, ?, ?, ?, ?)",
            )
            .bind(new.ledger.raw())
            .bind(user)
            .bind(amount)
            .bind(balance)
            .bind(new.reservation.raw())
            .bind(new.now.unix_ms())
            .execute(&mut *transaction)
            .await?;
            sqlx::query(COMPLETE)
                .bind(balance)
                .bind(new.now.unix_ms())
                .bind(new.key.key())
                .bind(&new.key.hash()[..])
                .bind(new.reservation.raw())
                .execute(&mut *transaction)
                .await?;
            let event = event_of(new, &reservation);
            if let Some(n_shards) = new.outbox_shards {
                let shard = shard_of(reservation.schedule, n_shards);
                let Some(sequence) = transaction.next_sequence(shard).await? else {
                    return Err(StoreError::Corrupt("outbox_sequence"));
                };
                sqlx::query(
                    "INSERT INTO outbox (event_id, shard, seq, schedule_id, reservation_id, payload, trace_parent, \
                     created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(new.event.raw())
                .bind(shard)
                .bind(sequence)
                .bind(reservation.schedule.raw())
                .bind(new.reservation.raw())
                .bind(event.to_json())
                .bind(new.trace_parent.as_deref())
                .bind(new.now.unix_ms())
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await?;
            let receipt = Receipt {
                payment: reservation.payment,
                reservation: reservation.id,
                amount: reservation.amount,
                balance: Money::new(balance).ok_or(StoreError::Corrupt("users"))?,
                paid_at: new.now,
            };
            Ok(Paid::Now(receipt, event))
        })
    }

    /// What a payment with this key caused before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payment_by_key(
        &self,
        user: UserId,
        key: &IdempotencyKey,
    ) -> Result<Option<Stored<Receipt>>, StoreError> {
        read_on!(self, "payment_by_key", |connection| {
            let row: Option<(i64, i64, i64, i64, i64, Vec<u8>)> = sqlx::query_as(
                "SELECT id, reservation_id, amount, balance_after, completed_at_ms, idem_hash FROM payments \
                 WHERE user_id = ? AND idem_key = ?",
            )
            .bind(user.raw())
            .bind(key.key())
            .fetch_optional(connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let read = || {
                Some(Receipt {
                    payment: PaymentId::from_raw(row.0)?,
                    reservation: ReservationId::from_raw(row.1)?,
                    amount: Money::new(row.2)?,
                    balance: Money::new(row.3)?,
                    paid_at: Timestamp::from_unix_ms(row.4),
                })
            };
            let first = read().ok_or(StoreError::Corrupt("payments"))?;
            Ok(Some(Stored {
                first,
                same_request: row.5 == key.hash(),
            }))
        })
    }
}

fn event_of(new: &NewPayment, reservation: &Reservation) -> PaymentCompleted {
    PaymentCompleted {
        event: new.event,
        payment: reservation.payment,
        reservation: reservation.id,
        schedule: reservation.schedule,
        seat: reservation.seat,
        user: reservation.user,
        amount: reservation.amount,
        paid_at: new.now,
    }
}
