//! The exact Wilcoxon signed-rank test: the decision of every comparison. It assumes that the differences are symmetric
//! about their centre, and nothing about their shape, so that a stall in one block cannot decide.

use serde::{Deserialize, Serialize};

/// What the test says about the centre of the differences.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct SignedRank {
    /// Differences that are not zero.
    pub used: usize,
    /// Differences of zero, left out as Wilcoxon did.
    pub zeros: usize,
    /// Sum of the ranks of the positive differences; ties share their mean rank.
    pub positive_ranks: f64,
    /// P(at least this sum) when the centre is zero: small means that the centre is above zero.
    pub p_greater: f64,
    /// P(at most this sum) when the centre is zero: small means that the centre is below zero.
    pub p_less: f64,
    /// Twice the smaller of the two, at most 1.
    pub p_two_sided: f64,
}

/// Tests paired differences against zero. To test against a margin, subtract it first. Infinite differences take the
/// highest ranks. `None` without any difference or with one that is not a number.
///
/// The null distribution is computed exactly by dynamic programming over the ranks that were observed (Hollander, Wolfe
/// and Chicken, *Nonparametric Statistical Methods*, 3.1, conditional on ties), in time proportional to the cube of the
/// number of differences: instant for hundreds.
///
/// ```
/// use soundcheck::analysis::signed_rank::signed_rank;
///
/// let all_positive = signed_rank(&[0.1, 0.2, 0.3, 0.4, 0.5]).ok_or("no differences")?;
/// assert_eq!(all_positive.p_greater, 1.0 / 32.0);
/// assert_eq!(all_positive.p_two_sided, 1.0 / 16.0);
/// # Ok::<(), &str>(())
/// ```
pub fn signed_rank(differences: &[f64]) -> Option<SignedRank> {
    if differences.is_empty() || differences.iter().any(|d| d.is_nan()) {
        return None;
    }
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));

    // Twice the mean rank is an integer, so that ties keep the sums exact.
    let doubled = doubled_ranks(&sorted);
    let observed: usize = sorted
        .iter()
        .zip(&doubled)
        .filter(|(d, _)| **d > 0.0)
        .map(|(_, rank)| rank)
        .sum();
    let null = sum_distribution(&doubled);
    let p_greater = null[observed..].iter().sum::<f64>().min(1.0);
    let p_less = null[..=observed].iter().sum::<f64>().min(1.0);
    Some(SignedRank {
        used: sorted.len(),
        zeros: differences.len() - sorted.len(),
        positive_ranks: observed as f64 / 2.0,
        p_greater,
        p_less,
        p_two_sided: (2.0 * p_greater.min(p_less)).min(1.0),
    })
}

/// Twice the rank of each value by size; equal sizes share the mean of their ranks.
fn doubled_ranks(sorted_by_size: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(sorted_by_size.len());
    for tied in sorted_by_size.chunk_by(|a, b| a.abs() == b.abs()) {
        let first = ranks.len() + 1;
        let last = ranks.len() + tied.len();
        ranks.extend(std::iter::repeat_n(first + last, tied.len()));
    }
    ranks
}

/// Probability of each sum when every rank is counted or not by the toss of a fair coin.
fn sum_distribution(ranks: &[usize]) -> Vec<f64> {
    let mut probability = vec![0.0; ranks.iter().sum::<usize>() + 1];
    probability[0] = 1.0;
    let mut reached = 0;
    for rank in ranks {
        reached += rank;
        for sum in (0..=reached).rev() {
            let without = probability[sum];
            let with = if sum >= *rank { probability[sum - rank] } else { 0.0 };
            probability[sum] = (without + with) / 2.0;
        }
    }
    probability
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Every assignment of signs, counted one by one.
    fn brute_force(differences: &[f64]) -> (f64, f64) {
        let mut sizes: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
        sizes.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let ranks: Vec<f64> = sizes
            .iter()
            .map(|d| {
                let below = sizes.iter().filter(|o| o.abs() < d.abs()).count();
                let equal = sizes.iter().filter(|o| o.abs() == d.abs()).count();
                below as f64 + (equal as f64 + 1.0) / 2.0
            })
            .collect();
        let observed: f64 = sizes
            .iter()
            .zip(&ranks)
            .filter(|(d, _)| **d > 0.0)
            .map(|(_, r)| r)
            .sum();
        let (mut greater, mut less) = (0_u32, 0_u32);
        for signs in 0_u32..1 << sizes.len() {
            let sum: f64 = ranks
                .iter()
                .enumerate()
                .filter(|(i, _)| signs >> i & 1 == 1)
                .map(|(_, r)| r)
                .sum();
            greater += u32::from(sum >= observed);
            less += u32::from(sum <= observed);
        }
        let all = f64::from(1_u32 << sizes.len());
        (f64::from(greater) / all, f64::from(less) / all)
    }

    #[test]
    fn agrees_with_brute_force_up_to_twelve() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for n in 1..=12 {
            for coarse in [false, true] {
                // Coarse values bring ties and zeros.
                let differences: Vec<f64> = (0..n)
                    .map(|_| {
                        if coarse {
                            f64::from(rng.random_range(-3..=4))
                        } else {
                            rng.random_range(-1.0..1.3)
                        }
                    })
                    .collect();
                let got = signed_rank(&differences).unwrap();
                let (greater, less) = brute_force(&differences);
                assert!(
                    (got.p_greater - greater).abs() < 1e-12,
                    "{differences:?}: {got:?} {greater}"
                );
                assert!((got.p_less - less).abs() < 1e-12, "{differences:?}: {got:?} {less}");
            }
        }
    }

    #[test]
    fn agrees_with_a_published_table() {
        // n = 12: P(W ≤ 13) is the largest left tail under 2.5 % (Hollander and Wolfe, table A.4): 0.0212.
        let mut differences: Vec<f64> = (1..=12).map(|i| -f64::from(i)).collect();
        differences[0] = 1.0;
        differences[11] = 12.0;
        let got = signed_rank(&differences).unwrap();
        assert_eq!(got.positive_ranks, 13.0);
        assert!((got.p_less - 0.0212).abs() < 5e-5, "{got:?}");
    }

    #[test]
    fn nothing_to_rank_is_no_evidence() {
        assert_eq!(signed_rank(&[]), None);
        assert_eq!(signed_rank(&[1.0, f64::NAN]), None);
        let zeros = signed_rank(&[0.0, -0.0]).unwrap();
        assert_eq!((zeros.used, zeros.zeros, zeros.p_two_sided), (0, 2, 1.0));
    }

    #[test]
    fn infinite_differences_are_the_largest() {
        let got = signed_rank(&[f64::INFINITY, f64::INFINITY, 1.0, -2.0]).unwrap();
        assert_eq!(got.positive_ranks, 3.5 + 3.5 + 1.0);
    }

    #[test]
    fn tails_stay_exact_for_every_pair_of_the_longest_gate() {
        let got = signed_rank(&vec![0.5; 160]).unwrap();
        assert!((got.p_greater.log2() + 160.0).abs() < 1e-6, "{got:?}");
        assert!((got.p_less - 1.0).abs() < 1e-9);
    }
}
