//! The Hodges–Lehmann estimate: the centre that belongs to the signed-rank test, shown beside its decision.

/// The median of all pairwise means, each value with itself included (Hodges and Lehmann 1963). In the unit of the
/// values. `None` without values, with one that is not a number, or when `+∞` and `−∞` leave the middle undefined.
///
/// ```
/// use soundcheck::analysis::hodges_lehmann::hodges_lehmann;
///
/// // One stalled block moves the mean by 2, and this by a fraction.
/// assert_eq!(hodges_lehmann(&[1.0, 2.0, 3.0]), Some(2.0));
/// assert_eq!(hodges_lehmann(&[1.0, 2.0, 3.0, 4.0, 10.0]), Some(3.0));
/// ```
pub fn hodges_lehmann(values: &[f64]) -> Option<f64> {
    let mut means = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
    for (i, a) in values.iter().enumerate() {
        means.extend(values[i..].iter().map(|b| a / 2.0 + b / 2.0));
    }
    median(&mut means)
}

/// The median: the middle value, or the mean of the two in the middle. `None` without values, with one that is not a
/// number, or between `−∞` and `+∞`. The order of `values` is lost.
///
/// ```
/// use soundcheck::analysis::hodges_lehmann::median;
///
/// assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
/// assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
/// assert_eq!(median(&mut []), None);
/// ```
pub fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|v| v.is_nan()) {
        return None;
    }
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return Some(*upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    let mean = if lower == *upper {
        lower
    } else {
        lower / 2.0 + *upper / 2.0
    };
    (!mean.is_nan()).then_some(mean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agrees_with_a_worked_example() {
        // Pairwise means of 1, 5, 6: 1, 3, 3.5, 5, 5.5, 6; their median is 4.25.
        assert_eq!(hodges_lehmann(&[6.0, 1.0, 5.0]), Some(4.25));
    }

    #[test]
    fn infinities_are_kept_while_the_middle_is_defined() {
        assert_eq!(hodges_lehmann(&[1.0, 1.0, 1.0, 1.0, f64::INFINITY]), Some(1.0));
        assert_eq!(
            hodges_lehmann(&[1.0, f64::INFINITY, f64::INFINITY]),
            Some(f64::INFINITY)
        );
        assert_eq!(hodges_lehmann(&[f64::NEG_INFINITY, f64::INFINITY]), None);
        assert_eq!(hodges_lehmann(&[]), None);
    }

    proptest! {
        #[test]
        fn moves_with_the_values(values in prop::collection::vec(-1e3_f64..1e3, 1..40), shift in -1e3_f64..1e3) {
            let moved: Vec<f64> = values.iter().map(|v| v + shift).collect();
            let (a, b) = (hodges_lehmann(&values).unwrap(), hodges_lehmann(&moved).unwrap());
            prop_assert!((b - a - shift).abs() < 1e-9);
        }
    }
}
