//! Quantiles of a histogram and how sure they are. Requests that never came back (time-outs, lost connections, dropped
//! arrivals) count as endlessly slow: leaving them out would make the worst run look best.
//!
//! Everything here is in the unit of the histogram that is passed in. Averages of quantiles do not belong here or
//! anywhere: merge the histograms and ask again.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::units::Ratio;

/// One order statistic: a value of the histogram, or beyond every value because the request never came back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// In the histogram's unit, at its resolution.
    Finite(u64),
    /// The rank falls on a request without an answer.
    Infinite,
}

impl Value {
    /// The number, unless the rank fell on a request without an answer.
    pub const fn finite(self) -> Option<u64> {
        match self {
            Self::Finite(value) => Some(value),
            Self::Infinite => None,
        }
    }

    /// As a float; requests without an answer are `+∞`.
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Finite(value) => value as f64,
            Self::Infinite => f64::INFINITY,
        }
    }
}

/// A quantile with its distribution-free confidence interval.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// Which quantile, 0 to 1.
    pub quantile: Ratio,
    /// The order statistic of rank `⌈q·n⌉`.
    pub value: Value,
    /// Lower end; `None` when there are too few samples to have one.
    pub lower: Option<Value>,
    /// Upper end; `None` when there are too few samples to have one.
    pub upper: Option<Value>,
    /// Requests with and without an answer.
    pub samples: u64,
}

/// The order statistic of the given rank (1 is the smallest) among the recorded values followed by `censored` requests
/// without an answer; `None` when there is no such rank.
pub fn order_statistic(histogram: &Histogram<u64>, censored: u64, rank: u64) -> Option<Value> {
    let answered = histogram.len();
    if rank == 0 || rank > answered.saturating_add(censored) {
        return None;
    }
    if rank > answered {
        return Some(Value::Infinite);
    }
    let mut seen = 0;
    for step in histogram.iter_recorded() {
        seen += step.count_at_value();
        if seen >= rank {
            return Some(Value::Finite(step.value_iterated_to()));
        }
    }
    None
}

/// The quantile `q`: the order statistic of rank `⌈q·n⌉` (Hyndman and Fan's type 1, the inverse of the empirical
/// distribution), with `censored` requests without an answer above every recorded value. `None` without any sample.
///
/// ```
/// use hdrhistogram::Histogram;
/// use soundcheck::analysis::quantile::{Value, quantile};
/// use soundcheck::units::Ratio;
///
/// let mut latency_us = Histogram::<u64>::new(3)?;
/// for value in 1..=98 {
///     latency_us.record(value)?;
/// }
/// assert_eq!(quantile(&latency_us, 2, Ratio(0.5)), Some(Value::Finite(50)));
/// assert_eq!(quantile(&latency_us, 2, Ratio(0.99)), Some(Value::Infinite));
/// # Ok::<(), hdrhistogram::CreationError>(()).map_err(|e| e.to_string())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn quantile(histogram: &Histogram<u64>, censored: u64, q: Ratio) -> Option<Value> {
    let samples = histogram.len().saturating_add(censored);
    order_statistic(histogram, censored, rank_of(q, samples)?)
}

/// The quantile `q` with the order-statistic interval: the ranks `l < u` between which the true quantile lies with at
/// least the given confidence, by the binomial distribution of how many samples lie below it (Conover, *Practical
/// Nonparametric Statistics*, 3.2). `design_effect` ≥ 1 says how many dependent samples are worth one independent one;
/// see [`design_effect`]. `None` without any sample.
pub fn estimate(
    histogram: &Histogram<u64>,
    censored: u64,
    q: Ratio,
    confidence: Ratio,
    design_effect: f64,
) -> Option<Estimate> {
    let samples = histogram.len().saturating_add(censored);
    let value = order_statistic(histogram, censored, rank_of(q, samples)?)?;
    let effective = ((samples as f64 / design_effect.max(1.0)) as u64).max(1);
    let (lower, upper) = interval_ranks(effective, q, confidence);
    // Ranks of the effective sample are stretched outwards to ranks of the real one.
    let stretch = samples as f64 / effective as f64;
    let lower = lower.map(|rank| ((rank as f64 * stretch).floor() as u64).max(1));
    let upper = upper.map(|rank| ((rank as f64 * stretch).ceil() as u64).min(samples));
    Some(Estimate {
        quantile: q,
        value,
        lower: lower.and_then(|rank| order_statistic(histogram, censored, rank)),
        upper: upper.and_then(|rank| order_statistic(histogram, censored, rank)),
        samples,
    })
}

