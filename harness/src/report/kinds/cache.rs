//! The cache report: what a cache in front of the seat map gains, what it costs, and what it saves the database.

use std::collections::BTreeMap;
use std::time::Duration;

use super::common::{self, Comparison};
use super::context::Context;
use super::{costs, evidence};
use crate::chart::{
    Axis, Bar, BarGroup, Bars, Cdf, Curve, CurveStyle, Effects, Figure, Key, Panel, ShareAxis, Timeline,
};
use crate::format::Unit;
use crate::plan::{Arm, Group};
use crate::recording::{Endpoint, event};
use crate::report::{Cell, Column, Document, Section, Table, Text, Verdict};

const HITS: &str = "booking_cache_requests_total";
const LOADS: &str = "booking_cache_loads_total";
const REQUESTS: &str = "booking_http_requests_total";
const SEATS_ROUTE: &str = "/v1/schedules/{id}/seats";

/// What the plan of this version leaves out.
const NOT_TRIED: [&str; 5] = [
    "Ways against a stampede (none, single-flight, early refresh): every cache runs with the service's default.",
    "Many readers at the moment at which an entry expires: the load is even, and expiries are not marked over time.",
    "A cold cache against a warm one: every variant has been asked as fast as it answers before its first slice, and whatever a launch or a pause cools down is part of its slices.",
    "Dates that are sold out: holds are cancelled again, so that seats stay on sale.",
    "The loss of Redis under load.",
];

/// Builds the report.
pub(super) fn document(context: &Context<'_>) -> Document {
    let mut document = context.opening("Cache: what stands in front of the seat map");
    let Some(group) = context.plan.groups.first() else {
        return context.unknown(document, "the plan names no group of variants");
    };
    let places = common::places(context.manifest(), group);
    let slices = context.experiment.compared();
    let Some((baseline, _)) = context.sides(group, &places) else {
        return context.unknown(document, "the recording holds none of the planned variants");
    };

    let reads = context.claims(&slices, &places, group, Endpoint::Seats);

    (document.verdict, document.sentence) = verdict(context, &reads, baseline.1);
    document.effects = context.effects(reads.iter(), document.verdict);

    let keys: BTreeMap<String, Key> = group
        .arms
        .iter()
        .enumerate()
        .map(|(slot, arm)| (arm.name.clone(), Key::new(arm.name.clone(), slot)))
        .collect();
    let subtitle = context.subtitle(group);
    let curves: Vec<_> = group
        .arms
        .iter()
        .filter_map(|arm| {
            common::cdf(
                &slices,
                *places.get(&arm.name)?,
                Endpoint::Seats,
                keys[&arm.name].clone(),
            )
        })
        .collect();
    let mut latency = Section::new("How long a seat map takes")
        .with(context.chart(
            "seat-map-cdf",
            "Seat map: service time by variant",
            &subtitle,
            if curves.is_empty() {
                Figure::NoData("no seat map was answered in any slice".to_owned())
            } else {
                Figure::Cdf(Cdf { x: Axis::new("service time", Unit::Seconds), share: ShareAxis::Tail, curves })
            },
            "Each curve says which share of the seat maps was answered within a time. Further left is faster; the upper end is the tail.",
            "Cumulative distribution of the seat map's service time, one curve a variant; the table below holds its quantiles.",
        ))
        .with(context.chart(
            "seat-map-effects",
            "Seat map: effect of each cache",
            &subtitle,
            Figure::Effects(Effects {
                axis: "service time, variant ÷ off".to_owned(),
                ends: Some(("faster".to_owned(), "slower".to_owned())),
                margins: None,
                rows: document.effects.iter().map(common::row).collect(),
            }),
            "The ratio with its 95 % interval over the blocks; 1 means no effect. The exact test decides, the interval shows.",
            "Forest plot of service time ratios against no cache, as listed at the head of the report.",
        ));
    latency.blocks.push(
        common::latency_table(
            "Response time over all slices, with 95 % intervals",
            ("Variant", |arm: &Arm| arm.name.clone()),
            group,
            &places,
            &slices,
            Endpoint::Seats,
        )
        .into(),
    );
    if let Some(thin) = common::thin_slices(&reads) {
        latency.blocks.push(thin.into());
    }

    document.sections.push(latency);
    document
        .sections
        .push(database(context, group, &places, &keys, &subtitle));
    document.sections.push(freshness(context, group, &places));
    document.sections.push(context.probe_section(group, &places));
    document.sections.push(context.ledger_section());
    document.sections.push(context.not_tried(&NOT_TRIED));
    document.got_worse = costs::got_worse(context, &slices, "A hold must also invalidate what the cache keeps.");
    document.notes.extend(context.notes());
    document
}

