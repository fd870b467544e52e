//! The index report: what an index on the seats gains the seat map, by rows, and what every hold pays for it.

use std::collections::BTreeMap;

use super::common::{self, Comparison};
use super::context::Context;
use super::{costs, evidence};
use crate::analysis::compare::{Slice, merged_quantile};
use crate::chart::{Axis, Bar, BarGroup, Bars, Effects, Figure, Key, Scaling, ScalingCurve, ScalingPoint};
use crate::format::Unit;
use crate::plan::{Arm, Group, INDEXES};
use crate::recording::event::What;
use crate::recording::{Endpoint, Event};
use crate::report::{Block, Callout, Cell, Column, Document, GotWorse, PlanDiff, PlanLine, Section, Table, Text, Tone};
use crate::units::Ratio;
use crate::verdict::lint::Missing;

/// What the plan of this version leaves out.
const NOT_TRIED: [&str; 4] = [
    "A cold buffer pool: every variant has been asked as fast as it answers before its first slice.",
    "Other distributions of the data: seats are spread over the dates alike, whatever a real season looks like.",
    "A statement for which the optimiser refuses an index that it could use.",
    "More rows than the largest size above.",
];

/// Builds the report.
pub(super) fn document(context: &Context<'_>) -> Document {
    let mut document = context.opening("Index: how the seat map finds its seats");
    let slices = context.experiment.compared();
    let mut reads: Vec<(&Group, Vec<Comparison>)> = Vec::new();
    for group in &context.plan.groups {
        let places = common::places(context.manifest(), group);
        reads.push((group, context.claims(&slices, &places, group, Endpoint::Seats)));
    }
    if reads.iter().all(|(_, comparisons)| comparisons.is_empty()) {
        return context.unknown(document, "the recording holds none of the planned variants");
    }
    // The largest table is where an index has to prove itself.
    let largest = reads.last().map_or(&[][..], |(_, comparisons)| comparisons);
    (document.verdict, document.sentence) = context.verdict_of(
        largest,
        |best, ratio| {
            format!(
                "With the index `{}` the median seat map takes **{ratio}** of the time it takes without one, at the same offered load.",
                best.candidate
            )
        },
        "No index is shown to change the median response time of the seat map at this load.",
    );
    document.effects = context.effects(reads.iter().flat_map(|(_, comparisons)| comparisons), document.verdict);

    let mut section = Section::new("How long a seat map takes, by rows").with(scaling(context, &slices));
    for (group, comparisons) in &reads {
        let id = format!("seat-map-effects-{}", size_of(group));
        section.blocks.push(
            context
                .chart(
                    &id,
                    &format!("Seat map: effect of each index, {}", group.name),
                    &context.subtitle(group),
                    Figure::Effects(Effects {
                        axis: "service time, index ÷ none".to_owned(),
                        ends: Some(("faster".to_owned(), "slower".to_owned())),
                        margins: None,
                        rows: context
                            .effects(comparisons.iter(), document.verdict)
                            .iter()
                            .map(common::row)
                            .collect(),
                    }),
                    "The ratio with its 95 % interval over the blocks; 1 means no effect.",
                    "Forest plot of service time ratios against no index, as listed at the head of the report.",
                )
                .into(),
        );
        section
            .blocks
            .push(latency_table(context, group, &slices, Endpoint::Seats).into());
        if let Some(thin) = common::thin_slices(comparisons) {
            section.blocks.push(thin.into());
        }
    }
    document.sections.push(section);
    document.sections.push(rows_examined(context));
    document.sections.push(plans(context));
    for group in &context.plan.groups {
        document
            .sections
            .push(context.probe_section(group, &common::places(context.manifest(), group)));
    }
    document.sections.push(context.ledger_section());
    document.sections.push(context.not_tried(&NOT_TRIED));
    document.got_worse = got_worse(context, &slices);
    document.notes.extend(context.notes());
    document
}

/// `10k` of `10k rows`.
fn size_of(group: &Group) -> String {
    group.name.split(' ').next().unwrap_or_default().to_ascii_lowercase()
}

/// The index of an arm without the size in its name.
fn index_of(arm: &Arm) -> String {
    let name = arm.index.clone().unwrap_or_else(|| arm.name.clone());
    if arm.is_control() {
        format!("{name}, again")
    } else {
        name
    }
}

fn latency_table(context: &Context<'_>, group: &Group, slices: &[Slice], endpoint: Endpoint) -> Table {
    let places = common::places(context.manifest(), group);
    let caption = format!("{}: service time over all slices, with 95 % intervals", group.name);
    common::latency_table(caption, ("Index", index_of), group, &places, slices, endpoint)
}

