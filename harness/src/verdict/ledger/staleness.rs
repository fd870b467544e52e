//! I8: a seat map shows a seat once, and stops showing one that is gone: within the promised time, and at the latest when
//! nothing changes any more.

use std::collections::HashMap;
use std::time::Duration;

use super::end::End;
use super::facts::{Facts, Seen};
use super::finding::{Evidence, Judgement};
use super::tenure::Tenure;
use crate::recording::history::{Name, Uid};
use crate::units::Nanos;

/// After the last change, a seat map has had its time: caches that are layered lag each other by half a second.
const SETTLED_AFTER: Duration = Duration::from_millis(500);

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

/// A read that showed a seat which was gone.
#[derive(Clone, Copy, Debug)]
struct Stale<'a> {
    seen: &'a Seen,
    tenure: &'a Tenure,
    by: Duration,
}

pub(super) fn check(tenures: &[Tenure], facts: &Facts, end: &End<'_>) -> (Judgement, String) {
    if facts.seen.is_empty() && !facts.maps.are_counted {
        return (
            Judgement::Idle("no read of the seat map was sampled".to_owned()),
            String::new(),
        );
    }
    let found: Vec<Stale<'_>> = facts
        .seen
        .iter()
        .filter_map(|seen| stale(seen, tenures).map(|(tenure, by)| Stale { seen, tenure, by }))
        .collect();
    let worst = found
        .iter()
        .copied()
        .reduce(|most, next| if next.by > most.by { next } else { most });
    let settled_from = facts.last_change.map(|last| last.plus(SETTLED_AFTER));
    let is_settled = |seen: &Seen| settled_from.is_some_and(|from| seen.invoked > from);
    let basis = format!(
        "{} sampled reads, {} of them after the last change; {} stale, by {:.1} ms at most",
        facts.seen.len(),
        facts.seen.iter().filter(|seen| is_settled(seen)).count(),
        found.len(),
        worst.map_or(0.0, |worst| millis(worst.by)),
    );
    let unsettled = || {
        let settled = found.iter().copied().filter(|stale| is_settled(stale.seen)).collect();
        still_shown(settled, end)
    };
    let late = || late(worst?, end);
    let judgement = match repeated(facts, end).or_else(unsettled).or_else(late) {
        Some(evidence) => Judgement::Invalid(evidence),
        // Measured, but nobody promised anything that could be broken.
        None if end.rules.staleness_ms.is_none() && !facts.maps.are_counted => {
            Judgement::Idle("no bound is promised".to_owned())
        }
        None => Judgement::Valid,
    };
    (judgement, basis)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A map is a set.
fn repeated(facts: &Facts, end: &End<'_>) -> Option<Evidence> {
    let maps = &facts.maps;
    let first = maps.repeated?;
    let reason = format!(
        "{} seat maps showed a seat more than once; the first one showed seat {} {} times",
        maps.repeating,
        end.text(first.seat),
        first.times
    );
    Some(Evidence::new(reason).operations([first.operation]))
}

/// Long after the last change, a map showed what the final state says is still taken: nothing is left that would put it
/// right.
fn still_shown(mut settled: Vec<Stale<'_>>, end: &End<'_>) -> Option<Evidence> {
    settled.sort_by_key(|stale| stale.seen.invoked);
    let taken: HashMap<Name, Option<Uid>> = end
        .audit?
        .seats
        .iter()
        .map(|seat| (seat.seat, seat.reservation))
        .collect();
    let is_taken = |tenure: &Tenure| taken.get(&tenure.seat).copied().flatten() == Some(tenure.reservation);
    settled.retain(|stale| is_taken(stale.tenure));
    let first = settled.first()?;
    let reason = format!(
        "nothing had changed for {} ms, and the map still showed seat {}, which had been taken {:.1} ms before and still was in the end; so in {} reads",
        SETTLED_AFTER.as_millis(),
        end.text(first.seen.seat),
        millis(first.by),
        settled.len()
    );
    Some(Evidence::new(reason).operations([first.tenure.operation, first.seen.operation]))
}

/// Stale for longer than promised.
fn late(worst: Stale<'_>, end: &End<'_>) -> Option<Evidence> {
    // A change that the cache could not be told of shows when the entry's life is over.
    let excuse = end.counted.as_ref().and_then(|counted| counted.untold_changes());
    let bound_ms = end.rules.staleness_ms? + excuse.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
    (Nanos::from_duration(worst.by).0 / 1_000_000 > bound_ms).then(|| {
        let reason = format!(
            "the map showed seat {} as available {:.1} ms after it was held, against {bound_ms} ms promised",
            end.text(worst.seen.seat),
            millis(worst.by)
        );
        Evidence::new(reason).operations([worst.tenure.operation, worst.seen.operation])
    })
}
