//! From the histograms of an experiment's slices to one value a block, and to quantiles of whole variants.
//!
//! A quantile over several slices comes from their merged histogram; quantiles are never averaged. Latency is that of
//! requests that got what they asked for. Errors, time-outs, lost connections and dropped arrivals count as endlessly slow,
//! so that failing fast is no way to look fast; answers that say no (sold out, conflict) are proper, yet of another kind,
//! and are only counted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::effect::Block;
use super::quantile::{self, Estimate, Value};
use crate::recording::{Clock, Endpoint, Outcome, Tag};
use crate::units::{Nanos, RatePerSec, Ratio};

/// Fewest requests in a slice whose quantiles are worth comparing; with fewer, a report says so.
pub const FEWEST_REQUESTS: u64 = 150;

/// What one variant did in one slice: response times in nanoseconds by endpoint and outcome.
#[derive(Clone, Debug)]
pub struct Slice {
    pub block: u32,
    pub launch: u32,
    /// Position of the variant in the experiment; 0 is the baseline.
    pub variant: u16,
    /// The measured part of the slice, without its settling time.
    pub measured: Duration,
    pub cells: Cells,
    pub halves: Halves,
}

/// The median of each half of a slice, in nanoseconds: of requests that ended well, by endpoint.
pub type Halves = BTreeMap<Endpoint, [Option<f64>; 2]>;

/// Response times by endpoint and outcome.
pub type Cells = BTreeMap<(Endpoint, Outcome), Histogram<u64>>;

/// Whether a histogram's tag is the one by which its requests are counted. Every request that was sent has a service
/// time; of a journey only the first has a response time as well, so an endpoint whose clocks were joined would count
/// some requests twice. Journeys, and arrivals that were dropped, are timed from when the user wanted to start.
pub fn counts_once(tag: &Tag) -> bool {
    tag.clock
        == if tag.endpoint.is_journey() {
            Clock::Response
        } else {
            Clock::Service
        }
}

/// Requests of one kind, by how they ended.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Response times of the requests that got what they asked for, in nanoseconds.
    pub successes: Histogram<u64>,
    /// Errors, time-outs, lost connections, arrivals that were dropped and journeys that were cut off.
    pub failures: u64,
    /// Proper answers that say no: sold out, conflict, not admitted, refused.
    pub refusals: u64,
    pub by_outcome: BTreeMap<Outcome, u64>,
}

impl Tally {
    /// Adds up the cells of the chosen endpoints. `None` when histograms of different shapes cannot be joined, which a
    /// recording of one version never holds.
    pub fn of<'a>(cells: impl IntoIterator<Item = &'a Cells>, chosen: impl Fn(Endpoint) -> bool) -> Option<Self> {
        let mut tally = Self {
            successes: empty(),
            failures: 0,
            refusals: 0,
            by_outcome: BTreeMap::new(),
        };
        for ((endpoint, outcome), histogram) in cells.into_iter().flatten() {
            if !chosen(*endpoint) {
                continue;
            }
            *tally.by_outcome.entry(*outcome).or_default() += histogram.len();
            match outcome {
                Outcome::Ok | Outcome::Won => tally.successes.add(histogram).ok()?,
                Outcome::Error | Outcome::Lost | Outcome::TimeOut | Outcome::Dropped | Outcome::Unfinished => {
                    tally.failures += histogram.len();
                }
                Outcome::SoldOut | Outcome::Conflict | Outcome::NotAdmitted | Outcome::Refused => {
                    tally.refusals += histogram.len();
                }
            }
        }
        Some(tally)
    }

    /// Every request, however it ended.
    pub fn requests(&self) -> u64 {
        self.successes.len() + self.failures + self.refusals
    }

    /// The quantile of response times, in nanoseconds, with failures endlessly slow.
    pub fn quantile(&self, q: Ratio) -> Option<Value> {
        quantile::quantile(&self.successes, self.failures, q)
    }

    /// Failures over requests; `None` without requests.
    pub fn failure_ratio(&self) -> Option<Ratio> {
        let requests = self.requests();
        (requests > 0).then(|| Ratio(self.failures as f64 / requests as f64))
    }
}