fn scaling(context: &Context<'_>, slices: &[Slice]) -> crate::report::ChartBlock {
    let mut curves: BTreeMap<usize, ScalingCurve> = BTreeMap::new();
    for group in &context.plan.groups {
        let places = common::places(context.manifest(), group);
        for (slot, arm) in group.arms.iter().enumerate().filter(|(_, arm)| !arm.is_control()) {
            let Some(place) = places.get(&arm.name) else { continue };
            let found = merged_quantile(slices, *place, |e| e == Endpoint::Seats, Ratio(0.5), Ratio(0.95));
            let seconds = |value: crate::analysis::quantile::Value| value.finite().map(|ns| ns as f64 / 1e9);
            let Some((estimate, y)) = found.and_then(|estimate| Some((estimate, seconds(estimate.value)?))) else {
                continue;
            };
            let interval = estimate.lower.and_then(seconds).zip(estimate.upper.and_then(seconds));
            let point = ScalingPoint {
                x: group.dataset.seats() as f64,
                y,
                interval,
            };
            let curve = curves.entry(slot).or_insert_with(|| ScalingCurve {
                key: Key::new(index_of(arm), slot),
                points: Vec::new(),
            });
            curve.points.push(point);
        }
    }
    let figure = if curves.is_empty() {
        Figure::NoData("no seat map was answered in any slice".to_owned())
    } else {
        Figure::Scaling(Scaling {
            x: Axis::new("rows in the table of seats", Unit::Count),
            y: Axis::new("seat map, median service time", Unit::Seconds),
            curves: curves.into_values().collect(),
        })
    };
    context.chart(
        "scaling",
        "Seat map against rows",
        "median with its 95 % interval; each size at its own offered load",
        figure,
        "A flat line does not care how many seats other dates have; a rising one reads them all. Both axes are logarithmic.",
        "Median service time of the seat map against the number of rows, one curve an index; the tables below hold the numbers.",
    )
}

/// Rows read by the seat map's own digest, for each row that it returned.
fn rows_examined(context: &Context<'_>) -> Section {
    let mut section = Section::new("Rows read for each row returned");
    let mut table = Table::new(
        "From the statement's own counters in the server, at the edges of the slices",
        [
            Column::text("Rows"),
            Column::text("Index"),
            Column::number("Executions", Unit::Count),
            Column::number("Rows examined", Unit::Count),
            Column::number("Rows returned", Unit::Count),
            Column::number("Examined per returned", Unit::Ratio),
            Column::number("Steps of one seat map", Unit::Count),
        ],
    );
    let mut any = false;
    for group in &context.plan.groups {
        let places = common::places(context.manifest(), group);
        for arm in &group.arms {
            let Some(place) = places.get(&arm.name) else { continue };
            let own = context
                .experiment
                .slices
                .iter()
                .map(|(slice, _)| slice)
                .filter(|slice| slice.variant == *place);
            let mut sums = [None, None, None];
            for slice in own {
                let names = ["total", "rows_examined_total", "rows_sent_total"];
                for (sum, name) in sums.iter_mut().zip(names) {
                    let growth = context.seat_maps_executed(slice, name);
                    if let Some(growth) = growth {
                        *sum.get_or_insert(0.0) += growth;
                    }
                }
            }
            let steps = fact(
                &context.experiment.events,
                *place,
                "virtual-machine steps of one seat map",
            );
            any |= sums[0].is_some() || steps.is_some();
            let ratio = match (sums[1], sums[2]) {
                (Some(examined), Some(sent)) if sent > 0.0 => Some(examined / sent),
                _ => None,
            };
            table.row([
                Cell::from(size_of(group)),
                Cell::from(index_of(arm)),
                Cell::Number(sums[0]),
                Cell::Number(sums[1]),
                Cell::Number(sums[2]),
                Cell::Number(ratio),
                Cell::Number(steps),
            ]);
        }
    }
    if any {
        section.blocks.push(
            "An index is good when this is near 1. SQLite counts no rows, but steps of its virtual machine, which are free of noise."
                .into(),
        );
    } else {
        section.blocks.push(
            Callout {
                tone: Tone::Caution,
                text: "The engine's counters could not be read, so this is unknown.".into(),
            }
            .into(),
        );
    }
    section.blocks.push(table.into());
    section
}

fn fact(events: &[Event], place: u16, wanted: &str) -> Option<f64> {
    events.iter().find_map(|event| match &event.what {
        What::Fact {
            variant: Some(variant),
            name,
            value,
            ..
        } if *variant == place && name == wanted => Some(*value),
        _ => None,
    })
}

/// A recorded plan, and what the linter misses of it.
#[derive(Debug)]
struct Explained {
    statement: String,
    digest: Option<String>,
    missing: Vec<Missing>,
    lines: Vec<PlanLine>,
}

