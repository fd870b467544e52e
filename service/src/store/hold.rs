//! Holding a seat, in every variant of the switch `locking`.
//!
//! The transaction is three statements and a commit: claim the seat, write the reservation, write its pending payment.
//! What a refusal means, and whether an idempotency key explains it, is the use case's business.

use sqlx::Row as _;

use super::dialect::{Dialect as _, Guard};
use super::{Store, StoreError};
use crate::config::Locking;
use crate::domain::{IdempotencyKey, Money, PaymentId, ReservationId, ScheduleId, SeatId, Timestamp, UserId};

/// A hold that is asked for.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// The seat.
    pub seat: SeatId,
    /// For whom.
    pub user: UserId,
    /// The id that the reservation will have.
    pub reservation: ReservationId,
    /// The id that its payment will have.
    pub payment: PaymentId,
    /// The moment of the hold.
    pub now: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// The client's key.
    pub key: IdempotencyKey,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// The seat is the user's until the hold expires.
    Yes {
        /// The date whose seat map has changed.
        schedule: ScheduleId,
        /// The price.
        amount: Money,
    },
    /// Somebody else's, sold, or unknown.
    Refused,
    /// The seat changed between the read and the write; another attempt may succeed.
    Changed,
}

/// What the claim learnt about the seat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimed {
    pub(super) schedule: i64,
    pub(super) price: i64,
}

/// A seat as one read saw it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    status: i64,
    held_until_ms: Option<i64>,
    version: i64,
}

impl Seen {
    fn is_free(self, now: Timestamp) -> bool {
        self.status == 0 || (self.status == 1 && self.held_until_ms.is_some_and(|until| until <= now.unix_ms()))
    }
}

const SEE: &str = "SELECT status, held_until_ms, version FROM seats WHERE id = ?";
const SEE_AND_LOCK: &str = "SELECT status, held_until_ms, version FROM seats WHERE id = ? FOR UPDATE";

macro_rules! see {
    ($text:expr, $seat:expr, $connection:expr) => {{
        let row = sqlx::query($text).bind($seat.raw()).fetch_optional($connection).await?;
        match row {
            Some(row) => Some(Seen {
                status: row.try_get(0)?,
                held_until_ms: row.try_get(1)?,
                version: row.try_get(2)?,
            }),
            None => None,
        }
    }};
}

/// Claims, writes the payment and commits: the common end of every variant.
macro_rules! finish_hold {
    ($transaction:ident, $hold:expr, $guard:expr) => {{
        let Some(claimed) = $transaction.claim($hold, $guard).await? else {
            return Ok(Held::Refused);
        };
        sqlx::query("INSERT INTO payments (id, reservation_id, user_id, amount, status) VALUES (?, ?, ?, ?, 0)")
            .bind($hold.payment.raw())
            .bind($hold.reservation.raw())
            .bind($hold.user.raw())
            .bind(claimed.price)
            .execute(&mut *$transaction)
            .await?;
        $transaction.commit().await?;
        match (ScheduleId::from_raw(claimed.schedule), Money::new(claimed.price)) {
            (Some(schedule), Some(amount)) => Ok(Held::Yes { schedule, amount }),
            _ => Err(StoreError::Corrupt("seats")),
        }
    }};
}

impl Store {
    /// Holds a seat if it is free, kept apart from other holds as `locking` says. The lock of `redis-lock` is the
    /// caller's; here it is the conditional update, which fences a holder whose lock has lapsed.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the user's key is taken; otherwise when the database does not do its work.
    pub async fn hold(&self, hold: &NewHold, locking: Locking) -> Result<Held, StoreError> {
        match locking {
            Locking::ConditionalUpdate | Locking::RedisLock => self.claim_with(hold, Guard::Free).await,
            Locking::Optimistic => match self.see(hold.seat).await? {
                Some(seen) if seen.is_free(hold.now) => {
                    match self.claim_with(hold, Guard::Version(seen.version)).await? {
                        Held::Refused => Ok(Held::Changed),
                        other => Ok(other),
                    }
                }
                _ => Ok(Held::Refused),
            },
            Locking::None => match self.see(hold.seat).await? {
                Some(seen) if seen.is_free(hold.now) => self.claim_with(hold, Guard::Nothing).await,
                _ => Ok(Held::Refused),
            },
            Locking::Pessimistic => self.see_and_claim(hold, SEE_AND_LOCK).await,
            // SQLite has no FOR UPDATE: the transaction itself was begun as the only writer.
            Locking::Immediate => self.see_and_claim(hold, SEE).await,
        }
    }

    async fn see(&self, seat: SeatId) -> Result<Option<Seen>, StoreError> {
        read_on!(self, "see_seat", |connection| { Ok(see!(SEE, seat, connection)) })
    }

    async fn claim_with(&self, hold: &NewHold, guard: Guard) -> Result<Held, StoreError> {
        write_on!(self, "hold", |transaction| { finish_hold!(transaction, hold, guard) })
    }

    async fn see_and_claim(&self, hold: &NewHold, text: &'static str) -> Result<Held, StoreError> {
        write_on!(self, "hold", |transaction| {
            match see!(text, hold.seat, &mut *transaction) {
                Some(seen) if seen.is_free(hold.now) => finish_hold!(transaction, hold, Guard::Nothing),
                _ => Ok(Held::Refused),
            }
        })
    }
}