/// A histogram with the resolution of three digits that grows to what it is given.
#[expect(
    clippy::expect_used,
    reason = "three digits is a valid precision; there is no input to be wrong"
)]
fn empty() -> Histogram<u64> {
    Histogram::new(3).expect("three significant digits are allowed")
}

/// What is compared, block by block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Requests a second that got what they asked for.
    Throughput,
    /// Median response time.
    P50,
    /// 95th percentile of response time.
    P95,
    /// 99th percentile of response time; in one slice it rests on a handful of requests, so it only advises.
    P99,
    /// `(failures + ½) / (requests + 1)`, so that a slice without failures has a logarithm.
    FailureRatio,
}

impl Metric {
    /// The metric of a tally taken over `measured`. `None` when the tally cannot tell.
    pub fn of(self, tally: &Tally, measured: Duration) -> Option<f64> {
        let quantile = |q| tally.quantile(Ratio(q)).map(Value::as_f64);
        match self {
            Self::Throughput => throughput(tally, measured).map(|rate| rate.0),
            Self::P50 => quantile(0.50),
            Self::P95 => quantile(0.95),
            Self::P99 => quantile(0.99),
            Self::FailureRatio => {
                let requests = tally.requests();
                (requests > 0).then(|| (tally.failures as f64 + 0.5) / (requests as f64 + 1.0))
            }
        }
    }
}

/// Requests a second that got what they asked for; `None` for no time at all.
pub fn throughput(tally: &Tally, measured: Duration) -> Option<RatePerSec> {
    let seconds = measured.as_secs_f64();
    (seconds > 0.0).then(|| RatePerSec(tally.successes.len() as f64 / seconds))
}

/// One value a block, and which blocks have none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pairs {
    /// Natural logarithm of candidate over baseline, in the order of the blocks. Infinite where one side had only
    /// failures.
    pub blocks: Vec<Block>,
    /// Blocks in which the ratio is undefined: a variant is missing, idle, or both had only failures.
    pub undefined: Vec<u32>,
    /// The fewest requests in a slice of either variant; see [`FEWEST_REQUESTS`].
    pub fewest_requests: u64,
}

/// Pairs the slices of two variants by block. Slices of one variant in one block are merged first.
pub fn pairs(
    slices: &[Slice],
    baseline: u16,
    candidate: u16,
    chosen: impl Fn(Endpoint) -> bool,
    metric: Metric,
) -> Pairs {
    let mut blocks: BTreeMap<u32, u32> = BTreeMap::new();
    for slice in slices
        .iter()
        .filter(|s| s.variant == baseline || s.variant == candidate)
    {
        blocks.insert(slice.block, slice.launch);
    }
    let mut found = Pairs {
        blocks: Vec::new(),
        undefined: Vec::new(),
        fewest_requests: u64::MAX,
    };
    for (block, launch) in blocks {
        let mut side = |variant: u16| {
            let of_block = || slices.iter().filter(move |s| s.block == block && s.variant == variant);
            let tally = Tally::of(of_block().map(|s| &s.cells), &chosen)?;
            found.fewest_requests = found.fewest_requests.min(tally.requests());
            metric.of(&tally, of_block().map(|s| s.measured).sum())
        };
        match log_ratio(side(baseline), side(candidate)) {
            Some(value) => found.blocks.push(Block { launch, value }),
            None => found.undefined.push(block),
        }
    }
    if found.fewest_requests == u64::MAX {
        found.fewest_requests = 0;
    }
    found
}