/// The plan without an index, and what each index makes of it, at the largest size.
fn plans(context: &Context<'_>) -> Section {
    let section = Section::new("What the database does");
    let Some(group) = context.plan.groups.last() else {
        return section;
    };
    let places = common::places(context.manifest(), group);
    let plan_of = |arm: &Arm| {
        let place = places.get(&arm.name)?;
        context.experiment.events.iter().find_map(|event| match &event.what {
            What::Plan {
                variant,
                statement,
                digest,
                text,
            } if variant == place => Some(Explained {
                statement: statement.clone(),
                digest: digest.clone(),
                missing: evidence::of_plan(digest.as_deref(), text),
                lines: PlanLine::parse_tree(text),
            }),
            _ => None,
        })
    };
    let Some((baseline, before)) = group.baseline().and_then(|arm| Some((arm, plan_of(arm)?))) else {
        return section.with(Callout {
            tone: Tone::Caution,
            text: "No plan was recorded, so what the database did is unknown; see the notes.".into(),
        });
    };
    let mut section = section.with(Text::plain(if context.manifest().stack.as_deref() == Some("embedded") {
        format!("{}: the statement is the one that the service executed, as its own log of statements has it, run again under EXPLAIN QUERY PLAN.", group.name)
    } else {
        format!("{}: the statement is the one that the service executed, seen by the server and run again under EXPLAIN ANALYZE.", group.name)
    }));
    for arm in group.arms.iter().skip(1).filter(|arm| !arm.is_control()) {
        let Some(after) = plan_of(arm) else {
            section
                .blocks
                .push(Text::plain(format!("{}: no plan was recorded.", index_of(arm))).into());
            continue;
        };
        let missing: Vec<_> = before.missing.iter().chain(&after.missing).cloned().collect();
        if !missing.is_empty() {
            let text = format!(
                "{}: nothing is said of its plan; {}",
                index_of(arm),
                evidence::in_words(&missing)
            );
            section.blocks.push(
                Callout {
                    tone: Tone::Caution,
                    text: Text::plain(text),
                }
                .into(),
            );
            continue;
        }
        section.blocks.push(
            PlanDiff {
                statement: after.statement,
                digest: after.digest,
                before_name: index_of(baseline),
                after_name: index_of(arm),
                before: before.lines.clone(),
                after: after.lines,
            }
            .into(),
        );
    }
    section
}

/// What holds pay: every one must keep the index up to date.
fn got_worse(context: &Context<'_>, slices: &[Slice]) -> GotWorse {
    let Some(group) = context.plan.groups.last() else {
        return GotWorse::unknown("no size was measured");
    };
    let places = common::places(context.manifest(), group);
    let names: Vec<&Arm> = group.arms.iter().filter(|arm| places.contains_key(&arm.name)).collect();
    let groups = names
        .iter()
        .map(|arm| {
            let place = places.get(&arm.name).copied().unwrap_or_default();
            let bar = |q: f64| {
                let estimate = merged_quantile(slices, place, |e| e == Endpoint::Hold, Ratio(q), Ratio(0.95))?;
                let seconds = |value: crate::analysis::quantile::Value| value.finite().map(|ns| ns as f64 / 1e9);
                let interval = estimate.lower.and_then(seconds).zip(estimate.upper.and_then(seconds));
                Some(Bar {
                    value: seconds(estimate.value)?,
                    interval,
                })
            };
            BarGroup {
                name: index_of(arm),
                bars: vec![bar(0.5), bar(0.95)],
            }
        })
        .collect();
    let chart = context.chart(
        "write-cost",
        &format!("Hold: service time under each index, {}", group.name),
        &context.subtitle(group),
        Figure::Bars(Bars {
            value: Axis::new("service time of a hold", Unit::Seconds),
            log: false,
            series: vec![Key::new("p50", 0), Key::new("p95", 1)],
            groups,
        }),
        "A hold changes a seat's status, and so its place in every index that begins with or holds the status.",
        "Bars of the hold's median and p95 under each index, with 95 % intervals.",
    );
    let mut found = costs::got_worse(context, slices, "A hold must also keep the index up to date.");
    found.push(Block::from(chart));
    found.push(sizes(context).into());
    found
}

/// What an index takes on the disk, and with it in the buffer pool.
fn sizes(context: &Context<'_>) -> Table {
    let mut table = Table::new(
        "Size of the indexes of the table of seats, after seeding",
        [
            Column::text("Rows"),
            Column::text("Index"),
            Column::number("Indexes", Unit::Bytes),
            Column::number("More than without", Unit::Bytes),
        ],
    );
    for group in &context.plan.groups {
        let places = common::places(context.manifest(), group);
        let size_of_arm = |arm: &Arm| {
            let place = places.get(&arm.name)?;
            context.experiment.events.iter().find_map(|event| match &event.what {
                What::Size { variant, of, size, .. } if variant == place && of == INDEXES => {
                    size.map(|size| size.0 as f64)
                }
                _ => None,
            })
        };
        let without = group.baseline().and_then(size_of_arm);
        for arm in group.arms.iter().filter(|arm| !arm.is_control()) {
            let size = size_of_arm(arm);
            table.row([
                Cell::from(size_of(group)),
                Cell::from(index_of(arm)),
                Cell::Number(size),
                Cell::Number(size.zip(without).map(|(size, without)| size - without)),
            ]);
        }
    }
    table
}
