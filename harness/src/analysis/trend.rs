//! Whether a series drifts in one direction over its rounds: a drift that is averaged away makes a false mean.

use serde::{Deserialize, Serialize};

use super::hodges_lehmann::median;

/// A test for a monotone trend, with its size.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Trend {
    /// Kendall's τ between order and value, −1 to 1.
    pub tau: f64,
    /// Two-sided p value for "no trend".
    pub p_value: f64,
    /// Theil–Sen slope in the unit of the values, a step; `None` when it is undefined.
    pub slope_per_step: Option<f64>,
    pub points: usize,
}

impl Trend {
    /// Whether chance alone would show such a trend in at most 1 % of series.
    pub fn is_significant(&self) -> bool {
        self.p_value <= 0.01
    }
}

/// The Mann–Kendall test (Mann 1945, Kendall 1975) on values in the order in which they were measured, and the
/// Theil–Sen slope. Exact for up to 150 values without ties; otherwise the normal approximation with its corrections for
/// ties and continuity. `None` with fewer than three values or one that is not a number.
///
/// ```
/// use soundcheck::analysis::trend::mann_kendall;
///
/// let rising = mann_kendall(&[1.0, 1.2, 1.3, 1.7, 1.8, 2.5, 2.6]).ok_or("too short")?;
/// assert_eq!(rising.tau, 1.0);
/// assert!(rising.is_significant());
/// # Ok::<(), &str>(())
/// ```
pub fn mann_kendall(values: &[f64]) -> Option<Trend> {
    const LONGEST_EXACT: usize = 150;
    let n = values.len();
    if n < 3 || values.iter().any(|v| v.is_nan()) {
        return None;
    }
    let (mut rises, mut falls) = (0_usize, 0_usize);
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    for (i, a) in values.iter().enumerate() {
        for (steps, b) in values[i + 1..].iter().enumerate() {
            rises += usize::from(b > a);
            falls += usize::from(b < a);
            if a.is_finite() && b.is_finite() {
                slopes.push((b - a) / (steps + 1) as f64);
            }
        }
    }
    let pairs = n * (n - 1) / 2;
    let score = rises as f64 - falls as f64;
    let p_value = if rises + falls == pairs && n <= LONGEST_EXACT {
        exact_p(n, rises.min(falls))
    } else {
        approximate_p(values, score)
    };
    Some(Trend {
        tau: score / pairs as f64,
        p_value,
        slope_per_step: median(&mut slopes),
        points: n,
    })
}

/// P(at most `inversions`, or as many the other way) for a random order of `n` different values. The distribution of
/// inversions is built up one value at a time: the i-th adds 0 to i − 1 with equal chance.
fn exact_p(n: usize, inversions: usize) -> f64 {
    let mut probability = vec![1.0];
    for i in 2..=n {
        let length = probability.len() + i - 1;
        let mut next = Vec::with_capacity(length);
        let mut window = 0.0;
        for k in 0..length {
            window += probability.get(k).copied().unwrap_or(0.0);
            if k >= i {
                window -= probability[k - i];
            }
            next.push(f64::max(window, 0.0) / i as f64);
        }
        probability = next;
    }
    (2.0 * probability[..=inversions].iter().sum::<f64>()).min(1.0)
}

/// Two-sided p value of the score by the normal approximation.
fn approximate_p(values: &[f64], score: f64) -> f64 {
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted
        .chunk_by(|a, b| a == b)
        .map(|tied| spread(tied.len() as f64))
        .sum();
    let variance = (spread(values.len() as f64) - ties) / 18.0;
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (score.abs() - 1.0).max(0.0) / variance.sqrt();
    normal_two_sided(z)
}

/// P(|Z| ≥ z) for a standard normal Z and z ≥ 0, to about 1e-7 (Abramowitz and Stegun 26.2.17).
pub(super) fn normal_two_sided(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let series = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let tail = series.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    (2.0 * density * tail).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use rand::seq::SliceRandom;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn agrees_with_tables() {
        // Kendall's table: n = 4, S = 6 → 0.042 one-sided; n = 10, S = 21 → 0.036 one-sided.
        assert!((exact_p(4, 0) - 2.0 / 24.0).abs() < 1e-12);
        assert!((exact_p(10, 12) - 2.0 * 0.0363).abs() < 2e-4, "{}", exact_p(10, 12));
        assert!((normal_two_sided(1.959_964) - 0.05).abs() < 1e-6);
        assert!((normal_two_sided(0.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_approximation_agrees_with_the_exact_distribution() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut values: Vec<f64> = (0..60).map(f64::from).collect();
        for _ in 0..20 {
            values.shuffle(&mut rng);
            let exact = mann_kendall(&values).unwrap();
            let approximate = approximate_p(&values, exact.tau * 60.0 * 59.0 / 2.0);
            assert!((exact.p_value - approximate).abs() < 0.01, "{exact:?} {approximate}");
        }
    }

    #[test]
    fn noise_has_a_trend_as_often_as_stated() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let alarms = (0..2_000)
            .filter(|_| {
                let values: Vec<f64> = (0..12).map(|_| rng.random_range(0.0..1.0)).collect();
                mann_kendall(&values).unwrap().is_significant()
            })
            .count();
        assert!(alarms <= 30, "{alarms} of 2,000");
    }

    #[test]
    fn ties_and_constants_are_no_trend() {
        assert_eq!(mann_kendall(&[2.0; 12]).unwrap().p_value, 1.0);
        assert_eq!(mann_kendall(&[1.0, 2.0]), None);
        assert_eq!(mann_kendall(&[1.0, f64::NAN, 2.0, 3.0]), None);
        let stairs = mann_kendall(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 4.0, 4.0]).unwrap();
        assert!(stairs.is_significant(), "{stairs:?}");
    }
}
