//! I8: how long the seat map goes on showing a seat that is gone.

use std::time::Duration;

use super::end::End;
use super::facts::{Facts, Seen};
use super::finding::{Evidence, Judgement};
use super::tenure::Tenure;
use crate::units::Nanos;

/// For each sampled read: for how long, at least, the seat that it showed had been gone; zero for one that was right.
/// In ascending order, so that a quantile is an index.
pub(super) fn staleness(tenures: &[Tenure], facts: &Facts) -> Vec<Duration> {
    let mut found: Vec<Duration> = facts
        .seen
        .iter()
        .map(|seen| stale(seen, tenures).map_or(Duration::ZERO, |(_, by)| by))
        .collect();
    found.sort_unstable();
    found
}

/// The hold that the map had not yet noticed, and since when.
fn stale<'a>(seen: &Seen, tenures: &'a [Tenure]) -> Option<(&'a Tenure, Duration)> {
    let later = tenures.partition_point(|tenure| (tenure.seat, tenure.from) < (seen.seat, seen.invoked));
    let last = later
        .checked_sub(1)
        .map(|last| &tenures[last])
        .filter(|tenure| tenure.seat == seen.seat)?;
    (last.until > seen.returned).then(|| (last, seen.invoked.since(last.from)))
}

pub(super) fn check(tenures: &[Tenure], facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    if facts.seen.is_empty() {
        return (
            Judgement::Idle("no read of the seat map was sampled".to_owned()),
            String::new(),
        );
    }
    let mut worst: Option<(Duration, &Seen, &Tenure)> = None;
    let mut stale_reads = 0_u64;
    for seen in &facts.seen {
        if let Some((tenure, by)) = stale(seen, tenures) {
            stale_reads += 1;
            if worst.is_none_or(|(most, ..)| most < by) {
                worst = Some((by, seen, tenure));
            }
        }
    }
    let most_ms = worst.map_or(0.0, |(by, ..)| by.as_secs_f64() * 1e3);
    let basis = format!(
        "{} sampled reads, {stale_reads} of them stale, by {most_ms:.1} ms at most",
        facts.seen.len()
    );
    let Some(bound_ms) = end.rules.staleness_ms else {
        // Measured, but nobody promised anything that could be broken.
        return (Judgement::Idle("no bound is promised".to_owned()), basis);
    };
    let late = worst.filter(|(by, ..)| Nanos::from_duration(*by).0 / 1_000_000 > bound_ms);
    let evidence = late.map(|(_, seen, tenure)| {
        let reason = format!(
            "the map showed seat {} as available {most_ms:.1} ms after it was held, against {bound_ms} ms promised",
            end.text(seen.seat)
        );
        Evidence::new(reason).operations([tenure.operation, seen.operation])
    });
    (evidence.into(), basis)
}
