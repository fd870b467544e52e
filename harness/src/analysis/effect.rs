//! An effect: how much one variant differs from another, how sure that is, and what may be said about it.
//!
//! [`decide`] is the gate's rule and [`show`] what is printed beside it; [`effect`] joins both for a report. The interval
//! tells how the blocks of this run scatter. That two launches of one build differ by more than their blocks do is what
//! the noise floor is for: it comes from running one variant against itself, launches included.

use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, interval};
use super::hodges_lehmann::hodges_lehmann;
use super::signed_rank::signed_rank;
use super::trend::{Trend, mann_kendall};
use crate::units::Ratio;

/// Fewest blocks from which an effect is decided.
pub const FEWEST_BLOCKS: usize = 12;
/// Fewest launches of each variant.
pub const FEWEST_LAUNCHES: usize = 3;
/// A report says that there is an effect when chance alone would show as much at most this often: of all the claims that
/// stand together, by [`shared`].
pub const SIGNIFICANCE: f64 = 0.01;
/// Confidence of every interval that is shown.
pub const CONFIDENCE: Ratio = Ratio(0.95);

/// The level at which each of several claims is tested, so that chance alone makes any of them at most as often as
/// [`SIGNIFICANCE`] says (Bonferroni).
///
/// ```
/// use soundcheck::analysis::effect::shared;
///
/// assert_eq!(shared(4), 0.0025);
/// ```
pub fn shared(n_claims: usize) -> f64 {
    SIGNIFICANCE / n_claims.max(1) as f64
}

/// What a difference is measured in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Candidate over baseline; 1 is no effect. Blocks hold natural logarithms of the ratio.
    Ratio,
    /// Candidate minus baseline, in the metric's own unit; 0 is no effect.
    Difference,
}

impl Scale {
    /// From the scale of the blocks to the scale that is shown.
    fn shown(self, block: f64) -> f64 {
        match self {
            Self::Ratio => block.exp(),
            Self::Difference => block,
        }
    }
}

/// One block's difference between two variants.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Block {
    /// Which launch of the variants the block ran on.
    pub launch: u32,
    /// Natural logarithm of the ratio, or the plain difference; ±∞ when one side never answered.
    pub value: f64,
}

/// What the blocks allow to be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The candidate's value is higher, beyond chance and beyond the noise floor.
    Higher,
    /// The candidate's value is lower, beyond chance and beyond the noise floor.
    Lower,
    /// Beyond chance, yet no larger than rerunning the same build shows.
    InsideNoiseFloor,
    /// Not beyond chance. This does not say that there is no effect; the interval says how large it may be.
    NotShown,
    /// Too few blocks or launches to say anything.
    Unknown,
}

/// How large an effect the same build shows against itself.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct NoiseFloor {
    /// On the scale of the blocks: an effect whose size is at most this is noise.
    pub size: f64,
    /// Blocks of the same build against itself that it was taken from.
    pub blocks: usize,
}

/// How much a candidate differs from a baseline.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Effect {
    pub scale: Scale,
    /// Hodges–Lehmann centre, as ratio or difference; `None` when it is undefined.
    pub estimate: Option<f64>,
    /// Bootstrap-t interval over blocks, as ratio or difference; `None` when the blocks do not bear one.
    pub interval: Option<Interval>,
    /// Exact two-sided signed-rank p value; `None` without blocks.
    pub p_value: Option<f64>,
    /// The largest p value at which the effect counts as shown.
    pub level: f64,
    pub blocks: usize,
    pub launches: usize,
    /// `None` when the same build was not run against itself.
    pub noise_floor: Option<NoiseFloor>,
    /// Whether the effect drifted over the blocks, which a single number would hide.
    pub trend: Option<Trend>,
    pub decision: Decision,
}