/// Pairs plain numbers, one a block and variant (a hit ratio in points, reads a request), as differences.
pub fn differences(values: &[(u32, u32, u16, Option<f64>)], baseline: u16, candidate: u16) -> Pairs {
    let mut blocks: BTreeMap<u32, (u32, [Option<f64>; 2])> = BTreeMap::new();
    for (block, launch, variant, value) in values {
        let entry = blocks.entry(*block).or_insert((*launch, [None, None]));
        if *variant == baseline {
            entry.1[0] = *value;
        } else if *variant == candidate {
            entry.1[1] = *value;
        }
    }
    let mut found = Pairs {
        blocks: Vec::new(),
        undefined: Vec::new(),
        fewest_requests: 0,
    };
    for (block, (launch, sides)) in blocks {
        match sides {
            [Some(before), Some(after)] if (after - before).is_finite() => {
                found.blocks.push(Block {
                    launch,
                    value: after - before,
                });
            }
            _ => found.undefined.push(block),
        }
    }
    found
}

/// A quantile of a whole variant from its merged slices, with its interval widened by how much the slices differ.
pub fn merged_quantile(
    slices: &[Slice],
    variant: u16,
    chosen: impl Fn(Endpoint) -> bool,
    q: Ratio,
    confidence: Ratio,
) -> Option<Estimate> {
    let of_variant = || slices.iter().filter(move |s| s.variant == variant);
    let merged = Tally::of(of_variant().map(|s| &s.cells), &chosen)?;
    let limit = merged.quantile(q)?;
    let shares: Vec<(u64, u64)> = of_variant()
        .filter_map(|slice| {
            let tally = Tally::of([&slice.cells], &chosen)?;
            let below = quantile::count_at_or_below(&tally.successes, limit);
            Some((tally.successes.len() + tally.failures, below))
        })
        .collect();
    let design_effect = quantile::design_effect(&shares).unwrap_or(1.0);
    quantile::estimate(&merged.successes, merged.failures, q, confidence, design_effect)
}

/// Mean response time of the requests that got what they asked for, for Little's law; `None` without any.
pub fn mean_response(tally: &Tally) -> Option<Nanos> {
    (!tally.successes.is_empty()).then(|| Nanos(tally.successes.mean() as u64))
}

