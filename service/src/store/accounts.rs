//! Users, their balances, and charges.

use super::dialect::Dialect as _;
use super::reservations::Stored;
use super::{Store, StoreError};
use crate::domain::{ChargeId, IdempotencyKey, Money, Timestamp, UserId};

/// An amount added to a balance, and the balance right after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Charge {
    /// The charge.
    pub id: ChargeId,
    /// What was added.
    pub amount: Money,
    /// The balance right after.
    pub balance: Money,
}

/// What became of a wish to charge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charged {
    /// Done.
    Now(Charge),
    /// The sum would exceed what a balance may hold, or there is no such user.
    Refused,
}

impl Store {
    /// A user's balance; `None` when there is no such user.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn balance(&self, user: UserId) -> Result<Option<Money>, StoreError> {
        read_on!(self, "balance", |connection| {
            let balance: Option<i64> = sqlx::query_scalar("SELECT balance FROM users WHERE id = ?")
                .bind(user.raw())
                .fetch_optional(connection)
                .await?;
            balance
                .map(|minor| Money::new(minor).ok_or(StoreError::Corrupt("users")))
                .transpose()
        })
    }

    /// Adds to a balance.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the user's key is taken; otherwise when the database does not do its work.
    pub async fn charge(
        &self,
        id: ChargeId,
        user: UserId,
        amount: Money,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Charged, StoreError> {
        write_on!(self, "charge", |transaction| {
            let Some(balance) = transaction.credit(user.raw(), amount.minor()).await? else {
                return Ok(Charged::Refused);
            };
            sqlx::query(
                "INSERT INTO balance_ledger (id, user_id, entry, amount, balance_after, idem_key, idem_hash, \
                 created_at_ms) VALUES (?, ?, 1, ?, ?, ?, ?, ?)",
            )
            .bind(id.raw())
            .bind(user.raw())
            .bind(amount.minor())
            .bind(balance)
            .bind(key.key())
            .bind(&key.hash()[..])
            .bind(now.unix_ms())
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            let balance = Money::new(balance).ok_or(StoreError::Corrupt("users"))?;
            Ok(Charged::Now(Charge { id, amount, balance }))
        })
    }

    /// What a charge with this key caused before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn charge_by_key(
        &self,
        user: UserId,
        key: &IdempotencyKey,
    ) -> Result<Option<Stored<Charge>>, StoreError> {
        read_on!(self, "charge_by_key", |connection| {
            let row: Option<(i64, i64, i64, Vec<u8>)> = sqlx::query_as(
                "SELECT id, amount, balance_after, idem_hash FROM balance_ledger WHERE user_id = ? AND idem_key = ?",
            )
            .bind(user.raw())
            .bind(key.key())
            .fetch_optional(connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            let read = || {
                Some(Charge {
                    id: ChargeId::from_raw(row.0)?,
                    amount: Money::new(row.1)?,
                    balance: Money::new(row.2)?,
                })
            };
            let first = read().ok_or(StoreError::Corrupt("balance_ledger"))?;
            Ok(Some(Stored {
                first,
                same_request: row.3 == key.hash(),
            }))
        })
    }
}