/// The effect in `blocks`, which stand in the order in which they ran, tested at `level`. The same `seed` gives the same
/// interval.
///
/// ```
/// use soundcheck::analysis::effect::{Block, Decision, SIGNIFICANCE, Scale, effect};
///
/// // Twelve blocks on three launches, in each of which the candidate took about half as long.
/// let blocks: Vec<Block> = (0..12)
///     .map(|i| Block { launch: i / 4, value: 0.5_f64.ln() + 0.01 * f64::from(i * 5 % 12) })
///     .collect();
/// let found = effect(Scale::Ratio, &blocks, None, SIGNIFICANCE, 42);
/// assert_eq!(found.decision, Decision::Lower);
/// assert!(found.interval.is_some_and(|shown| shown.contains(0.53)));
/// ```
pub fn effect(scale: Scale, blocks: &[Block], noise_floor: Option<NoiseFloor>, level: f64, seed: u64) -> Effect {
    let values: Vec<f64> = blocks.iter().map(|b| b.value).collect();
    let mut launches: Vec<u32> = blocks.iter().map(|b| b.launch).collect();
    launches.sort_unstable();
    launches.dedup();
    let shown = show(scale, &values, seed);
    let p_value = signed_rank(&values).map(|test| test.p_two_sided);
    let decision = match (p_value, hodges_lehmann(&values)) {
        (Some(p), Some(centre)) if values.len() >= FEWEST_BLOCKS && launches.len() >= FEWEST_LAUNCHES => {
            if p > level {
                Decision::NotShown
            } else if noise_floor.is_some_and(|floor| centre.abs() <= floor.size) {
                Decision::InsideNoiseFloor
            } else if centre > 0.0 {
                Decision::Higher
            } else {
                Decision::Lower
            }
        }
        _ => Decision::Unknown,
    };
    Effect {
        scale,
        estimate: shown.estimate,
        interval: shown.interval,
        p_value,
        level,
        blocks: values.len(),
        launches: launches.len(),
        noise_floor,
        trend: mann_kendall(&values),
        decision,
    }
}

/// The noise floor from blocks of one build against itself: the end of their 95 % interval that lies farther from no
/// effect, on the scale of the blocks. `None` when they do not bear an interval.
pub fn noise_floor(same_against_same: &[f64], seed: u64) -> Option<NoiseFloor> {
    let shown = interval(same_against_same, CONFIDENCE, seed)?;
    Some(NoiseFloor {
        size: shown.low.abs().max(shown.high.abs()),
        blocks: same_against_same.len(),
    })
}

/// What is printed beside a decision.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Hodges–Lehmann ratio or difference.
    pub estimate: Option<f64>,
    /// Bootstrap-t interval over blocks.
    pub interval: Option<Interval>,
}

/// The Hodges–Lehmann estimate and the bootstrap-t interval of per-block values, on the scale that is shown.
pub fn show(scale: Scale, blocks: &[f64], seed: u64) -> Shown {
    Shown {
        estimate: hodges_lehmann(blocks).map(|centre| scale.shown(centre)),
        interval: interval(blocks, CONFIDENCE, seed).map(|i| i.map(|end| scale.shown(end))),
    }
}

/// The margins and error rates of one look of the gate.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Fails when a ratio at or below this is rejected.
    pub fail_above: f64,
    /// Passes when ratios at or above this are rejected for every metric.
    pub pass_below: f64,
    /// Largest p value for a metric to fail, at this look.
    pub alpha: f64,
    /// Largest p value for a metric to pass, at this look.
    pub beta: f64,
}

impl Rule {
    /// Margins of 2 % and 10 %; false alarms of 1 % and misses of 5 %, shared by Bonferroni among the looks, and false
    /// alarms also among the metrics, since any of them can fail and all must pass.
    pub fn standard(looks: usize, metrics: usize) -> Self {
        let looks = looks.max(1) as f64;
        Self {
            fail_above: 1.02,
            pass_below: 1.10,
            alpha: 0.01 / (looks * metrics.max(1) as f64),
            beta: 0.05 / looks,
        }
    }
}

/// What the gate says after a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateDecision {
    /// At least one metric is worse than the lower margin allows.
    Fail,
    /// Every metric is better than the upper margin.
    Pass,
    /// Neither is shown: more pairs, or inconclusive when no look is left.
    Undecided,
}

