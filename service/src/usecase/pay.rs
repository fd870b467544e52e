//! Paying for a reservation.

use std::sync::Arc;

use super::work::after_commit;
use super::{Booking, Failure};
use crate::config::EventsMode;
use crate::domain::{
    ChargeId, EventId, IdempotencyKey, PaymentCompleted, QueueToken, ReservationId, ReservationStatus,
};
use crate::store::StoreError;
use crate::store::payments::{NewPayment, Paid, Receipt};
use crate::trace::TraceContext;

impl Booking {
    /// Pays for a reservation of the token's user, once for each key, and ends the token.
    ///
    /// # Errors
    /// When the token is not admitted, the balance does not suffice, the reservation is no longer pending, or the key
    /// stands for another request.
    pub async fn pay(
        self: &Arc<Self>,
        token: QueueToken,
        reservation: ReservationId,
        key: IdempotencyKey,
        trace_parent: Option<String>,
    ) -> Result<Receipt, Failure> {
        let this = self.clone();
        let change = async move { this.pay_through(token, reservation, key, trace_parent).await };
        let paid = self.carry_through(change, |metrics, result| {
            let outcome = match result {
                Ok((_, true)) => "replayed",
                Ok((_, false)) => "paid",
                Err(failure) => refusal_name(failure),
            };
            metrics.payments.with_label_values(&[outcome]).inc();
        });
        paid.await.map(|(receipt, _)| receipt)
    }

    async fn pay_through(
        &self,
        token: QueueToken,
        reservation: ReservationId,
        key: IdempotencyKey,
        trace_parent: Option<String>,
    ) -> Result<(Receipt, bool), Failure> {
        let refusal = match self.require_admission(token).await {
            Ok(()) => match self.pay_admitted(token, reservation, &key, trace_parent).await {
                Ok(receipt) => return Ok((receipt, false)),
                Err(refusal) => refusal,
            },
            Err(refusal) => refusal,
        };
        // The key is looked up whatever the refusal: also when only the waiting room is away.
        if refusal.is_of_the_database() {
            return Err(refusal);
        }
        match self.seen("payment_by_key", self.store.payment_by_key(token.user, &key).await)? {
            Some(stored) if stored.same_request => Ok((stored.first, true)),
            Some(_) => Err(Failure::IdempotencyMismatch),
            None => Err(refusal),
        }
    }

    async fn pay_admitted(
        &self,
        token: QueueToken,
        reservation: ReservationId,
        key: &IdempotencyKey,
        trace_parent: Option<String>,
    ) -> Result<Receipt, Failure> {
        let now = self.now();
        let ids = (
            EventId::from_raw(self.ids.next(now)),
            ChargeId::from_raw(self.ids.next(now)),
        );
        let (Some(event), Some(ledger)) = ids else {
            return Err(Failure::Conflict);
        };
        let is_direct = self.config.events.mode == EventsMode::Direct;
        let new = NewPayment {
            reservation,
            user: token.user,
            key: key.clone(),
            now,
            event,
            ledger,
            outbox_shards: (!is_direct).then_some(self.config.events.shards),
            trace_parent,
        };
        match self.transaction("pay", || self.store.pay(&new)).await {
            Ok(Paid::Now(receipt, event)) => {
                after_commit("pay");
                self.finish_visit(token, event, new.trace_parent).await;
                Ok(receipt)
            }
            Ok(Paid::Insufficient) => Err(Failure::InsufficientBalance),
            Ok(Paid::Unknown) => Err(Failure::NotFound("reservation")),
            Ok(Paid::Already(ReservationStatus::Paid)) => Err(Failure::AlreadyPaid),
            Ok(Paid::Already(ReservationStatus::Expired)) => Err(Failure::Expired),
            Ok(Paid::Already(ReservationStatus::Cancelled)) => Err(Failure::Cancelled),
            Ok(Paid::Already(ReservationStatus::Pending)) => {
                // The hold may have ended while this payment waited for the database, and its seat may be another's since.
                let found = self.reservation(token.user, reservation).await?;
                if found.status == ReservationStatus::Pending {
                    // A live hold that does not own its seat: the seat was given to two users.
                    self.metrics.seats_oversold.inc();
                    let trace_id = TraceContext::id_in(new.trace_parent.as_deref());
                    tracing::error!(%reservation, trace_id, "a live reservation has lost its seat to another");
                }
                Err(Failure::Expired)
            }
            // The key stands on another payment of this user.
            Err(StoreError::Duplicate(_)) => Err(Failure::IdempotencyMismatch),
            Err(error) => Err(error.into()),
        }
    }

    /// What follows a payment and must not undo it: the event is under way, and the token ends.
    async fn finish_visit(&self, token: QueueToken, event: PaymentCompleted, trace_parent: Option<String>) {
        let trace_id = TraceContext::id_in(trace_parent.as_deref());
        (self.on_paid.0)(event, trace_parent);
        if let Err(error) = self.leave_queue(token).await {
            let cause: &dyn std::error::Error = &error;
            tracing::warn!(
                error = cause,
                trace_id,
                "a paid token could not be ended, it expires by itself"
            );
        }
    }
}

fn refusal_name(failure: &Failure) -> &'static str {
    match failure {
        Failure::InsufficientBalance => "insufficient_balance",
        Failure::Expired | Failure::Cancelled => "expired",
        Failure::AlreadyPaid => "already_paid",
        Failure::Conflict => "conflict",
        Failure::IdempotencyMismatch => "mismatch",
        Failure::NotAdmitted | Failure::TokenGone => "not_admitted",
        _ => "error",
    }
}