fn verdict(context: &Context<'_>, reads: &[Comparison], baseline: &str) -> (Verdict, Text) {
    context.verdict_of(
        reads,
        |best, ratio| {
            format!(
                "With `{}` the median seat map takes **{ratio}** of the time it takes with `{baseline}`, at the same offered load.",
                best.candidate
            )
        },
        "No cache is shown to change the median service time of the seat map at this load.",
    )
}

/// A count of the variant's own process in one of its slices.
fn hits_and_lookups(context: &Context<'_>, slice: &event::Slice) -> (Option<f64>, Option<f64>) {
    let experiment = context.experiment;
    // A look-up that misses every layer counts as a miss once a layer; the share is taken of the first layer's look-ups.
    let hits = experiment.growth(slice, HITS, &[("result", "hit")]);
    let requests = experiment.growth(slice, REQUESTS, &[("route", SEATS_ROUTE)]);
    (hits, requests)
}

fn database(
    context: &Context<'_>,
    group: &Group,
    places: &BTreeMap<String, u16>,
    keys: &BTreeMap<String, Key>,
    subtitle: &str,
) -> Section {
    let mut table = Table::new(
        "From the service's own counters at the edges of its slices",
        [
            Column::text("Variant"),
            Column::number("Seat maps", Unit::Count),
            Column::number("From the cache", Unit::Count),
            Column::number("Hit ratio", Unit::Percent),
            Column::number("Database reads", Unit::Count),
            Column::number("Counted by the server", Unit::Count),
            Column::number("Reads per seat map", Unit::Ratio),
            Column::number("Loaders of one key at once, mean", Unit::Ratio),
            Column::number("Evictions", Unit::Count),
        ],
    );
    let mut bars = Vec::new();
    let mut curves = Vec::new();
    let origin = context
        .experiment
        .slices
        .first()
        .map_or(0.0, |(slice, _)| slice.start.as_secs_f64());
    for arm in &group.arms {
        let Some(place) = places.get(&arm.name) else { continue };
        let own: Vec<&event::Slice> = context
            .experiment
            .slices
            .iter()
            .map(|(slice, _)| slice)
            .filter(|slice| slice.variant == *place)
            .collect();
        let mut hits_sum = None;
        let mut requests_sum = None;
        let mut loads_sum = None;
        let mut executed_sum = None;
        let (mut loaders_sum, mut loaders_count, mut evictions_sum) = (None, None, None);
        let mut points = Vec::new();
        for slice in &own {
            let (hits, requests) = hits_and_lookups(context, slice);
            add(&mut hits_sum, hits);
            add(&mut requests_sum, requests);
            add(&mut loads_sum, context.experiment.growth(slice, LOADS, &[]));
            add(&mut executed_sum, context.seat_maps_executed(slice, "total"));
            let grown = |name: &str| context.experiment.growth(slice, name, &[]);
            add(&mut loaders_sum, grown("booking_cache_loader_concurrency_sum"));
            add(&mut loaders_count, grown("booking_cache_loader_concurrency_count"));
            add(&mut evictions_sum, grown("booking_cache_evictions_total"));
            let ratio = match (hits, requests) {
                (Some(hits), Some(requests)) if requests > 0.0 => Some(100.0 * hits / requests),
                _ => None,
            };
            points.push((slice.start.as_secs_f64() - origin, ratio));
        }
        let hit_ratio = if evidence::of_hit_ratio(requests_sum).is_empty() {
            ratio(hits_sum, requests_sum).map(|share| share * 100.0)
        } else {
            None
        };
        // What the server counted is better evidence than what the service says that it asked.
        let per_request = ratio(executed_sum.or(loads_sum), requests_sum);
        table.row([
            Cell::from(arm.name.as_str()),
            Cell::Number(requests_sum),
            Cell::Number(hits_sum),
            Cell::Number(hit_ratio),
            Cell::Number(loads_sum),
            Cell::Number(executed_sum),
            Cell::Number(per_request),
            Cell::Number(ratio(loaders_sum, loaders_count)),
            Cell::Number(evictions_sum),
        ]);
        bars.push(BarGroup {
            name: arm.name.clone(),
            bars: vec![per_request.map(|value| Bar { value, interval: None })],
        });
        if arm.settings.get("cache.mode").is_some_and(|mode| mode != "off") {
            curves.push(Curve {
                key: keys[&arm.name].clone(),
                style: CurveStyle::Line,
                points,
            });
        }
    }
    Section::new("What the cache saves the database")
        .with("Hits are counted by the service, never inferred from how fast an answer came. Loaders are those of one seat map at the moment at which another began, itself included: 1 is nobody else. Evictions are of the process's own cache.")
        .with(context.chart(
            "reads-per-seat-map",
            "Database reads per seat map",
            subtitle,
            Figure::Bars(Bars {
                value: Axis::new("database reads per seat map", Unit::Ratio),
                log: false,
                series: vec![Key::new("reads per seat map", 0)],
                groups: bars,
            }),
            "1 means that every seat map was read from the database. Reads are what the server counted of the seat map's own statement, and what the service says that it asked where the server counts nothing.",
            "Bars of database reads per seat map for each variant; the table below holds the numbers.",
        ))
        .with(context.chart(
            "hit-ratio",
            "Hit ratio over time",
            subtitle,
            if curves.is_empty() {
                Figure::NoData("no variant has a cache".to_owned())
            } else {
                Figure::Timeline(Timeline {
                    x_title: "time since the first slice".to_owned(),
                    range: None,
                    panels: vec![Panel { title: "hit ratio".to_owned(), unit: Unit::Percent, log: false, top: Some(100.0), curves, limits: Vec::new() }],
                    bands: Vec::new(),
                    marks: Vec::new(),
                })
            },
            "A cache is cold after each launch and after each pause longer than its time to live, which is what a block's other slices are.",
            "Hit ratio of each cache over the experiment, one point a slice.",
        ))
        .with(table)
}

