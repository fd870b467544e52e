//! One operation of a client, and its 80 bytes.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::units::Nanos;

/// A user, seat or schedule, by its place in `history.names`; zero stands for none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Name(pub u32);

impl Name {
    /// No name.
    pub const NONE: Self = Self(0);

    /// This name, unless it is none.
    pub fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// An id that the service gave: reservation, charge or token. Zero stands for none.
///
/// Two halves and not one `u128`, whose alignment would waste eight bytes in most records that hold one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Uid {
    high: u64,
    low: u64,
}

impl Uid {
    /// No id.
    pub const NONE: Self = Self { high: 0, low: 0 };

    /// From the two halves of a UUID.
    pub const fn from_halves(high: u64, low: u64) -> Self {
        Self { high, low }
    }

    /// A UUID as it is; any other text as a name-based UUID (version 8) from its SHA-256, which no service makes.
    pub fn of(text: &str) -> Self {
        if let Ok(uuid) = uuid::Uuid::try_parse(text) {
            return Self::from(uuid);
        }
        let digest = Sha256::digest(text.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self::from(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// This id, unless it is none.
    pub fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

impl From<uuid::Uuid> for Uid {
    fn from(uuid: uuid::Uuid) -> Self {
        let (high, low) = uuid.as_u64_pair();
        Self::from_halves(high, low)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u64_pair(self.high, self.low).fmt(f)
    }
}

/// An idempotency key. Ours are sixteen hexadecimal digits, so that a record holds the whole key; zero stands for none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct IdemKey(pub u64);

impl IdemKey {
    /// No key.
    pub const NONE: Self = Self(0);

    /// This key, unless it is none.
    pub fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

impl fmt::Display for IdemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for IdemKey {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

macro_rules! byte_enum {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $byte:literal $name:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $type { $($(#[$variant_doc])* $variant = $byte),+ }

        impl $type {
            fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$variant),)+ _ => None }
            }

            /// The name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

byte_enum! {
    /// What was asked.
    OpKind {
        QueueEnter = 1 "enter the queue",
        QueuePosition = 2 "ask for the position",
        QueueLeave = 3 "leave the queue",
        /// A seat map that showed [`Operation::seat`] as available, or none at all: a sampled read.
        SeatSeen = 4 "see the seat on sale",
        Hold = 5 "hold",
        ReadReservation = 6 "read the reservation",
        Cancel = 7 "cancel",
        Pay = 8 "pay",
        ReadBalance = 9 "read the balance",
        Charge = 10 "charge",
    }
}

byte_enum! {
    /// Whether it happened.
    Settled {
        Ok = 1 "ok",
        /// It certainly did not happen.
        Fail = 2 "fail",
        /// It may have happened: a time-out, a reset, or a 5xx after the send.
        Info = 3 "info",
    }
}

byte_enum! {
    /// The problem's code in the answer.
    Code {
        None = 0 "none",
        SeatTaken = 1 "seat-taken",
        Conflict = 2 "conflict",
        NotAdmitted = 3 "not-admitted",
        TokenMissing = 4 "token-missing",
        TokenInvalid = 5 "token-invalid",
        TokenGone = 6 "token-gone",
        InsufficientBalance = 7 "insufficient-balance",
        Expired = 8 "expired",
        AlreadyPaid = 9 "already-paid",
        IdempotencyMismatch = 10 "idempotency-mismatch",
        IdempotencyKeyMissing = 11 "idempotency-key-missing",
        InvalidBody = 12 "invalid-body",
        BodyTooLarge = 13 "body-too-large",
        NotFound = 14 "not-found",
        Overloaded = 15 "overloaded",
        Deadline = 16 "deadline",
        Internal = 17 "internal",
        /// No answer within the client's patience.
        TimeOut = 18 "time-out",
        /// The connection could not be made: nothing was sent.
        Unreachable = 19 "unreachable",
        /// The connection broke after the send.
        Broken = 20 "broken",
        /// An answer that was not understood.
        Unreadable = 21 "unreadable",
        /// Any other code.
        Other = 22 "other",
        /// Nobody listened: nothing was sent.
        ConnectionRefused = 23 "connection-refused",
        /// No secure connection could be made: nothing was sent.
        Tls = 24 "tls",
        /// The connection was thrown away after the send.
        Reset = 25 "connection-reset",
        /// What came was no HTTP.
        NoHttp = 26 "no-http",
        /// An answer that is longer than any of the service.
        TooLong = 27 "answer-too-long",
    }
}

impl Code {
    /// The code that the service names; [`Code::Other`] for one that this version does not know.
    pub fn of(text: &str) -> Self {
        (1..=Self::Other as u8)
            .filter_map(Self::from_byte)
            .find(|code| code.name() == text)
            .unwrap_or(Self::Other)
    }
}

byte_enum! {
    /// The state that an answer showed: of a token, or of a reservation.
    State {
        None = 0 "none",
        Waiting = 1 "waiting",
        Active = 2 "active",
        Gone = 3 "gone",
        Pending = 4 "pending",
        Paid = 5 "paid",
        Cancelled = 6 "cancelled",
        Expired = 7 "expired",
    }
}

impl State {
    /// The state that the service names; none for one that this version does not know.
    pub fn of(text: &str) -> Self {
        (1..=Self::Expired as u8)
            .filter_map(Self::from_byte)
            .find(|state| state.name() == text)
            .unwrap_or(Self::None)
    }
}

/// One operation. A client that retries on purpose records a second operation with the same key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation {
    pub invoked: Nanos,
    /// When the answer was read, or the operation given up.
    pub returned: Nanos,
    pub variant: u16,
    /// A client that does one thing at a time. One that crashed, or gave up on an answer, goes on under a new number.
    pub process: u32,
    pub kind: OpKind,
    pub settled: Settled,
    /// The HTTP status; 0 when none arrived.
    pub status: u16,
    pub code: Code,
    pub state: State,
    pub user: Name,
    pub seat: Name,
    pub schedule: Name,
    /// Reservation of a hold, payment, read or cancellation; charge; or token.
    pub object: Uid,
    pub key: IdemKey,
    /// Money of a hold, payment or charge; the balance that was read; the position in the queue; or how many seats the
    /// map showed.
    pub amount: Option<i64>,
    /// Of a hold, a read reservation or a token: when it expires, in Unix milliseconds. Of a payment or charge: the
    /// balance after it. Of a seat map: how often it showed the seat, where that is more than once.
    pub extra: Option<i64>,
}

/// The bytes of one record.
pub(super) const RECORD_BYTES: usize = 80;
/// Stands for `None` in the two optional numbers; no service deals in it.
const NO_NUMBER: i64 = i64::MIN;

impl Operation {
    /// An operation of which only what every one has is known.
    pub fn new(kind: OpKind, process: u32, invoked: Nanos, returned: Nanos, settled: Settled) -> Self {
        Self {
            invoked,
            returned,
            variant: 0,
            process,
            kind,
            settled,
            status: 0,
            code: Code::None,
            state: State::None,
            user: Name::NONE,
            seat: Name::NONE,
            schedule: Name::NONE,
            object: Uid::NONE,
            key: IdemKey::NONE,
            amount: None,
            extra: None,
        }
    }

    /// Whether it certainly happened.
    pub fn is_ok(&self) -> bool {
        self.settled == Settled::Ok
    }

    pub(super) fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&self.invoked.0.to_le_bytes());
        put(&self.returned.0.to_le_bytes());
        put(&self.object.high.to_le_bytes());
        put(&self.object.low.to_le_bytes());
        put(&self.key.0.to_le_bytes());
        put(&self.amount.unwrap_or(NO_NUMBER).to_le_bytes());
        put(&self.extra.unwrap_or(NO_NUMBER).to_le_bytes());
        put(&self.process.to_le_bytes());
        put(&self.user.0.to_le_bytes());
        put(&self.seat.0.to_le_bytes());
        put(&self.schedule.0.to_le_bytes());
        put(&self.variant.to_le_bytes());
        put(&self.status.to_le_bytes());
        put(&[self.kind as u8, self.settled as u8, self.code as u8, self.state as u8]);
        bytes
    }

    /// `None` for bytes that no version of this format writes.
    pub(super) fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let mut at = 0;
        macro_rules! take {
            ($type:ty) => {{
                const SIZE: usize = size_of::<$type>();
                let mut part = [0; SIZE];
                part.copy_from_slice(&bytes[at..at + SIZE]);
                at += SIZE;
                <$type>::from_le_bytes(part)
            }};
        }
        let number = |value: i64| (value != NO_NUMBER).then_some(value);
        let invoked = Nanos(take!(u64));
        let returned = Nanos(take!(u64));
        let object = Uid {
            high: take!(u64),
            low: take!(u64),
        };
        let key = IdemKey(take!(u64));
        let amount = number(take!(i64));
        let extra = number(take!(i64));
        let process = take!(u32);
        let user = Name(take!(u32));
        let seat = Name(take!(u32));
        let schedule = Name(take!(u32));
        let variant = take!(u16);
        let status = take!(u16);
        let [kind, settled, code, state] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        Some(Self {
            invoked,
            returned,
            variant,
            process,
            kind: OpKind::from_byte(kind)?,
            settled: Settled::from_byte(settled)?,
            status,
            code: Code::from_byte(code)?,
            state: State::from_byte(state)?,
            user,
            seat,
            schedule,
            object,
            key,
            amount,
            extra,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_bytes() {
        let mut op = Operation::new(OpKind::Hold, 7, Nanos(1), Nanos(u64::MAX), Settled::Info);
        assert_eq!(Operation::decode(&op.encode()), Some(op));
        op = Operation {
            variant: 3,
            status: 504,
            code: Code::Deadline,
            state: State::Pending,
            user: Name(1),
            seat: Name(2),
            schedule: Name(u32::MAX),
            object: Uid::of("018f0000-0000-7000-8000-000000000001"),
            key: IdemKey(u64::MAX),
            amount: Some(-1),
            extra: Some(i64::MAX),
            ..op
        };
        let bytes = op.encode();
        assert_eq!(Operation::decode(&bytes), Some(op));
        let mut unknown = bytes;
        unknown[RECORD_BYTES - 4] = 99;
        assert_eq!(Operation::decode(&unknown), None);
    }

    #[test]
    fn ids_and_keys_read_as_they_print() {
        let uuid = "018f0000-0000-7000-8000-000000000001";
        assert_eq!(Uid::of(uuid).to_string(), uuid);
        assert_eq!(Uid::of("opaque.token"), Uid::of("opaque.token"));
        assert_ne!(Uid::of("opaque.token"), Uid::of("opaque.token2"));
        assert_eq!(IdemKey(10).to_string().parse::<IdemKey>().unwrap(), IdemKey(10));
        assert_eq!(Code::of("seat-taken"), Code::SeatTaken);
        assert_eq!(Code::of("from-the-future"), Code::Other);
        assert_eq!(State::of("paid"), State::Paid);
    }
}
