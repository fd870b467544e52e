//! The one fact that leaves the service: a payment was completed.
//!
//! The store writes it into the outbox in the payment's own transaction; [`crate::messaging`] carries it. Its text is
//! a contract with consumers of other builds: fields are added, never changed, and `version` says when that failed.

use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use uuid::Uuid;

use super::{EventId, Money, PaymentId, ReservationId, ScheduleId, SeatId, Timestamp, UserId};

/// The version of the text that this build writes, and the only one that it reads.
pub const VERSION: u32 = 1;
const KIND: &str = "payment-completed";

/// A payment was completed, and the seat is the user's for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaymentCompleted {
    /// Unique; the consumer's inbox remembers it.
    pub event: EventId,
    /// The payment.
    pub payment: PaymentId,
    /// What was paid for.
    pub reservation: ReservationId,
    /// The date; events of one date keep their order.
    pub schedule: ScheduleId,
    /// The seat.
    pub seat: SeatId,
    /// The buyer.
    pub user: UserId,
    /// The price paid.
    pub amount: Money,
    /// When the payment was made, on the service's clock.
    pub paid_at: Timestamp,
}

/// Why a text is no event of ours. Repeating the attempt cannot help. It does not repeat what stands in the text, but for
/// a short kind: the parser's own words quote values, and amounts are not for a log.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or a field is missing or of another type.
    #[error("the payload is not an event: {what} error at line {line} column {column}")]
    Malformed {
        /// `syntax`, `data`, `eof` (it was cut off) or `io`.
        what: &'static str,
        /// From 1.
        line: usize,
        /// From 1; 0 at a line's beginning.
        column: usize,
    },
    /// Another version or kind.
    #[error("the payload is `{kind}` version {version}, expected `{KIND}` version {VERSION}")]
    Foreign {
        /// As written, if it may be one; otherwise its length.
        kind: String,
        /// As written.
        version: u32,
    },
    /// An id was altered or is of another kind, or the amount is out of range.
    #[error("the payload's `{0}` has no valid value")]
    Value(&'static str),
}

impl From<serde_json::Error> for EventError {
    fn from(error: serde_json::Error) -> Self {
        let what = match error.classify() {
            Category::Io => "io",
            Category::Syntax => "syntax",
            Category::Data => "data",
            Category::Eof => "eof",
        };
        Self::Malformed {
            what,
            line: error.line(),
            column: error.column(),
        }
    }
}

