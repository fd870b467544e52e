//! Balances and charges.

use std::sync::Arc;

use super::{Booking, Failure};
use crate::domain::{ChargeId, IdempotencyKey, Money, UserId};
use crate::store::accounts::{Charge, Charged};

impl Booking {
    /// A user's balance.
    ///
    /// # Errors
    /// When there is no such user, or the database is away.
    pub async fn balance(&self, user: UserId) -> Result<Money, Failure> {
        self.seen("balance", self.store.balance(user).await)?
            .ok_or(Failure::NotFound("user"))
    }

    /// Adds to a balance, once for each key.
    ///
    /// # Errors
    /// When the key stands for another request, there is no such user, or the sum would be too large.
    pub async fn charge(self: &Arc<Self>, user: UserId, amount: Money, key: IdempotencyKey) -> Result<Charge, Failure> {
        let this = self.clone();
        let change = async move { this.charge_through(user, amount, key).await };
        let charged = self.carry_through(change, |metrics, result| {
            let outcome = match result {
                Ok((_, true)) => "replayed",
                Ok((_, false)) => "charged",
                Err(Failure::IdempotencyMismatch) => "mismatch",
                Err(_) => "refused",
            };
            metrics.charges.with_label_values(&[outcome]).inc();
        });
        charged.await.map(|(charge, _)| charge)
    }

    async fn charge_through(
        &self,
        user: UserId,
        amount: Money,
        key: IdempotencyKey,
    ) -> Result<(Charge, bool), Failure> {
        let now = self.now();
        let id = ChargeId::from_raw(self.ids.next(now)).ok_or(Failure::Conflict)?;
        let attempt = || self.store.charge(id, user, amount, &key, now);
        let refusal = match self.transaction("charge", attempt).await {
            Ok(Charged::Now(charge)) => {
                super::work::after_commit("charge");
                return Ok((charge, false));
            }
            Ok(Charged::Refused) => None,
            Err(error) => {
                let refusal = Failure::from(error);
                // The key is looked up whatever the refusal: also when the first request with it was in the way of this one.
                if refusal.is_of_the_database() {
                    return Err(refusal);
                }
                Some(refusal)
            }
        };
        match self.seen("charge_by_key", self.store.charge_by_key(user, &key).await)? {
            Some(stored) if stored.same_request => Ok((stored.first, true)),
            Some(_) => Err(Failure::IdempotencyMismatch),
            None => match refusal {
                Some(refusal) => Err(refusal),
                None => {
                    self.balance(user).await?;
                    Err(Failure::BalanceLimit)
                }
            },
        }
    }
}
