//! A reservation and its states, and the shard of the event that its payment causes.

use super::{Money, PaymentId, ReservationId, ScheduleId, SeatId, Timestamp, UserId};

/// Where a reservation stands. The number is what the database stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReservationStatus {
    /// Held, and not yet paid.
    Pending = 0,
    /// Paid: the seat is sold.
    Paid = 1,
    /// Given back by its user.
    Cancelled = 2,
    /// Not paid in time.
    Expired = 3,
}

impl ReservationStatus {
    /// From the database's number.
    pub const fn from_raw(raw: i64) -> Option<Self> {
        match raw {
            0 => Some(Self::Pending),
            1 => Some(Self::Paid),
            2 => Some(Self::Cancelled),
            3 => Some(Self::Expired),
            _ => None,
        }
    }

    /// The name that leaves the service.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// A hold on a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// Its payment, pending from the start.
    pub payment: PaymentId,
    /// What is held.
    pub seat: SeatId,
    /// The date.
    pub schedule: ScheduleId,
    /// Whose it is.
    pub user: UserId,
    /// The price at the time of the hold.
    pub amount: Money,
    /// As stored; see [`Reservation::status_at`].
    pub status: ReservationStatus,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

impl Reservation {
    /// The status at `now`: a pending one past its expiry is expired, swept or not.
    pub fn status_at(&self, now: Timestamp) -> ReservationStatus {
        match self.status {
            ReservationStatus::Pending if self.expires_at <= now => ReservationStatus::Expired,
            status => status,
        }
    }
}

/// The part of the key space that `schedule` falls into. Depends on nothing but its arguments, on every instance.
pub fn shard_of(schedule: ScheduleId, n_shards: u32) -> u32 {
    // Ids of one data set differ in few low bits; the multiplication spreads them over the high ones.
    let mixed = schedule.raw().unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    u32::try_from(mixed % u64::from(n_shards.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_of_neighbouring_schedules_are_spread() {
        let mut n_by_shard = [0_u32; 8];
        for raw in 0..800 {
            n_by_shard[shard_of(ScheduleId::from_raw(raw).unwrap(), 8) as usize] += 1;
        }
        assert!(n_by_shard.iter().all(|n| (70..=130).contains(n)), "{n_by_shard:?}");
    }
}
