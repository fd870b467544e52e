//! The rules one by one. Each returns what is missing, or `None` when the claim passes or is not of its kind.

use super::claim::{
    Caches, Claim, GENERATOR_CPU, GENERATOR_LAG, HitsFrom, LOST_ARRIVALS, Missing, QuantilesFrom, Rule, Subject,
};
use crate::analysis::effect::{Decision, FEWEST_BLOCKS, FEWEST_LAUNCHES, Scale};
use crate::analysis::littles_law::{is_possible, largest_throughput};
use crate::analysis::quantile::Value;
use crate::analysis::steady::Steadiness;

/// Checks a claim against every rule. Empty means that it may be printed.
pub fn lint(claim: &Claim) -> Vec<Missing> {
    Rule::ALL
        .into_iter()
        .filter_map(|rule| check(rule, claim).map(|text| Missing { rule, text }))
        .collect()
}

fn check(rule: Rule, claim: &Claim) -> Option<String> {
    match rule {
        Rule::LittlesLaw => littles_law(claim),
        Rule::LostArrivals => lost_arrivals(claim),
        Rule::NoSuccess => no_success(claim),
        Rule::FailuresAsSuccess => failures_as_success(claim),
        Rule::HitsFromLatency => hits_from_latency(claim),
        Rule::AveragedQuantiles => averaged_quantiles(claim),
        Rule::TwoFactors => two_factors(claim),
        Rule::TooFewBlocks => too_few_blocks(claim),
        Rule::Chance => chance(claim),
        Rule::NoiseFloor => noise_floor(claim),
        Rule::Generator => generator(claim),
        Rule::SteadyState => steady_state(claim),
        Rule::Pool => pool(claim),
        Rule::OtherStatement => other_statement(claim),
        Rule::FoldedPlan => folded_plan(claim),
        Rule::ColdAgainstWarm => cold_against_warm(claim),
        Rule::HiddenTrend => hidden_trend(claim),
    }
}

