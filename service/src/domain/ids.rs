//! Ids: 63-bit integers inside, `UUIDv7` outside, with no lookup between the two.
//!
//! The integer is `milliseconds since 2024 << 22 | sequence`, so keys are appended in time order. The UUID carries
//! the same moment in its timestamp, the kind of the id in `rand_a`, and the sequence with a checksum in `rand_b`.
//! The checksum turns a mistyped id, or one of another kind, into "unknown" before any query is sent. It is not a
//! secret: who may do what is decided by the queue token.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::time::Timestamp;

const SEQUENCE_BITS: u32 = 22;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;
/// 2024-01-01T00:00:00Z: the origin of the integer's clock, so that 41 bits last until 2093.
const ORIGIN_MS: u64 = 1_704_067_200_000;

fn checksum(kind: u16, raw: u64) -> u64 {
    // SplitMix64's finaliser: every input bit reaches every output bit.
    let mut z = raw ^ (u64::from(kind) << 52) ^ 0x9e37_79b9_7f4a_7c15;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) & 0xff_ffff_ffff
}

fn encode(kind: u16, raw: u64) -> Uuid {
    let timestamp_ms = (raw >> SEQUENCE_BITS) + ORIGIN_MS;
    let high = (timestamp_ms << 16) | 0x7000 | u64::from(kind);
    let low = (0b10 << 62) | ((raw & SEQUENCE_MASK) << 40) | checksum(kind, raw);
    Uuid::from_u64_pair(high, low)
}

fn decode(kind: u16, uuid: Uuid) -> Option<u64> {
    let (high, low) = uuid.as_u64_pair();
    let raw = ((high >> 16).checked_sub(ORIGIN_MS)? << SEQUENCE_BITS) | ((low >> 40) & SEQUENCE_MASK);
    (raw >> 63 == 0 && encode(kind, raw) == uuid).then_some(raw)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(i64);

        impl $name {
            /// From the database's integer; `None` when negative.
            pub fn from_raw(raw: i64) -> Option<Self> {
                (raw >= 0).then_some(Self(raw))
            }

            /// The integer that the database stores.
            pub const fn raw(self) -> i64 {
                self.0
            }

            /// The form that leaves the service.
            pub fn public(self) -> Uuid {
                encode($kind, self.0.unsigned_abs())
            }

            /// The id behind a public form; `None` when it is not one of this kind.
            pub fn from_public(uuid: Uuid) -> Option<Self> {
                decode($kind, uuid).and_then(|raw| i64::try_from(raw).ok()).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.public().fmt(f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.public().serialize(serializer)
            }
        }
    };
}

id!(/// A person with a balance.
    UserId, 0x001);
id!(/// A concert, played on one or more dates.
    ConcertId, 0x002);
id!(/// One date of a concert.
    ScheduleId, 0x003);
id!(/// One seat on one date.
    SeatId, 0x004);
id!(/// A hold on a seat, which a payment makes final.
    ReservationId, 0x005);
id!(/// The payment that belongs to a reservation.
    PaymentId, 0x006);
id!(/// An event in the outbox.
    EventId, 0x007);
id!(/// An amount added to a balance.
    ChargeId, 0x008);

/// Hands out integers in time order, unique within the process and, by a random start in each millisecond's
/// sequence space, almost surely across instances; the primary key settles the rest.
#[derive(Debug)]
pub struct IdSource {
    last: AtomicU64,
    offset: u64,
}

impl IdSource {
    /// `instance` separates the sequences of instances that share a database.
    pub fn new(instance: u64) -> Self {
        Self {
            last: AtomicU64::new(0),
            offset: instance & SEQUENCE_MASK,
        }
    }

    /// The next integer at `now`; never the same twice, even when the clock steps back.
    pub fn next(&self, now: Timestamp) -> i64 {
        let since_origin = u64::try_from(now.unix_ms()).unwrap_or(0).saturating_sub(ORIGIN_MS);
        let floor = (since_origin << SEQUENCE_BITS) | self.offset;
        let mut chosen = floor;
        // The closure always returns a value, so the update cannot fail.
        let _ = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            chosen = floor.max(last + 1);
            Some(chosen)
        });
        i64::try_from(chosen & (u64::MAX >> 1)).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_form_is_a_version_7_uuid_and_round_trips() {
        for raw in [0, 1, 42, 4_194_303, 4_194_304, 1 << 40, (1 << 62) + 12345] {
            let id = SeatId::from_raw(raw).unwrap();
            assert_eq!(id.public().get_version_num(), 7);
            assert_eq!(SeatId::from_public(id.public()), Some(id), "raw {raw}");
        }
    }

    #[test]
    fn other_kinds_and_altered_ids_are_unknown() {
        let seat = SeatId::from_raw(77).unwrap();
        assert_eq!(UserId::from_public(seat.public()), None);
        for bit in 0..128 {
            let altered = Uuid::from_u128(seat.public().as_u128() ^ (1 << bit));
            assert_eq!(SeatId::from_public(altered), None, "bit {bit}");
        }
    }

    #[test]
    fn source_is_strictly_increasing_even_when_the_clock_steps_back() {
        let source = IdSource::new(7);
        let now = Timestamp::from_unix_ms(1_800_000_000_000);
        let first = source.next(now);
        let second = source.next(Timestamp::from_unix_ms(1_700_000_000_000));
        assert!(second > first);
    }
}
