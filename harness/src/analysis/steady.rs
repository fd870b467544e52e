//! Where the warm-up ends and whether what follows is steady. A run that never settles has no mean worth printing.

use serde::{Deserialize, Serialize};

use super::changepoint::change_point;
use super::hodges_lehmann::{hodges_lehmann, median};
use super::signed_rank::signed_rank;
use super::trend::{Trend, mann_kendall};

/// How many values one batch of MSER-5 averages.
const BATCH: usize = 5;
/// How many batch means are tested for a drift.
const TESTED: usize = 20;

/// Whether a series settled.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Steadiness {
    /// From `warm_up` values on the series is steady.
    Steady { warm_up: usize },
    /// It drifts by the share `drift` of its median after the best cut.
    Drifting { warm_up: usize, drift: f64, trend: Trend },
    /// The second halves of its slices differ from the first by the share `drift`.
    Settling { drift: f64, p_value: f64 },
    /// Too few values to judge.
    TooShort,
}

/// The number of values to cut off at the start, by MSER-5 (White, Cobb and Spratt 2000): of all cuts at a multiple of
/// five within the first half, the one after which the mean has the smallest standard error. It always finds a cut;
/// whether what follows is steady is for [`steadiness`] to say. `None` with fewer than twenty values.
///
/// ```
/// use soundcheck::analysis::steady::mser5;
///
/// let mut latency_ms = vec![90.0, 70.0, 50.0, 30.0, 20.0, 15.0, 12.0, 11.0, 10.5, 10.2];
/// latency_ms.extend((0..50).map(|i| 10.0 + 0.1 * f64::from(i % 3)));
/// assert_eq!(mser5(&latency_ms), Some(10));
/// ```
pub fn mser5(values: &[f64]) -> Option<usize> {
    const FEWEST_BATCHES: usize = 4;
    let batches: Vec<f64> = values
        .chunks_exact(BATCH)
        .map(|b| b.iter().sum::<f64>() / BATCH as f64)
        .collect();
    if batches.len() < FEWEST_BATCHES || batches.iter().any(|b| !b.is_finite()) {
        return None;
    }
    let statistic = |cut: usize| {
        let kept = &batches[cut..];
        let n = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / n;
        kept.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n * n)
    };
    // Later cuts leave so few batches that some are alike by accident, and the rule would throw away steady runs.
    let best = (0..=batches.len() / 2).min_by(|a, b| statistic(*a).total_cmp(&statistic(*b)))?;
    Some(best * BATCH)
}

/// Cuts the warm-up by [`mser5`], then looks for a drift in what is left: a significant trend or step over twenty batch
/// means that, between the medians of the first and the last quarter, moves the series by more than `tolerance` (a share
/// of its median; 0.1 is 10 %). Batch means rather than values, since neighbours depend on each other and would raise
/// alarms. Values are one a second, or any other equal step; forty are the fewest that can surely be judged.
pub fn steadiness(values: &[f64], tolerance: f64) -> Steadiness {
    let Some(warm_up) = mser5(values) else {
        return Steadiness::TooShort;
    };
    let kept = &values[warm_up..];
    if kept.len() < TESTED {
        return Steadiness::TooShort;
    }
    // What does not fill a batch is left out at the start, where it is nearest to the warm-up.
    let size = kept.len() / TESTED;
    let kept = &kept[kept.len() - size * TESTED..];
    let means: Vec<f64> = kept
        .chunks_exact(size)
        .map(|b| b.iter().sum::<f64>() / size as f64)
        .collect();
    let quarter = TESTED / 4;
    let (Some(trend), Some(centre), Some(first), Some(last)) = (
        mann_kendall(&means),
        median(&mut means.clone()),
        median(&mut means[..quarter].to_vec()),
        median(&mut means[TESTED - quarter..].to_vec()),
    ) else {
        return Steadiness::TooShort;
    };
    // A series around zero has no share of its median; any significant drift counts then.
    let drift = if centre == 0.0 {
        f64::INFINITY
    } else {
        (last - first) / centre.abs()
    };
    let stepped = change_point(&means).is_some_and(|change| change.p_value <= SIGNIFICANCE);
    if (trend.p_value <= SIGNIFICANCE || stepped) && drift.abs() > tolerance {
        Steadiness::Drifting { warm_up, drift, trend }
    } else {
        Steadiness::Steady { warm_up }
    }
}

/// Milder than for an effect: here the error to fear is to call a drifting run steady.
const SIGNIFICANCE: f64 = 0.05;
/// Fewest slices whose halves are compared; with fewer the exact test cannot say much.
const FEWEST_SLICES: usize = 12;