/// How many values are at or below `limit`, at the histogram's resolution.
pub fn count_at_or_below(histogram: &Histogram<u64>, limit: Value) -> u64 {
    match limit {
        Value::Infinite => histogram.len(),
        Value::Finite(limit) => histogram
            .iter_recorded()
            .take_while(|step| step.value_iterated_to() <= limit)
            .map(|s| s.count_at_value())
            .sum(),
    }
}

/// The design effect of slices on a proportion: the variance between slices of "at or below the quantile", over what
/// independent requests would have (Kish, *Survey Sampling*, 5.4; the ratio estimator for unequal slices). Each slice is
/// `(requests, requests at or below the pooled quantile)`. At least 1; `None` with fewer than two slices or when all
/// requests fall on one side, since then there is nothing to estimate it from.
///
/// ```
/// use soundcheck::analysis::quantile::design_effect;
///
/// // Every slice has the same share: requests are as good as independent.
/// assert_eq!(design_effect(&[(100, 95), (100, 95), (100, 95)]), Some(1.0));
/// // All slow requests sit in one slice: the slices, not the requests, are what was sampled.
/// assert!(design_effect(&[(100, 100), (100, 100), (100, 70)]).is_some_and(|effect| effect > 20.0));
/// ```
pub fn design_effect(slices: &[(u64, u64)]) -> Option<f64> {
    let filled = slices.iter().filter(|(n, _)| *n > 0);
    let (mut count, mut total, mut below) = (0_u64, 0_u64, 0_u64);
    for (n, k) in filled.clone() {
        (count, total, below) = (count + 1, total + n, below + k);
    }
    if count < 2 || below == 0 || below >= total {
        return None;
    }
    let share = below as f64 / total as f64;
    let squares: f64 = filled.map(|(n, k)| (*k as f64 - share * *n as f64).powi(2)).sum();
    let between = squares * count as f64 / (count - 1) as f64 / (total as f64).powi(2);
    let independent = share * (1.0 - share) / total as f64;
    Some((between / independent).max(1.0))
}

/// `⌈q·n⌉`, at least 1; `None` for no samples or a quantile outside 0 to 1.
fn rank_of(q: Ratio, samples: u64) -> Option<u64> {
    if samples == 0 || !(0.0..=1.0).contains(&q.0) {
        return None;
    }
    let exact = q.0 * samples as f64;
    // 0.95 · 20 is a hair above 19 in binary; the rank is 19 all the same.
    Some(((exact - exact * 1e-12).ceil() as u64).clamp(1, samples))
}

