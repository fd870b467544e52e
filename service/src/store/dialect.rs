//! The statements whose text differs between the engines: those that write a value and need to know it.
//!
//! SQLite returns it (`RETURNING`). MySQL has no such clause, but hands one integer back with every acknowledgement:
//! `LAST_INSERT_ID(expression)`. Both therefore need one statement and one round trip.

use sqlx::{MySqlConnection, Row as _, SqliteConnection};

use super::hold::{Claimed, NewHold};
use crate::domain::money;

/// What a claim on a seat rests on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guard {
    /// The seat is free, or its hold has expired.
    Free,
    /// The seat is unchanged since this version was read.
    Version(i64),
    /// Nothing: the caller holds a lock on the row, or does not care.
    Nothing,
}

macro_rules! claim_sql {
    ($extra_set:literal, $tail:literal) => {
        [
            concat!(
                "UPDATE seats SET status = 1, held_until_ms = ?, reservation_id = ?, version = version + 1",
                $extra_set,
                " WHERE id = ? AND (status = 0 OR (status = 1 AND held_until_ms <= ?))",
                $tail
            ),
            concat!(
                "UPDATE seats SET status = 1, held_until_ms = ?, reservation_id = ?, version = version + 1",
                $extra_set,
                " WHERE id = ? AND version = ?",
                $tail
            ),
            concat!(
                "UPDATE seats SET status = 1, held_until_ms = ?, reservation_id = ?, version = version + 1",
                $extra_set,
                " WHERE id = ?",
                $tail
            ),
        ]
    };
}

const SQLITE_CLAIM: [&str; 3] = claim_sql!("", " RETURNING schedule_id, price");
const MYSQL_CLAIM: [&str; 3] = claim_sql!(", price = LAST_INSERT_ID(price)", "");

impl Guard {
    const fn pick(self, of: [&'static str; 3]) -> &'static str {
        match self {
            Self::Free => of[0],
            Self::Version(_) => of[1],
            Self::Nothing => of[2],
        }
    }
}

macro_rules! claim_query {
    ($texts:expr, $hold:expr, $guard:expr) => {{
        let query = sqlx::query($guard.pick($texts))
            .bind($hold.expires_at.unix_ms())
            .bind($hold.reservation.raw())
            .bind($hold.seat.raw());
        match $guard {
            Guard::Free => query.bind($hold.now.unix_ms()),
            Guard::Version(version) => query.bind(version),
            Guard::Nothing => query,
        }
    }};
}

pub(super) trait Dialect {
    /// Claims the seat and writes the reservation; `None` when the guard did not hold.
    async fn claim(&mut self, hold: &NewHold, guard: Guard) -> Result<Option<Claimed>, sqlx::Error>;

    /// Takes `amount` from a balance that has it, and returns what is left.
    async fn debit(&mut self, user: i64, amount: i64) -> Result<Option<i64>, sqlx::Error>;

    /// Adds `amount` to a balance that stays within bounds, and returns the sum.
    async fn credit(&mut self, user: i64, amount: i64) -> Result<Option<i64>, sqlx::Error>;

    /// Raises the shard's counter. Every committed number has a row in the outbox.
    async fn next_sequence(&mut self, shard: u32) -> Result<Option<i64>, sqlx::Error>;
}

impl Dialect for SqliteConnection {
    async fn claim(&mut self, hold: &NewHold, guard: Guard) -> Result<Option<Claimed>, sqlx::Error> {
        let Some(row) = claim_query!(SQLITE_CLAIM, hold, guard)
            .fetch_optional(&mut *self)
            .await?
        else {
            return Ok(None);
        };
        let claimed = Claimed {
            schedule: row.try_get(0)?,
            price: row.try_get(1)?,
        };
        sqlx::query(
            "INSERT INTO reservations (id, seat_id, schedule_id, user_id, amount, status, created_at_ms, \
             expires_at_ms, idem_key, idem_hash) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?)",
        )
        .bind(hold.reservation.raw())
        .bind(hold.seat.raw())
        .bind(claimed.schedule)
        .bind(hold.user.raw())
        .bind(claimed.price)
        .bind(hold.now.unix_ms())
        .bind(hold.expires_at.unix_ms())
        .bind(hold.key.key())
        .bind(&hold.key.hash()[..])
        .execute(&mut *self)
        .await?;
        Ok(Some(claimed))
    }

    async fn debit(&mut self, user: i64, amount: i64) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("UPDATE users SET balance = balance - ? WHERE id = ? AND balance >= ? RETURNING balance")
            .bind(amount)
            .bind(user)
            .bind(amount)
            .fetch_optional(self)
            .await
    }

    async fn credit(&mut self, user: i64, amount: i64) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("UPDATE users SET balance = balance + ? WHERE id = ? AND balance <= ? RETURNING balance")
            .bind(amount)
            .bind(user)
            .bind(money::MAX - amount)
            .fetch_optional(self)
            .await
    }

    async fn next_sequence(&mut self, shard: u32) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("UPDATE outbox_sequence SET last = last + 1 WHERE shard = ? RETURNING last")
            .bind(shard)
            .fetch_optional(self)
            .await
    }
}

impl Dialect for MySqlConnection {
    async fn claim(&mut self, hold: &NewHold, guard: Guard) -> Result<Option<Claimed>, sqlx::Error> {
        let updated = claim_query!(MYSQL_CLAIM, hold, guard).execute(&mut *self).await?;
        if updated.rows_affected() == 0 {
            return Ok(None);
        }
        let inserted = sqlx::query(
            "INSERT INTO reservations (id, seat_id, schedule_id, user_id, amount, status, created_at_ms, \
             expires_at_ms, idem_key, idem_hash) \
             SELECT ?, id, LAST_INSERT_ID(schedule_id), ?, price, 0, ?, ?, ?, ? FROM seats WHERE id = ?",
        )
        .bind(hold.reservation.raw())
        .bind(hold.user.raw())
        .bind(hold.now.unix_ms())
        .bind(hold.expires_at.unix_ms())
        .bind(hold.key.key())
        .bind(&hold.key.hash()[..])
        .bind(hold.seat.raw())
        .execute(&mut *self)
        .await?;
        Ok(Some(Claimed {
            schedule: inserted.last_insert_id().cast_signed(),
            price: updated.last_insert_id().cast_signed(),
        }))
    }

    async fn debit(&mut self, user: i64, amount: i64) -> Result<Option<i64>, sqlx::Error> {
        let done = sqlx::query("UPDATE users SET balance = LAST_INSERT_ID(balance - ?) WHERE id = ? AND balance >= ?")
            .bind(amount)
            .bind(user)
            .bind(amount)
            .execute(self)
            .await?;
        Ok((done.rows_affected() == 1).then(|| done.last_insert_id().cast_signed()))
    }

    async fn credit(&mut self, user: i64, amount: i64) -> Result<Option<i64>, sqlx::Error> {
        let done = sqlx::query("UPDATE users SET balance = LAST_INSERT_ID(balance + ?) WHERE id = ? AND balance <= ?")
            .bind(amount)
            .bind(user)
            .bind(money::MAX - amount)
            .execute(self)
            .await?;
        Ok((done.rows_affected() == 1).then(|| done.last_insert_id().cast_signed()))
    }

    async fn next_sequence(&mut self, shard: u32) -> Result<Option<i64>, sqlx::Error> {
        let done = sqlx::query("UPDATE outbox_sequence SET last = LAST_INSERT_ID(last + 1) WHERE shard = ?")
            .bind(shard)
            .execute(self)
            .await?;
        Ok((done.rows_affected() == 1).then(|| done.last_insert_id().cast_signed()))
    }
}