fn log_ratio(baseline: Option<f64>, candidate: Option<f64>) -> Option<f64> {
    let ratio = (candidate? / baseline?).ln();
    (!ratio.is_nan()).then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(entries: &[(Outcome, &[u64])]) -> Cells {
        let mut cells = Cells::new();
        for (outcome, values_ms) in entries {
            let histogram = cells.entry((Endpoint::Seats, *outcome)).or_insert_with(empty);
            for value in *values_ms {
                histogram.record(value * 1_000_000).unwrap();
            }
        }
        cells
    }

    fn slice(block: u32, variant: u16, entries: &[(Outcome, &[u64])]) -> Slice {
        Slice {
            block,
            launch: block / 4,
            variant,
            measured: Duration::from_millis(500),
            cells: cells(entries),
            halves: Halves::new(),
        }
    }

    fn seats(endpoint: Endpoint) -> bool {
        endpoint == Endpoint::Seats
    }

    #[test]
    fn failures_are_slow_and_refusals_only_counted() {
        let cells = cells(&[
            (Outcome::Ok, &[10; 90]),
            (Outcome::Error, &[1; 8]),
            (Outcome::Dropped, &[0; 2]),
            (Outcome::SoldOut, &[1; 50]),
        ]);
        let tally = Tally::of([&cells], seats).unwrap();
        assert_eq!((tally.requests(), tally.failures, tally.refusals), (150, 10, 50));
        assert!(matches!(
            tally.quantile(Ratio(0.9)),
            Some(Value::Finite(10_000_000..10_010_000))
        ));
        assert_eq!(tally.quantile(Ratio(0.95)), Some(Value::Infinite));
        assert_eq!(throughput(&tally, Duration::from_millis(500)), Some(RatePerSec(180.0)));
        assert_eq!(tally.failure_ratio(), Some(Ratio(10.0 / 150.0)));
    }

    #[test]
    fn merging_adds_every_count() {
        let parts = [
            cells(&[(Outcome::Ok, &[1, 2]), (Outcome::Error, &[1])]),
            cells(&[(Outcome::Ok, &[3]), (Outcome::Error, &[1, 1])]),
        ];
        let forth = Tally::of(&parts, seats).unwrap();
        let back = Tally::of(parts.iter().rev(), seats).unwrap();
        assert_eq!((forth.successes.len(), forth.failures), (3, 3));
        assert_eq!(
            (&forth.successes, &forth.by_outcome),
            (&back.successes, &back.by_outcome)
        );
        assert_eq!(Tally::of(&parts, |e| e == Endpoint::Pay).unwrap().requests(), 0);
    }

    #[test]
    fn blocks_are_paired_and_what_cannot_be_is_named() {
        let slices = [
            slice(0, 0, &[(Outcome::Ok, &[20; 40])]),
            slice(0, 1, &[(Outcome::Ok, &[10; 40])]),
            slice(1, 1, &[(Outcome::Ok, &[10; 40])]),
            slice(2, 0, &[(Outcome::Error, &[1; 40])]),
            slice(2, 1, &[(Outcome::Error, &[1; 40])]),
            slice(3, 0, &[(Outcome::Ok, &[20; 40])]),
            slice(3, 1, &[(Outcome::TimeOut, &[1; 30])]),
        ];
        let found = pairs(&slices, 0, 1, seats, Metric::P50);
        assert_eq!(found.undefined, [1, 2]);
        assert_eq!(found.blocks.len(), 2);
        assert!((found.blocks[0].value.exp() - 0.5).abs() < 1e-3, "{found:?}");
        assert_eq!(found.blocks[1].value, f64::INFINITY);
        // The baseline is missing from block 1: it had no requests at all.
        assert_eq!(found.fewest_requests, 0);
        assert_eq!(pairs(&[], 0, 1, seats, Metric::P50).fewest_requests, 0);
    }

    #[test]
    fn a_slice_without_failures_has_a_logarithm() {
        let slices = [
            slice(0, 0, &[(Outcome::Ok, &[20; 99])]),
            slice(0, 1, &[(Outcome::Ok, &[20; 49]), (Outcome::Error, &[20; 50])]),
        ];
        let found = pairs(&slices, 0, 1, seats, Metric::FailureRatio);
        assert!((found.blocks[0].value - (50.5_f64 / 0.5).ln()).abs() < 1e-9);
    }

    #[test]
    fn plain_numbers_are_subtracted() {
        let values = [
            (0, 0, 0, Some(0.0)),
            (0, 0, 1, Some(90.0)),
            (1, 0, 0, Some(1.0)),
            (1, 0, 1, None),
        ];
        let found = differences(&values, 0, 1);
        assert_eq!(found.blocks, [Block { launch: 0, value: 90.0 }]);
        assert_eq!(found.undefined, [1]);
    }

    #[test]
    fn one_bad_slice_widens_the_merged_interval() {
        let even: Vec<Slice> = (0..10)
            .map(|b| slice(b, 0, &[(Outcome::Ok, &[10; 180]), (Outcome::Ok, &[50; 20])]))
            .collect();
        let mut uneven: Vec<Slice> = (0..9).map(|b| slice(b, 0, &[(Outcome::Ok, &[10; 200])])).collect();
        uneven.push(slice(9, 0, &[(Outcome::Ok, &[50; 200])]));
        let ends = |slices: &[Slice]| {
            let got = merged_quantile(slices, 0, seats, Ratio(0.85), Ratio(0.95)).unwrap();
            (got.lower.unwrap(), got.upper)
        };
        assert!(ends(&even).1.is_some_and(|upper| upper < Value::Finite(11_000_000)));
        assert!(ends(&uneven).1.is_none_or(|upper| upper > Value::Finite(49_000_000)));
    }
}
