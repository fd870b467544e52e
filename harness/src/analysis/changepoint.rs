//! Where a series changes its level: for causes ranked by when they moved and by how much.

use serde::{Deserialize, Serialize};

use super::hodges_lehmann::median;

/// The most likely place of a single change.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct ChangePoint {
    /// Index of the first value after the change.
    pub index: usize,
    /// Two-sided p value for "no change" (Pettitt's approximation, too large rather than too small).
    pub p_value: f64,
    /// Median before, in the unit of the values.
    pub before: f64,
    /// Median from `index` on, in the unit of the values.
    pub after: f64,
    /// Cliff's δ, −1 to 1: how much more often a value after the change is larger than one before than it is smaller.
    pub effect: f64,
}

/// Pettitt's test (1979) for one change at an unknown place: ranks only, so that one spike is no change. In time
/// proportional to the square of the length. `None` with fewer than four values, with one that is not a number, or when
/// all are equal.
///
/// ```
/// use soundcheck::analysis::changepoint::change_point;
///
/// let waiting = [1.0, 2.0, 1.5, 1.0, 2.0, 1.8, 9.0, 8.0, 9.5, 10.0, 8.5, 9.2];
/// let change = change_point(&waiting).ok_or("no change")?;
/// assert_eq!(change.index, 6);
/// assert!(change.p_value < 0.05 && change.effect == 1.0);
/// # Ok::<(), &str>(())
/// ```
pub fn change_point(values: &[f64]) -> Option<ChangePoint> {
    let n = values.len();
    if n < 4 || values.iter().any(|v| v.is_nan()) {
        return None;
    }
    // U(t) = Σ over i < t ≤ j of sgn(xⱼ − xᵢ), each step from the one before.
    let (mut u, mut best, mut index) = (0_i64, 0_i64, 0);
    for t in 1..n {
        let moved = values[t - 1];
        u += values
            .iter()
            .map(|v| i64::from(*v > moved) - i64::from(*v < moved))
            .sum::<i64>();
        if u.abs() > best.abs() {
            (best, index) = (u, t);
        }
    }
    if best == 0 {
        return None;
    }
    let (n, k) = (n as f64, best as f64);
    let (before, after) = values.split_at(index);
    Some(ChangePoint {
        index,
        p_value: (2.0 * (-6.0 * k * k / (n * n * n + n * n)).exp()).min(1.0),
        before: median(&mut before.to_vec())?,
        after: median(&mut after.to_vec())?,
        effect: k / (before.len() * after.len()) as f64,
    })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_step_in_noise_is_found_where_it_is() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for _ in 0..50 {
            let values: Vec<f64> = (0..90)
                .map(|i| rng.random_range(0.0..1.0) + if i < 40 { 0.0 } else { 1.0 })
                .collect();
            let change = change_point(&values).unwrap();
            assert!(change.index.abs_diff(40) <= 1 && change.p_value < 1e-6, "{change:?}");
            assert!(change.after - change.before > 0.7, "{change:?}");
        }
    }

    #[test]
    fn noise_changes_as_rarely_as_stated() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let alarms = (0..500)
            .filter(|_| {
                let values: Vec<f64> = (0..60).map(|_| rng.random_range(0.0..1.0)).collect();
                change_point(&values).is_some_and(|change| change.p_value <= 0.05)
            })
            .count();
        assert!(alarms <= 35, "{alarms} of 500");
    }

    #[test]
    fn spikes_and_constants_are_no_change() {
        assert_eq!(change_point(&[3.0; 20]), None);
        assert_eq!(change_point(&[1.0, 2.0, 3.0]), None);
        let mut spike = vec![1.0; 30];
        spike[12] = 1e9;
        assert!(change_point(&spike).is_none_or(|change| change.p_value > 0.5));
    }
}
