//! What a recording holds as evidence for a claim, in the form that the linter of claims judges.
//!
//! Every claim about a difference goes through here, so that no report can make one that the linter refuses.

use std::collections::BTreeSet;

use super::common;
use super::context::Context;
use crate::analysis::bootstrap::Interval;
use crate::analysis::compare::{Slice, Tally};
use crate::analysis::counter::increase_between;
use crate::analysis::effect::Effect;
use crate::analysis::plan::parse_mysql_tree;
use crate::analysis::series::read;
use crate::analysis::steady::{Steadiness, steady_slices};
use crate::plan::{Arm, Group};
use crate::recording::Endpoint;
use crate::recording::event::What;
use crate::units::Ratio;
use crate::verdict::lint::{
    Arrivals, Caches, Claim, Generator, HitsFrom, Missing, PlanEvidence, QuantilesFrom, Subject, lint,
};

/// The process that sends the load, as it is called in the series.
const GENERATOR: &str = "generator";
const CPU_SECONDS: &str = "process_cpu_seconds_total";
/// Halves of slices that differ by less are steady enough for ratios that are claimed to two digits.
const STEADY_WITHIN: f64 = 0.1;
/// A drift within slices that is a smaller part of the effect than this, both as logarithms, cannot have made the effect.
const PART_OF_EFFECT: f64 = 0.25;
/// Scrapes come once a second; one may be missing.
const FRESH: std::time::Duration = std::time::Duration::from_millis(2_500);

