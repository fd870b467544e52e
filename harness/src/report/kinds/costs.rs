//! What a gain costs, for the section that is never empty: writes, tails and memory, of every group of a plan.

use std::collections::BTreeMap;

use super::common::{self, Comparison};
use super::context::Context;
use crate::analysis::compare::{self, Slice};
use crate::analysis::quantile::Estimate;
use crate::chart::Decision;
use crate::format::{self, Unit};
use crate::plan::{Arm, Group};
use crate::recording::{Endpoint, event};
use crate::report::{Block, Cell, Column, GotWorse, Table, Text};
use crate::units::{Nanos, Ratio};

/// What changes a seat, and so pays for whatever makes seats faster to find. A hold's cycle ends with a cancel.
const WRITES: [Endpoint; 2] = [Endpoint::Hold, Endpoint::Cancel];
const RESIDENT: &str = "process_resident_memory_bytes";
const REDIS: &str = "redis";
const REDIS_MEMORY: &str = "redis_memory_used_bytes";

/// The section, which begins with `why` there is something to pay.
pub(super) fn got_worse(context: &Context<'_>, slices: &[Slice], why: &str) -> GotWorse {
    let mut list = Vec::new();
    let mut tables: Vec<Block> = Vec::new();
    for group in &context.plan.groups {
        let places = common::places(context.manifest(), group);
        for endpoint in WRITES {
            let written = context.warnings(slices, &places, group, endpoint);
            list.extend(written.iter().map(said));
            tables.push(latency(group, &places, slices, endpoint).into());
        }
        list.extend(tails(context, slices, &places, group));
    }
    if list.is_empty() {
        return GotWorse::unknown("no candidate was measured");
    }
    let first = format!(
        "{why} Variant against baseline: writes, each tested at 1 % on its own; and tails, which only advise. The load asks nothing but seat maps, holds and their cancelling."
    );
    let mut found = GotWorse::of(
        Text::plain(first),
        [Block::List {
            ordered: false,
            items: list,
        }],
    );
    tables.push(memory(context).into());
    tables.extend(redis_memory(context).map(Block::from));
    for block in tables {
        found.push(block);
    }
    found
}

fn said(comparison: &Comparison) -> Text {
    let estimate = || {
        comparison.ratio().map_or_else(
            || format::MISSING.to_owned(),
            |(point, low, high)| format::interval(Unit::Ratio, point, low, high),
        )
    };
    let said = match (comparison.decision(), comparison.withheld()) {
        (Decision::Worse, _) => format!("{}, **worse**", estimate()),
        (Decision::Better, _) => format!("{}, better", estimate()),
        (_, Some(missing)) if comparison.shows_no_effect() => {
            format!("no difference is shown; {} ({missing})", estimate())
        }
        (_, Some(missing)) => format!("nothing is claimed ({missing})"),
        (_, None) => format!("{}, no difference is shown", estimate()),
    };
    Text::marked(&format!("{}: {said}", comparison.claim))
}

fn latency(group: &Group, places: &BTreeMap<String, u16>, slices: &[Slice], endpoint: Endpoint) -> Table {
    let rows = if group.name.is_empty() {
        String::new()
    } else {
        format!(", {}", group.name)
    };
    let caption = format!(
        "Service time of every {}{rows}: over all slices, with 95 % intervals",
        common::words(endpoint)
    );
    let arms = ("Variant", |arm: &Arm| arm.name.clone());
    common::latency_table(caption, arms, group, places, slices, endpoint)
}

/// The tail of the seat map of each candidate and of the baseline, from the histograms of all slices. It advises and
/// decides nothing.
fn tails(context: &Context<'_>, slices: &[Slice], places: &BTreeMap<String, u16>, group: &Group) -> Vec<Text> {
    let Some((baseline, candidates)) = context.sides(group, places) else {
        return Vec::new();
    };
    let p99 = |place| compare::merged_quantile(slices, place, |e| e == Endpoint::Seats, Ratio(0.99), Ratio(0.95));
    let before = p99(baseline.0);
    candidates
        .iter()
        .map(|(place, name)| {
            let after = p99(*place);
            let seconds = |estimate: Option<Estimate>| Some(estimate?.value.finite()? as f64 / 1e9);
            let ratio = seconds(after).zip(seconds(before)).filter(|(_, before)| *before > 0.0);
            Text::plain(format!(
                "{} p99, {name} against {}: {} against {}, {}; advisory",
                common::words(Endpoint::Seats),
                baseline.1,
                common::tail_text(after),
                common::tail_text(before),
                format::quantity(Unit::Ratio, ratio.map(|(after, before)| after / before)),
            ))
        })
        .collect()
}

/// What each process of the service held in memory, as the last slices ended.
fn memory(context: &Context<'_>) -> Table {
    let mut table = Table::new(
        "Memory of the service, at the end of each variant's last slice",
        [
            Column::text("Variant"),
            Column::number("Resident", Unit::Bytes),
            Column::number("More than the baseline", Unit::Bytes),
        ],
    );
    for group in &context.plan.groups {
        let places = common::places(context.manifest(), group);
        let resident = |name: &str| {
            let place = places.get(name)?;
            let own = |slice: &&event::Slice| slice.variant == *place;
            let last = context.experiment.slices.iter().map(|(slice, _)| slice).rfind(own)?;
            context.experiment.level(last, RESIDENT, &[])
        };
        let baseline = group.baseline().and_then(|arm| resident(&arm.name));
        for arm in group.arms.iter().filter(|arm| places.contains_key(&arm.name)) {
            let own = resident(&arm.name);
            table.row([
                Cell::from(arm.name.as_str()),
                Cell::Number(own),
                Cell::Number(own.zip(baseline).map(|(own, baseline)| own - baseline)),
            ]);
        }
    }
    table
}

/// Redis' memory before and after, where there is a Redis. All variants share the server, so it cannot be told apart by
/// variant.
fn redis_memory(context: &Context<'_>) -> Option<Text> {
    let first = context.experiment.slices.first()?.0.start;
    let last = context.experiment.slices.last()?.0.end;
    let series = context
        .experiment
        .series
        .named(REDIS_MEMORY)
        .find(|series| series.def.source == REDIS)?;
    let points: Vec<(Nanos, f64)> = context.experiment.series.points(series).collect();
    let before = points.iter().rfind(|(at, _)| *at <= first);
    let after = points.iter().find(|(at, _)| *at >= last);
    let bytes = |point: Option<&(Nanos, f64)>| format::quantity(Unit::Bytes, point.map(|(_, bytes)| *bytes));
    Some(Text::plain(format!(
        "Redis, which all variants share, used {} of memory before the first slice and {} after the last.",
        bytes(before),
        bytes(after)
    )))
}
