//! The interval that is shown beside an effect: bootstrap-t over blocks. It shows and never decides: at a nominal 1 % it
//! errs in 2 to 8 % of small samples, where the exact test keeps its word.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::hodges_lehmann::hodges_lehmann;
use crate::units::Ratio;

/// How many resamples an interval takes. More would change the third digit of its ends.
pub const RESAMPLES: usize = 2_000;

/// A confidence interval, in the unit of what it is an interval of.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    /// Nominal coverage, 0 to 1.
    pub confidence: Ratio,
}

impl Interval {
    /// Whether `value` lies within, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The same interval on another scale; `scale` must rise.
    pub fn map(self, scale: impl Fn(f64) -> f64) -> Self {
        Self {
            low: scale(self.low),
            high: scale(self.high),
            ..self
        }
    }
}

/// The bootstrap-t interval of the Hodges–Lehmann centre of one value a block (Efron and Tibshirani, *An Introduction to
/// the Bootstrap*, 12.5), studentised by the standard error of the mean. Deterministic in `seed`. Blocks, not requests,
/// are what was sampled at random, so a block is drawn whole.
///
/// `None` with fewer than five blocks, with a block that is not finite, or when the blocks do not vary at all: then no
/// interval can be had from them.
///
/// ```
/// use soundcheck::analysis::bootstrap::interval;
/// use soundcheck::units::Ratio;
///
/// let blocks = [0.31, 0.28, 0.35, 0.30, 0.27, 0.33, 0.29, 0.36, 0.30, 0.32, 0.26, 0.34];
/// let shown = interval(&blocks, Ratio(0.95), 42).ok_or("too few blocks")?;
/// assert!(shown.low > 0.28 && shown.high < 0.34);
/// # Ok::<(), &str>(())
/// ```
pub fn interval(blocks: &[f64], confidence: Ratio, seed: u64) -> Option<Interval> {
    resampled(blocks, confidence, seed, RESAMPLES)
}

fn resampled(blocks: &[f64], confidence: Ratio, seed: u64, resamples: usize) -> Option<Interval> {
    const FEWEST_BLOCKS: usize = 5;
    if blocks.len() < FEWEST_BLOCKS || blocks.iter().any(|b| !b.is_finite()) {
        return None;
    }
    let centre = hodges_lehmann(blocks)?;
    let error = standard_error(blocks)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = vec![0.0; blocks.len()];
    let mut pivots = Vec::with_capacity(resamples);
    // A resample of one block repeated has no spread to studentise by; draw again, and not for ever.
    for _ in 0..resamples * 10 {
        for value in &mut drawn {
            *value = blocks[rng.random_range(0..blocks.len())];
        }
        if let (Some(error), Some(again)) = (standard_error(&drawn), hodges_lehmann(&drawn)) {
            pivots.push((again - centre) / error);
            if pivots.len() == resamples {
                break;
            }
        }
    }
    if pivots.len() < resamples {
        return None;
    }
    pivots.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence.0) / 2.0;
    let at = |share: f64| pivots[((share * resamples as f64) as usize).min(resamples - 1)];
    Some(Interval {
        low: centre - at(1.0 - tail) * error,
        high: centre - at(tail) * error,
        confidence,
    })
}

/// Standard error of the mean; `None` when the values are all but equal.
fn standard_error(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let error = (squares / (n - 1.0) / n).sqrt();
    (error > mean.abs() * 1e-12 && error > 0.0).then_some(error)
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, Normal};

    use super::*;

    #[test]
    fn the_seed_decides_everything() {
        let blocks = [1.0, 2.0, 4.0, 3.0, 2.5, 1.5];
        assert_eq!(interval(&blocks, Ratio(0.95), 3), interval(&blocks, Ratio(0.95), 3));
        assert_ne!(interval(&blocks, Ratio(0.95), 3), interval(&blocks, Ratio(0.95), 4));
    }

    #[test]
    fn what_cannot_be_known_is_not_shown() {
        assert_eq!(interval(&[1.0, 2.0, 3.0, 4.0], Ratio(0.95), 0), None);
        assert_eq!(interval(&[1.0; 12], Ratio(0.95), 0), None);
        assert_eq!(interval(&[1.0, 2.0, 3.0, 4.0, f64::INFINITY], Ratio(0.95), 0), None);
    }

    /// How often the interval holds the truth, over seeded experiments of `n` blocks. Few resamples keep it quick in a
    /// debug build and cost a little coverage.
    fn coverage(n: usize, draw: impl Fn(&mut ChaCha8Rng) -> f64, truth: f64) -> f64 {
        const EXPERIMENTS: u32 = 400;
        let mut rng = ChaCha8Rng::seed_from_u64(99);
        let mut covered = 0;
        for seed in 0..EXPERIMENTS {
            let blocks: Vec<f64> = (0..n).map(|_| draw(&mut rng)).collect();
            let shown = resampled(&blocks, Ratio(0.95), u64::from(seed), 400).unwrap();
            covered += u32::from(shown.contains(truth));
        }
        f64::from(covered) / f64::from(EXPERIMENTS)
    }

    #[test]
    fn covers_the_truth_on_quiet_blocks() {
        let noise = Normal::new(0.1, 0.03).unwrap();
        let got = coverage(12, |rng| noise.sample(rng), 0.1);
        assert!((0.92..=0.98).contains(&got), "{got}");
    }

    #[test]
    fn covers_the_truth_on_a_noisy_machine() {
        // One block in ten meets a stall, in either variant, that is five times the usual noise.
        let (quiet, stalled) = (Normal::new(0.1, 0.03).unwrap(), Normal::new(0.1, 0.15).unwrap());
        let got = coverage(
            12,
            |rng| {
                if rng.random_bool(0.1) {
                    stalled.sample(rng)
                } else {
                    quiet.sample(rng)
                }
            },
            0.1,
        );
        assert!((0.92..=0.99).contains(&got), "{got}");
    }
}
