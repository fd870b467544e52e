//! Rules of booking that take `now` and do no I/O.

pub mod event;
pub mod idempotency;
pub mod ids;
pub mod money;
pub mod reservation;
pub mod time;
pub mod token;

pub use event::PaymentCompleted;
pub use idempotency::IdempotencyKey;
pub use ids::{ChargeId, ConcertId, EventId, PaymentId, ReservationId, ScheduleId, SeatId, UserId};
pub use money::Money;
pub use reservation::{Reservation, ReservationStatus};
pub use time::Timestamp;
pub use token::{QueueToken, TokenId};
