//! Rules of booking that take `now` and do no I/O.

pub mod event;
pub mod ids;
pub mod money;
pub mod time;
pub mod token;

pub use event::PaymentCompleted;
pub use ids::{ConcertId, EventId, PaymentId, ReservationId, ScheduleId, SeatId, UserId};
pub use money::Money;
pub use time::Timestamp;
pub use token::{QueueToken, TokenId};