/// A kind as it may be told: whoever writes to the topic may have put anything there, of any length.
fn told(kind: String) -> String {
    const LONGEST: usize = 40;
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if kind.len() <= LONGEST && kind.bytes().all(is_harmless) {
        kind
    } else {
        format!("[{} bytes]", kind.len())
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    kind: String,
    event_id: Uuid,
    payment_id: Uuid,
    reservation_id: Uuid,
    schedule_id: Uuid,
    seat_id: Uuid,
    user_id: Uuid,
    amount: i64,
    paid_at_ms: i64,
}

impl PaymentCompleted {
    /// The text that travels.
    pub fn to_json(&self) -> String {
        // Written by hand, field by field, since the values are numbers and UUIDs: nothing to escape, nothing to fail.
        format!(
            concat!(
                r#"{{"version":{},"kind":"{}","event_id":"{}","payment_id":"{}","reservation_id":"{}","#,
                r#""schedule_id":"{}","seat_id":"{}","user_id":"{}","amount":{},"paid_at_ms":{}}}"#
            ),
            VERSION,
            KIND,
            self.event,
            self.payment,
            self.reservation,
            self.schedule,
            self.seat,
            self.user,
            self.amount.minor(),
            self.paid_at.unix_ms(),
        )
    }

    /// Reads a text that travelled.
    ///
    /// # Errors
    /// When the text is no event, of another version or kind, or holds an impossible value.
    pub fn from_json(text: &[u8]) -> Result<Self, EventError> {
        let wire: Wire = serde_json::from_slice(text)?;
        if wire.version != VERSION || wire.kind != KIND {
            return Err(EventError::Foreign {
                kind: told(wire.kind),
                version: wire.version,
            });
        }
        Ok(Self {
            event: EventId::from_public(wire.event_id).ok_or(EventError::Value("event_id"))?,
            payment: PaymentId::from_public(wire.payment_id).ok_or(EventError::Value("payment_id"))?,
            reservation: ReservationId::from_public(wire.reservation_id).ok_or(EventError::Value("reservation_id"))?,
            schedule: ScheduleId::from_public(wire.schedule_id).ok_or(EventError::Value("schedule_id"))?,
            seat: SeatId::from_public(wire.seat_id).ok_or(EventError::Value("seat_id"))?,
            user: UserId::from_public(wire.user_id).ok_or(EventError::Value("user_id"))?,
            amount: Money::new(wire.amount).ok_or(EventError::Value("amount"))?,
            paid_at: Timestamp::from_unix_ms(wire.paid_at_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> PaymentCompleted {
        PaymentCompleted {
            event: EventId::from_raw(1 << 40).unwrap(),
            payment: PaymentId::from_raw(2).unwrap(),
            reservation: ReservationId::from_raw(3).unwrap(),
            schedule: ScheduleId::from_raw(4).unwrap(),
            seat: SeatId::from_raw(5).unwrap(),
            user: UserId::from_raw(6).unwrap(),
            amount: Money::new(12_000).unwrap(),
            paid_at: Timestamp::from_unix_ms(1_800_000_000_123),
        }
    }

    #[test]
    fn round_trips() {
        let event = sample();
        assert_eq!(PaymentCompleted::from_json(event.to_json().as_bytes()).unwrap(), event);
    }

    #[test]
    fn refuses_what_is_no_event() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = PaymentCompleted::from_json(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let good = sample().to_json();
        check("", "the payload is not an event: eof error at line 1 column 0");
        check("{}", "the payload is not an event: data error at line 1 column 2");
        check("{\n no", "the payload is not an event: syntax error at line 2 column 2");
        let cut = &good[..good.len() - 1];
        let n = cut.len();
        check(
            cut,
            &format!("the payload is not an event: eof error at line 1 column {n}"),
        );
        check(
            &good.replace(r#""version":1"#, r#""version":2"#),
            "the payload is `payment-completed` version 2, expected `payment-completed` version 1",
        );
        check(
            &good.replace("12000", "-1"),
            "the payload's `amount` has no valid value",
        );
        let seat = sample().seat.to_string();
        let user = sample().user.to_string();
        check(
            &good.replace(&seat, &user),
            "the payload's `seat_id` has no valid value",
        );
    }

    /// Wherever it stands and of whatever type it is.
    #[test]
    fn what_is_refused_is_not_repeated() {
        const AMOUNT: &str = "987654321";
        const TOKEN: &str = "hunter2/hunter2";
        let good: serde_json::Value = serde_json::from_str(&sample().to_json()).unwrap();
        let amount: i64 = AMOUNT.parse().unwrap();
        let values = [
            serde_json::json!(AMOUNT),
            serde_json::json!(-amount),
            serde_json::json!(amount as f64 + 0.5),
            serde_json::json!([AMOUNT]),
            serde_json::json!({ AMOUNT: TOKEN }),
            serde_json::json!(format!("token={TOKEN}")),
            serde_json::json!(format!("{AMOUNT} for {}", "x".repeat(10_000))),
        ];
        for field in good.as_object().unwrap().keys().filter(|field| *field != "paid_at_ms") {
            // A plain word is what a kind may be.
            for value in values.iter().filter(|value| field != "kind" || **value != AMOUNT) {
                let mut bad = good.clone();
                bad[field] = value.clone();
                let error = PaymentCompleted::from_json(bad.to_string().as_bytes()).unwrap_err();
                let told = format!("{error} {error:?}");
                assert!(!told.contains(AMOUNT) && !told.contains(TOKEN), "{told}");
                assert!(told.len() < 300, "{told}");
            }
        }
    }

    #[test]
    fn a_foreign_kind_is_told_where_it_may_be_one() {
        #[track_caller]
        fn check(kind: &str, expected: &str) {
            assert_eq!(told(kind.to_owned()), expected);
        }
        check("refund-made.v2", "refund-made.v2");
        check(&"k".repeat(40), &"k".repeat(40));
        check(&"k".repeat(41), "[41 bytes]");
        check("a\nline", "[6 bytes]");
        check("ü", "[2 bytes]");
    }

    #[test]
    fn a_field_of_a_later_build_does_no_harm() {
        let text = sample().to_json().replace(r#""kind""#, r#""gate":"B","kind""#);
        assert_eq!(PaymentCompleted::from_json(text.as_bytes()).unwrap(), sample());
    }
}