/// How stale seat maps were: what a cache may do that a database does not.
fn freshness(context: &Context<'_>, group: &Group, places: &BTreeMap<String, u16>) -> Section {
    let mut table = Table::new(
        "For how long seats that a seat map still showed had been gone",
        [
            Column::text("Variant"),
            Column::number("Seats looked at", Unit::Count),
            Column::number("Shown too long", Unit::Count),
            Column::number("p95", Unit::Seconds),
            Column::number("p99", Unit::Seconds),
            Column::number("At most", Unit::Seconds),
            Column::number("Promised", Unit::Seconds),
        ],
    );
    for arm in &group.arms {
        let Some(place) = places.get(&arm.name).map(|place| usize::from(*place)) else {
            continue;
        };
        let read = context.staleness.get(place).filter(|read| !read.is_empty());
        let rules = context.manifest().variants.get(place).map(|variant| &variant.rules);
        let at = |q: f64| Cell::Number(read.and_then(|read| rank(read, q)).map(|by| by.as_secs_f64()));
        table.row([
            Cell::from(arm.name.as_str()),
            Cell::count(read.map(|read| read.len() as u64)),
            Cell::count(read.map(|read| read.iter().filter(|by| !by.is_zero()).count() as u64)),
            at(0.95),
            at(0.99),
            at(1.0),
            Cell::Number(rules.and_then(|rules| rules.staleness_ms).map(|ms| ms as f64 / 1e3)),
        ]);
    }
    Section::new("How stale a seat map was")
        .with("From the clients' own history: a seat in a sampled seat map counts as shown too long when its hold had been answered before the map was asked for and lasted until after its answer. Quantiles are over every seat looked at, of which most were right.")
        .with(table)
}

/// The value at a quantile of values in ascending order.
fn rank(sorted: &[Duration], q: f64) -> Option<Duration> {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn add(sum: &mut Option<f64>, more: Option<f64>) {
    if let Some(more) = more {
        *sum.get_or_insert(0.0) += more;
    }
}

/// A part that nobody counted has no ratio: a counter that was lost would read as a perfect cache.
fn ratio(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    Some(part? / whole.filter(|whole| *whole > 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_seen() {
        let read: Vec<Duration> = (0..200).map(Duration::from_millis).collect();
        assert_eq!(rank(&read, 0.95), Some(Duration::from_millis(189)));
        assert_eq!(rank(&read, 1.0), Some(Duration::from_millis(199)));
        assert_eq!(rank(&read[..1], 0.5), Some(Duration::ZERO));
        assert_eq!(rank(&[], 0.95), None);
    }

    #[test]
    fn what_nobody_counted_is_no_ratio() {
        assert_eq!(ratio(Some(1.0), Some(4.0)), Some(0.25));
        assert_eq!(ratio(Some(0.0), Some(4.0)), Some(0.0));
        assert_eq!(ratio(None, Some(4.0)), None);
        assert_eq!(ratio(Some(1.0), Some(0.0)), None);
        assert_eq!(ratio(Some(1.0), None), None);
    }
}
