//! Which row of its feeders an arrival gets.
//!
//! Rows are given out one after the other as arrivals become due, so in the open model an arrival's rows are decided by
//! its number and the seed alone. Virtual users come when they are done: which of them gets the next row is decided by
//! how fast they are answered, and no seed decides that.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::schedule::Schedule;
use super::session::Dice;
use crate::config::{Feeder, FeederSource, JourneyKind, Order, Row, ScenarioConfig};
use crate::units::Nanos;

/// A feeder that had no row for the next arrival.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RanDry {
    pub feeder: String,
    /// How many rows it had; each was used once.
    pub rows: u64,
    pub at: Nanos,
}

/// A feeder that will run dry, as far as the schedule shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortage {
    pub feeder: String,
    pub rows: u64,
    /// Arrivals that are to be expected; virtual users come besides.
    pub needed: u64,
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { feeder, rows, needed } = self;
        write!(
            f,
            "the feeder `{feeder}` has {rows} rows, and about {needed} arrivals need one each: the load will end early; \
             add rows, or `again: true`"
        )
    }
}

/// The feeders whose rows will not suffice for the arrivals of the schedule.
pub fn shortages(scenario: &ScenarioConfig) -> Vec<Shortage> {
    let expected = Schedule::new(&scenario.stages, scenario.arrivals, 0).expected();
    let short = scenario.feeders.iter().filter_map(|feeder| {
        let rows = feeder.lasts()?;
        let shares = feeder.journeys.iter().filter_map(|kind| scenario.journeys.get(kind));
        let needed = (expected * shares.map(|share| share.0).sum::<f64>() / 100.0).round();
        (needed > rows as f64).then(|| Shortage {
            feeder: feeder.name.clone(),
            rows,
            // Positive, and far below what u64 holds.
            needed: needed as u64,
        })
    });
    short.collect()
}

/// The rows of one attack, shared by all users.
#[derive(Debug)]
pub(crate) struct Feeds {
    feeds: Vec<Feed>,
    dice: Dice,
}

#[derive(Debug)]
struct Feed {
    feeder: Feeder,
    /// The rows' places in the order in which they are used; `None` is as they stand.
    shuffled: Option<Vec<u32>>,
    /// Rows given out.
    given: AtomicU64,
}

/// Shuffles draw from streams of their own, apart from the schedule's and the journeys'.
const SHUFFLE_STREAM: u64 = u64::MAX - 1;
/// Set in the number of an arrival where its row is drawn at random.
const DRAW: u64 = 1 << 61;

impl Feeds {
    pub(crate) fn new(scenario: &ScenarioConfig, dice: Dice, seed: u64) -> Self {
        let feeds = scenario.feeders.iter().enumerate().map(|(n, feeder)| Feed {
            feeder: feeder.clone(),
            shuffled: match &feeder.source {
                FeederSource::Rows {
                    rows,
                    order: Order::Shuffled,
                    ..
                } => Some(shuffled(rows.len(), seed, n)),
                _ => None,
            },
            given: AtomicU64::new(0),
        });
        Self {
            feeds: feeds.collect(),
            dice,
        }
    }

    /// Whether no feeder has rows.
    pub(crate) fn have_no_rows(&self) -> bool {
        let has_rows = |feed: &Feed| matches!(feed.feeder.source, FeederSource::Rows { .. });
        !self.feeds.iter().any(has_rows)
    }

    /// The next row for the journey of arrival `number`, out of all its feeders together.
    ///
    /// # Errors
    /// When one of them has no row left.
    pub(crate) fn next(&self, journey: JourneyKind, number: u64, now: Nanos) -> Result<Row, RanDry> {
        let mut draws = self.dice.choices(number | DRAW);
        let mut all = Row::default();
        for feed in self.feeds.iter().filter(|feed| feed.feeder.journeys.contains(&journey)) {
            let FeederSource::Rows { rows, order, again } = &feed.feeder.source else {
                continue;
            };
            let n_rows = rows.len() as u64;
            let turn = match order {
                Order::Random => draws.random_range(0..n_rows),
                Order::InTurn | Order::Shuffled => {
                    let turn = feed.given.fetch_add(1, Ordering::Relaxed);
                    if turn >= n_rows && !again {
                        return Err(RanDry {
                            feeder: feed.feeder.name.clone(),
                            rows: n_rows,
                            at: now,
                        });
                    }
                    turn % n_rows
                }
            };
            // Below the number of rows, which fit into memory.
            let turn = turn as usize;
            let place = feed.shuffled.as_ref().map_or(turn, |places| places[turn] as usize);
            all = all.with(rows[place]);
        }
        Ok(all)
    }
}

fn shuffled(n_rows: usize, seed: u64, feeder: usize) -> Vec<u32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(SHUFFLE_STREAM - feeder as u64);
    // A file of rows is far too short for more.
    let mut places: Vec<u32> = (0..u32::try_from(n_rows).unwrap_or(u32::MAX)).collect();
    places.shuffle(&mut random);
    places
}