/// Ranks `(l, u)` with `P(l ≤ B ≤ u − 1) ≥ confidence` for `B` binomial in `n` and `q`, with at most half of the error on
/// each side. `None` on a side where even the extreme sample is too likely to be on the wrong side of the quantile.
fn interval_ranks(n: u64, q: Ratio, confidence: Ratio) -> (Option<u64>, Option<u64>) {
    let q = q.0;
    if n == 0 || q <= 0.0 || q >= 1.0 || !(0.0..1.0).contains(&confidence.0) {
        return (None, None);
    }
    let tail = (1.0 - confidence.0) / 2.0;
    // Weights relative to the mode need no factorials, and beyond NEGLIGIBLE nothing adds up to anything.
    const NEGLIGIBLE: f64 = 1e-18;
    let mode = (((n + 1) as f64 * q) as u64).min(n);
    let odds = q / (1.0 - q);
    let mut below = Vec::new();
    let (mut k, mut weight) = (mode, 1.0);
    while k > 0 && weight > NEGLIGIBLE {
        weight *= k as f64 / (n - k + 1) as f64 / odds;
        k -= 1;
        below.push(weight);
    }
    let mut above = Vec::new();
    (k, weight) = (mode, 1.0);
    while k < n && weight > NEGLIGIBLE {
        weight *= (n - k) as f64 / (k + 1) as f64 * odds;
        k += 1;
        above.push(weight);
    }
    let total = 1.0 + below.iter().sum::<f64>() + above.iter().sum::<f64>();

    // l: the largest with P(B ≤ l − 1) ≤ tail.
    let mut left = 0.0;
    let mut lower = mode.saturating_sub(below.len() as u64);
    for weight in below.iter().rev().chain([&1.0]).chain(&above) {
        left += weight / total;
        if left > tail {
            break;
        }
        lower += 1;
    }
    // u: the smallest with P(B ≥ u) ≤ tail.
    let mut right = 0.0;
    let mut upper = mode + above.len() as u64 + 1;
    for weight in above.iter().rev().chain([&1.0]).chain(&below) {
        right += weight / total;
        if right > tail {
            break;
        }
        upper -= 1;
    }
    ((lower >= 1).then_some(lower), (upper <= n).then_some(upper))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::Rng;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for value in values {
            histogram.record(*value).unwrap();
        }
        histogram
    }

    proptest! {
        #[test]
        fn quantiles_agree_with_a_sorted_vector(
            mut values in prop::collection::vec(1_u64..10_000_000_000, 1..400),
            censored in 0_u64..50,
            q in 0.0_f64..=1.0,
        ) {
            let histogram = histogram(&values);
            values.sort_unstable();
            let n = values.len() as u64 + censored;
            let rank = ((q * n as f64 * (1.0 - 1e-12)).ceil() as usize).clamp(1, n as usize);
            match (quantile(&histogram, censored, Ratio(q)).unwrap(), values.get(rank - 1)) {
                (Value::Finite(got), Some(want)) => prop_assert!(histogram.equivalent(got, *want), "{got} {want}"),
                (Value::Infinite, None) => {}
                (got, want) => prop_assert!(false, "{got:?} {want:?}"),
            }
        }

        #[test]
        fn the_order_of_merging_does_not_matter(parts in prop::collection::vec(
            prop::collection::vec(1_u64..1_000_000_000, 0..60), 1..8)) {
            let all = histogram(&parts.concat());
            let mut backwards = Histogram::<u64>::new(3).unwrap();
            for part in parts.iter().rev() {
                backwards.add(histogram(part)).unwrap();
            }
            prop_assert_eq!(backwards.len(), all.len());
            for q in [0.0, 0.5, 0.95, 0.99, 1.0] {
                prop_assert_eq!(quantile(&all, 3, Ratio(q)), quantile(&backwards, 3, Ratio(q)));
            }
        }

        #[test]
        fn the_interval_holds_the_estimate(values in prop::collection::vec(1_u64..1_000_000, 1..300),
            q in 0.01_f64..0.99, design_effect in 1.0_f64..20.0) {
            let got = estimate(&histogram(&values), 0, Ratio(q), Ratio(0.95), design_effect).unwrap();
            prop_assert!(got.lower.is_none_or(|lower| lower <= got.value), "{:?}", got);
            prop_assert!(got.upper.is_none_or(|upper| upper >= got.value), "{:?}", got);
        }
    }

    #[test]
    fn no_sample_has_no_quantile() {
        assert_eq!(quantile(&histogram(&[]), 0, Ratio(0.5)), None);
        assert_eq!(quantile(&histogram(&[]), 1, Ratio(0.5)), Some(Value::Infinite));
        assert_eq!(quantile(&histogram(&[1]), 0, Ratio(1.5)), None);
    }

    #[test]
    fn ranks_agree_with_tables() {
        // Conover's table for the median: n = 20 → 6th and 15th; for n = 5 no 95 % interval exists.
        assert_eq!(interval_ranks(20, Ratio(0.5), Ratio(0.95)), (Some(6), Some(15)));
        assert_eq!(interval_ranks(5, Ratio(0.5), Ratio(0.95)), (None, None));
        // 299 samples are needed before the largest bounds p99 from above at one-sided 95 %.
        assert_eq!(interval_ranks(298, Ratio(0.99), Ratio(0.90)).1, None);
        assert_eq!(interval_ranks(299, Ratio(0.99), Ratio(0.90)).1, Some(299));
    }

    #[test]
    fn the_interval_covers_the_true_quantile() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut covered, runs) = (0, 1_000);
        for _ in 0..runs {
            let values: Vec<u64> = (0..200).map(|_| rng.random_range(1..=1_000)).collect();
            let got = estimate(&histogram(&values), 0, Ratio(0.9), Ratio(0.95), 1.0).unwrap();
            let (lower, upper) = (got.lower.unwrap(), got.upper.unwrap());
            covered += u32::from(lower <= Value::Finite(900) && Value::Finite(900) <= upper);
        }
        assert!(covered >= 935, "{covered} of {runs}");
    }

    #[test]
    fn dependence_between_slices_widens_the_interval() {
        let values: Vec<u64> = (1..=2_000).collect();
        let histogram = histogram(&values);
        let alone = estimate(&histogram, 0, Ratio(0.9), Ratio(0.95), 1.0).unwrap();
        let shared = estimate(&histogram, 0, Ratio(0.9), Ratio(0.95), 10.0).unwrap();
        assert!(
            shared.lower < alone.lower && shared.upper > alone.upper,
            "{alone:?} {shared:?}"
        );
    }
}