/// Whether slices of an experiment are steady once their settling time is cut off: `halves` holds the natural logarithm
/// of second over first half of each slice, of the same quantile. They are not when the exact signed-rank test tells the
/// halves apart and the typical slice moves by more than `tolerance` (0.1 is 10 %). A slice is too short for a warm-up of
/// its own to be found in it, but there are many of them, each begun in the same way.
pub fn steady_slices(halves: &[f64], tolerance: f64) -> Steadiness {
    let (Some(test), Some(centre)) = (signed_rank(halves), hodges_lehmann(halves)) else {
        return Steadiness::TooShort;
    };
    if halves.len() < FEWEST_SLICES {
        return Steadiness::TooShort;
    }
    let drift = centre.exp() - 1.0;
    if test.p_two_sided <= SIGNIFICANCE && drift.abs() > tolerance {
        Steadiness::Settling {
            drift,
            p_value: test.p_two_sided,
        }
    } else {
        Steadiness::Steady { warm_up: 0 }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    fn series(n: usize, seed: u64, level: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let noise = Normal::new(0.0, 0.5).unwrap();
        (0..n).map(|i| level(i as f64) + noise.sample(&mut rng)).collect()
    }

    #[test]
    fn a_decaying_start_is_cut() {
        let cuts: Vec<usize> = (0..20)
            .map(|seed| mser5(&series(120, seed, |t| 10.0 + 40.0 * (-t / 6.0).exp())).unwrap())
            .collect();
        assert!(cuts.iter().all(|cut| *cut >= 15), "{cuts:?}");
        assert!(cuts.iter().sum::<usize>() / cuts.len() <= 40, "{cuts:?}");
    }

    #[test]
    fn a_flat_series_keeps_nearly_all() {
        let cuts: usize = (0..20)
            .map(|seed| mser5(&series(120, seed, |_| 10.0)).unwrap_or(120))
            .sum();
        assert!(cuts / 20 <= 20, "{cuts}");
    }

    #[test]
    fn settled_series_are_steady() {
        let steady = (0..50).filter(|seed| {
            let values = series(60, *seed, |t| 10.0 + 20.0 * (-t / 4.0).exp());
            matches!(steadiness(&values, 0.1), Steadiness::Steady { .. })
        });
        assert!(steady.count() >= 47);
    }

    #[test]
    fn a_leak_is_no_steady_state() {
        for seed in 0..20 {
            let values = series(60, seed, |t| 10.0 + 0.15 * t);
            let got = steadiness(&values, 0.1);
            assert!(matches!(got, Steadiness::Drifting { .. }), "{got:?}");
        }
    }

    #[test]
    fn a_late_step_is_no_steady_state() {
        for seed in 0..20 {
            let values = series(60, seed, |t| if t < 42.0 { 10.0 } else { 15.0 });
            let got = steadiness(&values, 0.1);
            assert!(matches!(got, Steadiness::Drifting { .. }), "{seed}: {got:?}");
        }
    }

    #[test]
    fn short_or_broken_series_are_not_judged() {
        assert_eq!(steadiness(&[1.0; 19], 0.1), Steadiness::TooShort);
        assert_eq!(mser5(&[1.0; 19]), None);
        let mut values = vec![1.0; 40];
        values[7] = f64::INFINITY;
        assert_eq!(mser5(&values), None);
    }

    #[test]
    fn a_step_in_the_middle_of_nothing_else_is_found() {
        // The second half is the settled one: everything before the step is warm-up.
        let cut = mser5(&series(60, 3, |t| if t < 20.0 { 50.0 } else { 10.0 })).unwrap();
        assert!((20..=30).contains(&cut), "{cut}");
    }

    #[test]
    fn slices_that_still_warm_up_are_told_from_slices_that_scatter() {
        let scatter = |i: usize| 0.05 * ((i * 7 % 12) as f64 - 5.5) / 5.5;
        let halves = |drift: f64, n: usize| (0..n).map(|i| drift + scatter(i)).collect::<Vec<_>>();
        assert_eq!(steady_slices(&halves(0.0, 12), 0.1), Steadiness::Steady { warm_up: 0 });
        // Clear, but too small to matter.
        assert_eq!(steady_slices(&halves(0.07, 12), 0.1), Steadiness::Steady { warm_up: 0 });
        let Steadiness::Settling { drift, p_value } = steady_slices(&halves(-0.5, 12), 0.1) else {
            panic!("a slice whose second half takes three fifths of the first is not steady");
        };
        assert!((drift + 0.39).abs() < 0.03 && p_value < 0.001, "{drift} {p_value}");
        assert_eq!(steady_slices(&halves(-0.5, 11), 0.1), Steadiness::TooShort);
        assert_eq!(steady_slices(&[], 0.1), Steadiness::TooShort);
        assert_eq!(steady_slices(&[f64::NAN; 12], 0.1), Steadiness::TooShort);
    }
}
