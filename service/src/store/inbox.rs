//! The consumer's side: an event has its effect with its first delivery, and none after it.

use super::{Store, StoreError};
use crate::domain::{PaymentCompleted, Timestamp};

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Issued {
    /// The ticket exists since now.
    Now,
    /// The event had its effect before.
    Before,
    /// No reservation with this id is paid.
    NotPaid,
    /// The reservation's ticket comes from another event.
    OtherEvent,
}

impl Store {
    /// Remembers the event and issues its ticket, in one transaction.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn issue_ticket(&self, event: &PaymentCompleted, now: Timestamp) -> Result<Issued, StoreError> {
        write_on!(self, "issue_ticket", |transaction| {
            let remembered = sqlx::query("INSERT INTO processed_events (event_id, processed_at_ms) VALUES (?, ?)")
                .bind(event.event.raw())
                .bind(now.unix_ms())
                .execute(&mut *transaction)
                .await
                .map_err(StoreError::from);
            match remembered {
                Ok(_) => {}
                Err(StoreError::Duplicate(_)) => return Ok(Issued::Before),
                Err(error) => return Err(error),
            }
            // 1 is "paid": the payment's transaction set it before it wrote the event.
            let issued = sqlx::query(
                "INSERT INTO tickets (reservation_id, event_id, created_at_ms) \
                 SELECT id, ?, ? FROM reservations WHERE id = ? AND status = 1",
            )
            .bind(event.event.raw())
            .bind(now.unix_ms())
            .bind(event.reservation.raw())
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::from);
            match issued {
                Ok(result) if result.rows_affected() == 1 => {
                    transaction.commit().await?;
                    Ok(Issued::Now)
                }
                Ok(_) => Ok(Issued::NotPaid),
                Err(StoreError::Duplicate(_)) => Ok(Issued::OtherEvent),
                Err(error) => Err(error),
            }
        })
    }
}
