//! The answers that journeys go by, and what each adds to the operation history.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::recording::Operation;
use crate::recording::history::{State, Uid};

/// A successful answer.
pub(crate) trait Reply: Sized {
    /// Reads the body.
    ///
    /// # Errors
    /// When it is not what this request is answered with.
    fn read(body: &[u8]) -> Result<Self, serde_json::Error>;

    /// Writes down what the answer says.
    fn note(&self, _operation: &mut Operation) {}
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

/// A moment in RFC 3339 as Unix milliseconds; `None` for what is no moment.
fn unix_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

/// A place in the queue that was taken.
#[derive(Debug, Deserialize)]
pub(crate) struct Entered {
    pub(crate) token: String,
    state: String,
    position: u64,
    expires_at: String,
}

impl Entered {
    pub(crate) fn is_active(&self) -> bool {
        self.state == ACTIVE
    }
}

impl Reply for Entered {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        json(body)
    }

    fn note(&self, operation: &mut Operation) {
        operation.object = Uid::of(&self.token);
        note_place(operation, &self.state, self.position, &self.expires_at);
    }
}

/// A place in the queue.
#[derive(Debug, Deserialize)]
pub(crate) struct Place {
    state: String,
    position: u64,
    expires_at: String,
}

impl Place {
    pub(crate) fn is_active(&self) -> bool {
        self.state == ACTIVE
    }
}

impl Reply for Place {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        json(body)
    }

    fn note(&self, operation: &mut Operation) {
        note_place(operation, &self.state, self.position, &self.expires_at);
    }
}

/// The state of a token that lets its user through.
const ACTIVE: &str = "active";

fn note_place(operation: &mut Operation, state: &str, position: u64, expires_at: &str) {
    operation.state = State::of(state);
    operation.amount = i64::try_from(position).ok();
    operation.extra = unix_ms(expires_at);
}

/// The dates of a concert.
#[derive(Debug, Deserialize)]
pub(crate) struct Dates {
    pub(crate) schedules: Vec<Date>,
}

/// One date.
#[derive(Debug, Deserialize)]
pub(crate) struct Date {
    pub(crate) schedule_id: Uuid,
    pub(crate) seats_left: u64,
}

impl Reply for Dates {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        json(body)
    }
}

/// The seats on sale of a date.
#[derive(Debug, Deserialize)]
pub(crate) struct SeatMap {
    pub(crate) seats: Vec<Seat>,
}

impl SeatMap {
    /// A seat that the map shows more than once, and how often.
    pub(crate) fn repeated(&self) -> Option<(Uuid, i64)> {
        // Maps come in the order of their seats' numbers, which is mostly that of their ids: no copy is needed then.
        if self.seats.is_sorted_by(|a, b| a.seat_id < b.seat_id) {
            return None;
        }
        let mut ids: Vec<Uuid> = self.seats.iter().map(|seat| seat.seat_id).collect();
        ids.sort_unstable();
        let same = ids.chunk_by(|a, b| a == b).find(|same| same.len() > 1)?;
        Some((same[0], i64::try_from(same.len()).unwrap_or(i64::MAX)))
    }

    /// How many seats it shows.
    pub(crate) fn n_seats(&self) -> i64 {
        i64::try_from(self.seats.len()).unwrap_or(i64::MAX)
    }
}

/// One seat on sale.
#[derive(Debug, Deserialize)]
pub(crate) struct Seat {
    pub(crate) seat_id: Uuid,
    /// From 1 within its date; only rows of a feeder ask for it.
    pub(crate) number: Option<u32>,
}

impl Reply for SeatMap {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        json(body)
    }
}

/// A seat that is ours until it expires.
#[derive(Debug, Deserialize)]
pub(crate) struct Held {
    pub(crate) reservation_id: Uuid,
    pub(crate) amount: i64,
    pub(crate) expires_at: String,
}

impl Reply for Held {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        json(body)
    }

    fn note(&self, operation: &mut Operation) {
        operation.object = Uid::from(self.reservation_id);
        operation.amount = Some(self.amount);
        operation.extra = unix_ms(&self.expires_at);
    }
}

/// A seat that is paid for.
#[derive(Debug, Deserialize)]
pub(crate) struct Paid {
    amount: i64,
    balance: i64,
}

impl Reply for Paid {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        json(body)
    }

    fn note(&self, operation: &mut Operation) {
        operation.amount = Some(self.amount);
        operation.extra = Some(self.balance);
    }
}

/// Money put into an account.
#[derive(Debug, Deserialize)]
pub(crate) struct Charged {
    charge_id: String,
    amount: i64,
    balance: i64,
}

impl Reply for Charged {
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        json(body)
    }

    fn note(&self, operation: &mut Operation) {
        operation.object = Uid::of(&self.charge_id);
        operation.amount = Some(self.amount);
        operation.extra = Some(self.balance);
    }
}

/// An answer whose body, if any, is of no interest.
#[derive(Debug)]
pub(crate) struct Done;

impl Reply for Done {
    fn read(_: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ids: &[u128], expected: Option<(u128, i64)>) {
        let seat = |id: &u128| Seat {
            seat_id: Uuid::from_u128(*id),
            number: None,
        };
        let map = SeatMap {
            seats: ids.iter().map(seat).collect(),
        };
        assert_eq!(map.repeated(), expected.map(|(id, times)| (Uuid::from_u128(id), times)));
    }

    #[test]
    fn a_seat_that_stands_twice_is_found_wherever_it_stands() {
        check(&[], None);
        check(&[1, 2, 3], None);
        check(&[3, 1, 2], None);
        check(&[1, 1], Some((1, 2)));
        check(&[1, 2, 3, 1, 2, 3], Some((1, 2)));
        check(&[7, 5, 9, 7, 7], Some((7, 3)));
    }
}
