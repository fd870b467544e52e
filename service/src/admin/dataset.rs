//! What a seeded data set holds: a pure function of its parameters, row by row, so that a million seats need no
//! memory and the same seed gives the same rows on every machine and engine.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::domain::{ConcertId, ScheduleId, SeatId, UserId};

/// The first id of each kind: 2025-01-01 on the scale of ids, before anything that a running service makes.
const FIRST_ID: i64 = 31_622_400_000 << 22;
/// The first date: 2027-01-01T19:00:00Z.
const FIRST_START_MS: i64 = 1_798_830_000_000;
const DAY_MS: i64 = 86_400_000;

/// How much of what.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shape {
    /// Decides every random choice.
    pub seed: u64,
    /// Users.
    pub n_users: u32,
    /// Concerts.
    pub n_concerts: u32,
    /// Dates of each concert.
    pub n_schedules: u32,
    /// Seats of a date on average.
    pub n_seats: u32,
    /// The exponent of Zipf's law by which dates differ in size; 0 makes them equal.
    pub skew: f64,
}

/// A date with its size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScheduleRow {
    /// The concert.
    pub concert: ConcertId,
    /// The date.
    pub id: ScheduleId,
    /// When it starts.
    pub starts_at_ms: i64,
    /// How many seats it has.
    pub n_seats: u32,
}

/// A seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeatRow {
    /// The seat.
    pub id: SeatId,
    /// Its number, from 1.
    pub number: u32,
    /// Its price in minor units.
    pub price: i64,
}

#[expect(
    clippy::expect_used,
    reason = "the first id and any count of rows stay far below 63 bits"
)]
fn id<T>(n: u64, from_raw: impl FnOnce(i64) -> Option<T>) -> T {
    from_raw(FIRST_ID + n.cast_signed()).expect("ids of a data set are positive")
}

impl Shape {
    /// Users with their balances: most modest, a few large (10^2 to 10^4 units of 100), each able to buy something.
    pub fn users(&self) -> impl Iterator<Item = (UserId, i64)> {
        let mut random = self.random(1);
        (0..u64::from(self.n_users)).map(move |n| {
            let exponent: f64 = random.random_range(4.3..6.3);
            #[expect(clippy::cast_possible_truncation, reason = "at most 2 million")]
            let balance = 10_f64.powf(exponent) as i64;
            (id(n, UserId::from_raw), balance / 100 * 100)
        })
    }

    /// Concerts with their titles, the most popular first.
    pub fn concerts(&self) -> impl Iterator<Item = (ConcertId, String)> {
        (0..u64::from(self.n_concerts)).map(|n| (id(n, ConcertId::from_raw), format!("Concert {}", n + 1)))
    }

    /// Dates, concert by concert. Sizes fall with the rank by Zipf's law, within a quarter and four times the average:
    /// no hall is a thousand times another.
    pub fn schedules(&self) -> Vec<ScheduleRow> {
        let sizes = self.sizes();
        let per_concert = self.n_schedules.max(1);
        let row = |(n, n_seats): (usize, u32)| {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            ScheduleRow {
                concert: id(u64::from(n / per_concert), ConcertId::from_raw),
                id: id(u64::from(n), ScheduleId::from_raw),
                starts_at_ms: FIRST_START_MS + i64::from(n % per_concert) * DAY_MS,
                n_seats,
            }
        };
        sizes.into_iter().enumerate().map(row).collect()
    }

    /// The seats of the `n`th date, whose first seat is the `first`th of the data set. Rows near the stage cost more.
    pub fn seats(&self, n: usize, first: u64, n_seats: u32) -> impl Iterator<Item = SeatRow> {
        let mut random = self.random(1_000 + n as u64);
        // Each date has a level of its own, in steps of 5 units of 100.
        let level: i64 = random.random_range(8..=24) * 500;
        (0..n_seats).map(move |index| {
            let tier = i64::from(index) * 4 / i64::from(n_seats.max(1));
            SeatRow {
                id: id(first + u64::from(index), SeatId::from_raw),
                number: index + 1,
                price: level * (5 - tier) / 2,
            }
        })
    }

    fn random(&self, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream);
        random
    }

    fn sizes(&self) -> Vec<u32> {
        let count = self.n_concerts as usize * self.n_schedules as usize;
        let average = f64::from(self.n_seats);
        let total = u64::from(self.n_seats) * count as u64;
        let least = (average / 4.0).max(1.0).min(average);
        let most = (average * 4.0).max(least);
        #[expect(clippy::cast_precision_loss, reason = "ranks are far below 2^52")]
        let weights: Vec<f64> = (1..=count).map(|rank| (rank as f64).powf(-self.skew)).collect();
        let sized = |scale: f64| weights.iter().map(move |weight| (weight * scale).clamp(least, most));
        // The scale at which the clamped sizes add up to the total, by bisection.
        #[expect(clippy::cast_precision_loss, reason = "totals are far below 2^52")]
        let wanted = total as f64;
        let (mut low, mut high) = (0.0, most * 1e6);
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if sized(middle).sum::<f64>() < wanted {
                low = middle;
            } else {
                high = middle;
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to four times a u32 above"
        )]
        let mut sizes: Vec<u32> = sized(high).map(|size| size.floor() as u32).collect();
        // What rounding took is given back from the front, a seat each.
        let mut missing = total.saturating_sub(sizes.iter().map(|size| u64::from(*size)).sum());
        while missing > 0 && !sizes.is_empty() {
            for size in &mut sizes {
                if missing == 0 {
                    break;
                }
                *size += 1;
                missing -= 1;
            }
        }
        sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(skew: f64) -> Shape {
        Shape {
            seed: 7,
            n_users: 50,
            n_concerts: 10,
            n_schedules: 5,
            n_seats: 200,
            skew,
        }
    }

    #[test]
    fn sizes_add_up_and_fall_within_bounds() {
        for skew in [0.0, 0.5, 1.1, 2.0] {
            let sizes: Vec<u32> = shape(skew).schedules().iter().map(|row| row.n_seats).collect();
            assert_eq!(sizes.iter().sum::<u32>(), 10 * 5 * 200, "skew {skew}");
            assert!(
                sizes.windows(2).all(|pair| pair[0] >= pair[1]),
                "skew {skew}: {sizes:?}"
            );
            assert!(
                sizes.iter().all(|size| (50..=801).contains(size)),
                "skew {skew}: {sizes:?}"
            );
        }
        assert!(shape(0.0).schedules().iter().all(|row| row.n_seats == 200));
    }

    #[test]
    fn the_same_seed_gives_the_same_rows_and_another_gives_others() {
        let prices = |seed| {
            let shape = Shape { seed, ..shape(1.1) };
            let seats: Vec<_> = (0..5).flat_map(|n| shape.seats(n, n as u64 * 200, 200)).collect();
            (seats, shape.users().collect::<Vec<_>>())
        };
        assert_eq!(prices(1), prices(1));
        assert_ne!(prices(1), prices(2));
    }

    #[test]
    fn prices_and_balances_differ_and_most_users_can_buy() {
        let shape = shape(1.1);
        let mut prices: Vec<i64> = (0..5)
            .flat_map(|n| shape.seats(n, 0, 200))
            .map(|seat| seat.price)
            .collect();
        prices.sort_unstable();
        let median = prices[prices.len() / 2];
        prices.dedup();
        assert!(prices.len() >= 8, "{prices:?}");
        assert!(prices[0] > 0);
        let n_able = shape.users().filter(|(_, balance)| *balance >= median).count();
        assert!(n_able >= 40, "{n_able} of 50 can pay {median}");
    }
}