fn said(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn littles_law(claim: &Claim) -> Option<String> {
    if claim.subject != Subject::Throughput {
        return None;
    }
    let Some(evidence) = claim.throughput else {
        return said("the mean times that the throughput would have to agree with");
    };
    let (response, think) = (evidence.mean_response, evidence.mean_think);
    if is_possible(evidence.claimed, evidence.users?, response, think)? {
        return None;
    }
    let most = largest_throughput(evidence.users?, response, think)?;
    Some(format!(
        "a throughput that is possible: {} users can ask for {:.1}/s at most, not {:.1}/s",
        evidence.users?, most.0, evidence.claimed.0
    ))
}

fn lost_arrivals(claim: &Claim) -> Option<String> {
    if !claim.subject.is_timed() {
        return None;
    }
    let Some(arrivals) = claim.arrivals else {
        return said("an account of every arrival");
    };
    if arrivals.intended == 0 {
        return said("any arrival at all");
    }
    let lost = (arrivals.dropped + arrivals.late) as f64 / arrivals.intended as f64;
    (lost > LOST_ARRIVALS.0 && !arrivals.said).then(|| {
        format!(
            "a word on the {:.1} % of arrivals that were dropped or late",
            lost * 100.0
        )
    })
}

fn no_success(claim: &Claim) -> Option<String> {
    if claim.subject == Subject::Plan {
        return None;
    }
    match claim.successes {
        None => said("the number of operations that succeeded"),
        Some(0) => said("a single success of the operation under study"),
        Some(_) => None,
    }
}

fn failures_as_success(claim: &Claim) -> Option<String> {
    if claim.subject != Subject::FailureRatio {
        return None;
    }
    let Some(counting) = &claim.counting else {
        return said("which outcomes count as failures");
    };
    let wrong: Vec<&str> = counting
        .as_success
        .iter()
        .filter(|outcome| !outcome.is_served() || counting.are_failures.contains(outcome))
        .map(|outcome| outcome.name())
        .collect();
    (!wrong.is_empty()).then(|| format!("an error rate that counts {} as failures", wrong.join(", ")))
}

fn hits_from_latency(claim: &Claim) -> Option<String> {
    if claim.subject != Subject::HitRatio {
        return None;
    }
    match claim.hits_from {
        Some(HitsFrom::Counters) => None,
        Some(HitsFrom::Latency) => said("hits counted by the cache: fast answers are not evidence of hits"),
        None => said("where the hits were counted"),
    }
}

fn averaged_quantiles(claim: &Claim) -> Option<String> {
    if !claim.subject.has_quantiles() {
        return None;
    }
    match claim.quantiles_from {
        Some(QuantilesFrom::Histograms) => None,
        Some(QuantilesFrom::Averages) => {
            said("quantiles of merged histograms: averages of quantiles are quantiles of nothing")
        }
        None => said("how the quantiles of several slices were joined"),
    }
}

fn two_factors(claim: &Claim) -> Option<String> {
    claim.effect.as_ref()?;
    match claim.factors.as_ref().map(|factors| (factors.len(), factors)) {
        None => said("which setting differs between the variants"),
        Some((0, _)) => said("a setting that differs between the variants"),
        Some((1, _)) => None,
        Some((_, factors)) => {
            let names: Vec<&str> = factors.iter().map(String::as_str).collect();
            Some(format!(
                "a comparison that changes one thing: here {} differ",
                names.join(", ")
            ))
        }
    }
}

fn too_few_blocks(claim: &Claim) -> Option<String> {
    let effect = claim.effect.as_ref()?;
    (effect.blocks < FEWEST_BLOCKS || effect.launches < FEWEST_LAUNCHES).then(|| {
        format!(
            "{FEWEST_BLOCKS} blocks over {FEWEST_LAUNCHES} launches of each variant: there are {} over {}",
            effect.blocks, effect.launches
        )
    })
}

fn chance(claim: &Claim) -> Option<String> {
    let effect = claim.effect.as_ref()?;
    match (effect.decision, effect.p_value) {
        (Decision::NotShown, Some(p)) => Some(format!(
            "an effect beyond chance: p = {p:.4}, where at most {:.4} would show one",
            effect.level
        )),
        (Decision::NotShown, None) => said("an effect beyond chance"),
        // Too few blocks are named by the rule before.
        (Decision::Unknown, _) if too_few_blocks(claim).is_none() => said("an effect that can be computed"),
        _ => None,
    }
}

fn noise_floor(claim: &Claim) -> Option<String> {
    let effect = claim.effect.as_ref()?;
    if effect.noise_floor.is_none() {
        return said("blocks of one variant against itself, to know the noise floor");
    }
    (effect.decision == Decision::InsideNoiseFloor)
        .then(|| "an effect larger than what rerunning the same build shows".to_owned())
}

fn generator(claim: &Claim) -> Option<String> {
    if !claim.subject.is_timed() {
        return None;
    }
    let Some(generator) = claim.generator else {
        return said("how busy and how late the load generator was");
    };
    let Some(cpu) = generator.cpu else {
        return said("how busy the load generator was");
    };
    if cpu.0 > GENERATOR_CPU.0 {
        return Some(format!(
            "a load generator with time to spare: it was busy for {:.0} %",
            cpu.0 * 100.0
        ));
    }
    if claim.subject == Subject::ServiceTime {
        return None;
    }
    let (Some(lag), Some(response)) = (generator.lag_p99, generator.response_p99) else {
        return said("how late the load generator was");
    };
    match (lag, response) {
        (Value::Infinite, _) => said("a load generator on time: more than 1 % of its requests were never sent"),
        (Value::Finite(lag), Value::Finite(response)) if lag as f64 > GENERATOR_LAG.0 * response as f64 => {
            Some(format!(
                "a load generator on time: its lag was {:.1} ms at p99, for response times of {:.1} ms",
                lag as f64 / 1e6,
                response as f64 / 1e6
            ))
        }
        _ => None,
    }
}

fn steady_state(claim: &Claim) -> Option<String> {
    if !claim.subject.is_timed() {
        return None;
    }
    match claim.steadiness {
        Some(Steadiness::Steady { .. }) => None,
        Some(Steadiness::Drifting { drift, .. }) if drift.is_finite() => Some(format!(
            "a steady state: the series still moved by {:+.0} %",
            drift * 100.0
        )),
        Some(Steadiness::Drifting { .. }) => said("a steady state: the series still moved"),
        Some(Steadiness::Settling { drift, .. }) => Some(format!(
            "a steady state: the second half of a slice differs from its first by {:+.0} %",
            drift * 100.0
        )),
        Some(Steadiness::TooShort) => said("a run long enough to tell a steady state"),
        None => said("a test for a steady state"),
    }
}

fn pool(claim: &Claim) -> Option<String> {
    let is_varied = claim
        .factors
        .as_ref()
        .is_some_and(|factors| factors.iter().any(|f| f.starts_with("pool.")));
    let Some(pool) = claim.pool else {
        return is_varied.then(|| "the size of the pool and the server's max_connections".to_owned());
    };
    match pool.max_connections {
        None => said("the server's max_connections"),
        Some(most) if pool.connections > most => Some(format!(
            "a pool that the server can serve: {} connections, max_connections {most}",
            pool.connections
        )),
        Some(_) => None,
    }
}

fn other_statement(claim: &Claim) -> Option<String> {
    if claim.subject != Subject::Plan {
        return None;
    }
    match claim.plan.map(|plan| plan.is_executed_digest) {
        Some(Some(true)) => None,
        Some(Some(false)) => {
            said("a plan of the statement that the service executes: the explained one has another digest")
        }
        Some(None) => said("a check that the explained statement is the executed one"),
        None => said("a plan"),
    }
}

fn folded_plan(claim: &Claim) -> Option<String> {
    (claim.subject == Subject::Plan && claim.plan?.is_folded)
        .then(|| "a plan that reads: this one was answered while planning".to_owned())
}

fn cold_against_warm(claim: &Claim) -> Option<String> {
    if !claim.subject.is_timed() {
        return None;
    }
    claim.effect.as_ref()?;
    match claim.caches {
        None => said("whether caches were cold or warm"),
        Some((Caches::Cold, Caches::Warm)) => said("equal caches: the baseline ran cold and the candidate warm"),
        Some((Caches::Warm, Caches::Cold)) => said("equal caches: the baseline ran warm and the candidate cold"),
        Some(_) => None,
    }
}

fn hidden_trend(claim: &Claim) -> Option<String> {
    // A trend that moves the effect by less than half of itself changes its size, and not what it says.
    const HALF: f64 = 0.5;
    let effect = claim.effect.as_ref()?;
    let trend = effect.trend.filter(|trend| trend.is_significant())?;
    let centre = match effect.scale {
        Scale::Ratio => effect.estimate?.ln(),
        Scale::Difference => effect.estimate?,
    };
    let moved = trend
        .slope_per_step
        .map(|slope| slope * trend.points.saturating_sub(1) as f64);
    moved.is_none_or(|moved| moved.abs() > HALF * centre.abs()).then(|| {
        format!(
            "rounds that agree: the effect drifts over them (Kendall's tau {:+.2})",
            trend.tau
        )
    })
}