/// Decides from the log-ratios of each metric, one a pair, turned so that above 0 is worse. One-sided exact signed-rank
/// tests against the margins; the bootstrap has no say.
///
/// ```
/// use soundcheck::analysis::effect::{GateDecision, Rule, decide};
///
/// let rule = Rule::standard(4, 1);
/// let noise: Vec<f64> = (0..40).map(|i| 0.001 * f64::from(i * 7 % 40 - 20)).collect();
/// assert_eq!(decide(&[&noise], rule), GateDecision::Pass);
/// let slower: Vec<f64> = noise.iter().map(|r| r + 1.2_f64.ln()).collect();
/// assert_eq!(decide(&[&noise, &slower], rule), GateDecision::Fail);
/// // Without a metric nothing has been shown.
/// assert_eq!(decide(&[], rule), GateDecision::Undecided);
/// ```
pub fn decide(log_ratios: &[&[f64]], rule: Rule) -> GateDecision {
    let against = |pairs: &[f64], margin: f64| {
        let moved: Vec<f64> = pairs.iter().map(|ratio| ratio - margin.ln()).collect();
        signed_rank(&moved)
    };
    let fails = |pairs: &&[f64]| against(pairs, rule.fail_above).is_some_and(|test| test.p_greater <= rule.alpha);
    let passes = |pairs: &&[f64]| against(pairs, rule.pass_below).is_some_and(|test| test.p_less <= rule.beta);
    if log_ratios.iter().any(fails) {
        GateDecision::Fail
    } else if !log_ratios.is_empty() && log_ratios.iter().all(passes) {
        GateDecision::Pass
    } else {
        GateDecision::Undecided
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;

    fn blocks(values: &[f64]) -> Vec<Block> {
        values
            .iter()
            .enumerate()
            .map(|(i, value)| Block {
                launch: i as u32 / 4,
                value: *value,
            })
            .collect()
    }

    fn noisy(centre: f64, sd: f64, n: usize, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let noise = Normal::new(centre, sd).unwrap();
        (0..n).map(|_| noise.sample(&mut rng)).collect()
    }

    #[track_caller]
    fn check(values: &[f64], floor: Option<f64>, expected: Decision) {
        let floor = floor.map(|size| NoiseFloor { size, blocks: 12 });
        assert_eq!(
            effect(Scale::Ratio, &blocks(values), floor, SIGNIFICANCE, 1).decision,
            expected
        );
    }

    #[test]
    fn decisions() {
        check(&noisy(0.3, 0.05, 12, 1), None, Decision::Higher);
        check(&noisy(-0.3, 0.05, 12, 1), Some(0.02), Decision::Lower);
        check(&noisy(0.03, 0.005, 12, 1), Some(0.05), Decision::InsideNoiseFloor);
        check(&noisy(0.0, 0.05, 12, 1), None, Decision::NotShown);
        check(&noisy(0.3, 0.05, 11, 1), None, Decision::Unknown);
        check(&[0.3; 8], None, Decision::Unknown);
        check(&[], None, Decision::Unknown);
        check(&[f64::NAN; 12], None, Decision::Unknown);
        // A side that never answers is worse whatever the interval cannot say.
        check(&[f64::INFINITY; 12], None, Decision::Higher);
    }

    #[test]
    fn a_claim_among_many_needs_more() {
        // One block of twelve against the other eleven, and the smallest of all: p = 0.00098.
        let mut values = noisy(-0.3, 0.05, 12, 1);
        values[3] = 0.001;
        let decision = |n_claims| effect(Scale::Ratio, &blocks(&values), None, shared(n_claims), 1).decision;
        assert_eq!(decision(1), Decision::Lower);
        assert_eq!(decision(10), Decision::Lower);
        assert_eq!(decision(11), Decision::NotShown);
    }

    #[test]
    fn launches_are_counted_and_not_blocks_alone() {
        let one_launch: Vec<Block> = noisy(0.3, 0.05, 24, 1)
            .iter()
            .map(|v| Block { launch: 0, value: *v })
            .collect();
        let found = effect(Scale::Ratio, &one_launch, None, SIGNIFICANCE, 1);
        assert_eq!((found.launches, found.decision), (1, Decision::Unknown));
    }

    #[test]
    fn a_ratio_is_shown_as_a_ratio() {
        let found = effect(
            Scale::Ratio,
            &blocks(&noisy(2.0_f64.ln(), 0.02, 12, 5)),
            None,
            SIGNIFICANCE,
            1,
        );
        let shown = found.interval.unwrap();
        assert!(shown.contains(2.0) && shown.low > 1.9 && shown.high < 2.1, "{found:?}");
        let found = effect(
            Scale::Difference,
            &blocks(&noisy(7.0, 0.1, 12, 5)),
            None,
            SIGNIFICANCE,
            1,
        );
        assert!(found.interval.unwrap().contains(7.0), "{found:?}");
    }

    #[test]
    fn the_noise_floor_is_the_far_end() {
        let floor = noise_floor(&noisy(0.01, 0.01, 12, 3), 1).unwrap();
        assert!(floor.size > 0.01 && floor.size < 0.03, "{floor:?}");
        assert_eq!(noise_floor(&[0.0; 12], 1), None);
    }

    #[test]
    fn false_alarms_and_power_of_the_first_look() {
        let (rule, runs) = (Rule::standard(4, 3), 200);
        let count = |centre: f64, wanted: GateDecision| {
            (0..runs)
                .filter(|seed| decide(&[&noisy(centre, 0.06, 40, *seed)], rule) == wanted)
                .count()
        };
        assert_eq!(count(0.0, GateDecision::Fail), 0);
        assert!(count(0.0, GateDecision::Pass) >= 195);
        assert!(count(1.2_f64.ln(), GateDecision::Fail) >= 199);
        // Between the margins neither answer may be common.
        assert!(count(1.02_f64.ln(), GateDecision::Fail) <= 2);
        assert!(count(1.10_f64.ln(), GateDecision::Pass) <= 10);
    }
}