/// A comparison between two arms of a group, on one endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides<'a> {
    pub(super) group: &'a Group,
    pub(super) baseline: (u16, &'a str),
    pub(super) candidate: (u16, &'a str),
    pub(super) endpoint: Endpoint,
}

/// What is missing for a claim that the service time differs by `effect`. Empty: it may be printed.
pub(super) fn of_service_time(
    context: &Context<'_>,
    slices: &[Slice],
    sides: Sides<'_>,
    effect: &Effect,
) -> Vec<Missing> {
    let places = [sides.baseline.0, sides.candidate.0];
    lint(&Claim {
        effect: Some(effect.clone()),
        factors: factors(sides),
        arrivals: arrivals(context, &places),
        successes: successes(slices, &places, sides.endpoint),
        generator: Some(Generator {
            cpu: generator_cpu(context, sides.group),
            // A service time begins with the send, however late that was.
            lag_p99: None,
            response_p99: None,
        }),
        steadiness: steadiness(slices, &places, sides.endpoint, steady_within(effect.interval.as_ref())),
        quantiles_from: Some(QuantilesFrom::Histograms),
        caches: Some((caches(context, sides.baseline.0), caches(context, sides.candidate.0))),
        ..Claim::about(Subject::ServiceTime)
    })
}

/// What is missing for a hit ratio of `lookups` counted by the service.
pub(super) fn of_hit_ratio(lookups: Option<f64>) -> Vec<Missing> {
    lint(&Claim {
        successes: lookups.map(|lookups| lookups as u64),
        hits_from: Some(HitsFrom::Counters),
        ..Claim::about(Subject::HitRatio)
    })
}

/// What is missing for a statement about a plan; `digest` ties it to what the service executed.
pub(super) fn of_plan(digest: Option<&str>, text: &str) -> Vec<Missing> {
    lint(&Claim {
        plan: Some(PlanEvidence {
            is_executed_digest: digest.map(|_| true),
            is_folded: parse_mysql_tree(text).is_ok_and(|plan| plan.is_folded()),
        }),
        ..Claim::about(Subject::Plan)
    })
}

/// What is missing, in one line.
pub(super) fn in_words(missing: &[Missing]) -> String {
    let texts: Vec<&str> = missing.iter().map(|missing| missing.text.as_str()).collect();
    format!("missing: {}", texts.join("; "))
}

fn factors(sides: Sides<'_>) -> Option<BTreeSet<String>> {
    let arm = |name: &str| sides.group.arms.iter().find(|arm| arm.name == name);
    let (before, after): (&Arm, &Arm) = (arm(sides.baseline.1)?, arm(sides.candidate.1)?);
    let keys = before.settings.keys().chain(after.settings.keys());
    let mut factors: BTreeSet<String> = keys
        .filter(|key| before.settings.get(*key) != after.settings.get(*key))
        .cloned()
        .collect();
    if before.index != after.index {
        factors.insert("index".to_owned());
    }
    Some(factors)
}

fn arrivals(context: &Context<'_>, places: &[u16]) -> Option<Arrivals> {
    let mut found: Option<Arrivals> = None;
    for event in &context.experiment.events {
        if let What::Accounting { variant, counts, .. } = &event.what
            && places.contains(variant)
        {
            let sum = found.get_or_insert(Arrivals {
                intended: 0,
                dropped: 0,
                late: 0,
                // The generator's badge at the head tells both counts, whatever they are.
                said: true,
            });
            sum.intended += counts.scheduled;
            sum.dropped += counts.dropped;
            sum.late += counts.late;
        }
    }
    found
}

fn successes(slices: &[Slice], places: &[u16], endpoint: Endpoint) -> Option<u64> {
    let of = |place: u16| {
        let own = slices.iter().filter(|slice| slice.variant == place);
        Some(
            Tally::of(own.map(|slice| &slice.cells), |e| e == endpoint)?
                .successes
                .len(),
        )
    };
    places.iter().map(|place| of(*place)).min().flatten()
}

/// How busy the load generator was while the group's slices ran, as a share of all processors.
fn generator_cpu(context: &Context<'_>, group: &Group) -> Option<Ratio> {
    let places = common::places(context.manifest(), group);
    let mut own = context
        .experiment
        .slices
        .iter()
        .map(|(slice, _)| slice)
        .filter(|slice| places.values().any(|place| *place == slice.variant));
    let first = own.next()?;
    let last = own.next_back().unwrap_or(first);
    let series = context
        .experiment
        .series
        .named(CPU_SECONDS)
        .find(|series| series.def.source == GENERATOR)?;
    let points = read(&context.experiment.series, series);
    let busy = increase_between(&points, first.start, last.end, FRESH)?.amount;
    let cores = f64::from(context.manifest().environment.cores?);
    let seconds = last.end.since(first.start).as_secs_f64();
    (seconds > 0.0 && cores > 0.0).then(|| Ratio(busy / seconds / cores))
}

/// By how much the halves of slices may differ for this effect: as a share, so that 0.1 is 10 %.
fn steady_within(interval: Option<&Interval>) -> f64 {
    let least = interval.map_or(0.0, |interval| {
        let (low, high) = (interval.low.ln(), interval.high.ln());
        // No effect lies in an interval that holds 1.
        if low * high > 0.0 {
            low.abs().min(high.abs())
        } else {
            0.0
        }
    });
    STEADY_WITHIN.max((PART_OF_EFFECT * least).exp_m1())
}

/// The worse of the two variants.
fn steadiness(slices: &[Slice], places: &[u16], endpoint: Endpoint, within: f64) -> Option<Steadiness> {
    let of = |place: u16| {
        let own = slices.iter().filter(|slice| slice.variant == place);
        let halves: Vec<f64> = own
            .filter_map(|slice| match slice.halves.get(&endpoint)? {
                [Some(first), Some(second)] if *first > 0.0 && *second > 0.0 => Some((second / first).ln()),
                _ => None,
            })
            .collect();
        steady_slices(&halves, within)
    };
    let found: Vec<Steadiness> = places.iter().map(|place| of(*place)).collect();
    let is_steady = |steadiness: &Steadiness| matches!(steadiness, Steadiness::Steady { .. });
    found.iter().find(|one| !is_steady(one)).or(found.first()).copied()
}

/// Warm: the variant had been asked as fast as it answers before its first slice. Whether a cache of the service itself
/// is warm within a slice is what [`steadiness`] tells.
fn caches(context: &Context<'_>, place: u16) -> Caches {
    let events = &context.experiment.events;
    let first = events.iter().find_map(|event| match &event.what {
        What::Slice(slice) if slice.variant == place => Some(slice.start),
        _ => None,
    });
    let asked = events
        .iter()
        .any(|event| matches!(&event.what, What::Probe { variant, .. } if *variant == place) && Some(event.t) < first);
    if asked { Caches::Warm } else { Caches::Cold }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_is_held_against_an_effect_that_it_could_have_made_and_no_other() {
        let within = |low: f64, high: f64| {
            steady_within(Some(&Interval {
                low,
                high,
                confidence: Ratio(0.95),
            }))
        };
        assert_eq!(steady_within(None), 0.1);
        // A tenth is always borne.
        assert_eq!(within(0.9, 1.2), 0.1);
        assert_eq!(within(0.85, 0.95), 0.1);
        // From a quarter of the logarithm on: 0.41 is e to the -0.89, and e to the 0.22 is 1.25.
        assert!((within(0.36, 0.41) - 0.25).abs() < 0.01);
        assert!((within(1.0 / 0.41, 1.0 / 0.36) - 0.25).abs() < 0.01);
    }
}
