//! What every report opens with: badges, environment, command, effects; and the pieces that several kinds share.

use std::collections::BTreeMap;

use crate::analysis::compare::{self, FEWEST_REQUESTS, Metric, Pairs, Slice, Tally};
use crate::analysis::effect::{self, Effect, NoiseFloor};
use crate::analysis::quantile::{self, Value};
use crate::chart::{CdfCurve, Decision, EffectRow, Key};
use crate::format::{self, Unit};
use crate::plan::{Arm, Group};
use crate::recording::event::{Accounting, What};
use crate::recording::store::SLOWEST_FILE;
use crate::recording::{Endpoint, Event, Manifest, Recording};
use crate::report::kinds::evidence;
use crate::report::{Badge, Badges, Cell, Column, EffectLine, Estimate, RawLink, Table, Text};
use crate::units::{Nanos, Ratio};
use crate::verdict::ledger::{LedgerReport, Overall, Verdict as Ruling};
use crate::verdict::lint::{Missing, Rule};

/// Machine, engines and versions in one line.
pub(super) fn environment(manifest: &Manifest) -> String {
    let machine = &manifest.environment;
    let mut parts = Vec::new();
    if let Some(model) = &machine.cpu_model {
        parts.push(model.clone());
    }
    if let Some(cores) = machine.cores {
        parts.push(format!("{cores} cores"));
    }
    if let Some(memory) = machine.memory {
        parts.push(format::quantity(Unit::Bytes, Some(memory.0 as f64)));
    }
    if let Some(kernel) = &machine.kernel {
        parts.push(format!("Linux {kernel}"));
    }
    for dependency in &manifest.dependencies {
        let version = dependency.version.as_deref().unwrap_or("of unknown version");
        parts.push(format!("{} {version}", dependency.name));
    }
    parts.push(format!(
        "soundcheck {}{}",
        manifest.tool.version,
        manifest
            .tool
            .commit
            .as_deref()
            .map_or_else(String::new, |commit| format!(" ({commit})"))
    ));
    parts.join(" · ")
}

/// How far other clocks were from the run's, where that was measured.
pub(super) fn clocks(manifest: &Manifest) -> Option<Text> {
    let offsets: Vec<String> = manifest
        .clock
        .offsets
        .iter()
        .map(|offset| {
            let amount = |ns: u64| format::quantity(Unit::Seconds, Some(ns as f64 / 1e9));
            let sign = if offset.offset_ns < 0 { "−" } else { "+" };
            format!(
                "{} {sign}{} ± {}",
                offset.of,
                amount(offset.offset_ns.unsigned_abs()),
                amount(offset.uncertainty_ns)
            )
        })
        .collect();
    (!offsets.is_empty()).then(|| Text::plain(format!("Other clocks against the run's own: {}.", offsets.join(", "))))
}

/// What limits every number of a report.
pub(super) fn mark(manifest: &Manifest) -> Option<String> {
    (manifest.stack.as_deref() == Some("embedded")).then(|| "SQLite numbers".to_owned())
}

/// Every arrival of the measured load, added up.
pub(super) fn accounting(events: &[Event]) -> Accounting {
    let mut sum = Accounting::default();
    for event in events {
        if let What::Accounting { counts, .. } = &event.what {
            sum.add(counts);
        }
    }
    sum
}

/// Whether the run can be trusted.
pub(super) fn badges(ledger: &LedgerReport, events: &[Event], doubts: &[String], late_p99: Option<Nanos>) -> Badges {
    Badges {
        invariants: invariants_badge(ledger),
        generator: generator_badge(&accounting(events), doubts, late_p99),
    }
}

fn invariants_badge(ledger: &LedgerReport) -> Badge {
    let operations: u64 = ledger.variants.iter().map(|variant| variant.operations).sum();
    let operations = format::quantity(Unit::Count, Some(operations as f64));
    match ledger.overall() {
        Overall::Valid => {
            let held = ledger
                .variants
                .iter()
                .flat_map(|variant| &variant.findings)
                .filter(|finding| finding.verdict == Ruling::Valid)
                .map(|finding| finding.invariant)
                .collect::<std::collections::BTreeSet<_>>()
                .len();
            Badge::pass(format!("{held} invariants hold over {operations} operations"))
        }
        Overall::Invalid => {
            let broken: Vec<String> = ledger
                .broken()
                .map(|(variant, finding)| {
                    format!(
                        "{} ({variant}): {}",
                        finding.invariant.id(),
                        finding.invariant.promise()
                    )
                })
                .collect();
            Badge::broken(broken.join("; "))
        }
        Overall::Unknown => {
            let mut reasons: Vec<String> = Vec::new();
            for variant in &ledger.variants {
                reasons.extend(variant.doubts.iter().cloned());
                for finding in &variant.findings {
                    if let Ruling::Unknown {
                        reason,
                        exercised: true,
                    } = &finding.verdict
                    {
                        reasons.push(format!("{} ({}): {reason}", finding.invariant.id(), variant.name));
                    }
                }
            }
            reasons.truncate(3);
            Badge::unknown(if reasons.is_empty() {
                "nothing was recorded that could be checked".to_owned()
            } else {
                reasons.join("; ")
            })
        }
    }
}

/// Whether what was offered left when it was due.
fn generator_badge(sum: &Accounting, doubts: &[String], late_p99: Option<Nanos>) -> Badge {
    if sum.scheduled == 0 {
        return Badge::unknown("no arrival was accounted for");
    }
    let count = |n: u64| format::quantity(Unit::Count, Some(n as f64));
    let detail = format!(
        "{} of {} scheduled arrivals started, {} dropped, {} late; lateness p99 {}",
        count(sum.started),
        count(sum.scheduled),
        count(sum.dropped),
        count(sum.late),
        format::quantity(Unit::Seconds, late_p99.map(Nanos::as_secs_f64))
    );
    let imbalances = sum.imbalances();
    if !imbalances.is_empty() {
        Badge::broken(imbalances.join("; "))
    } else if doubts.is_empty() {
        Badge::pass(detail)
    } else {
        Badge::unknown(format!("{detail}; {}", doubts.join("; ")))
    }
}

/// A table of the invariants of every variant.
pub(super) fn invariants_table(ledger: &LedgerReport) -> Table {
    let mut table = Table::new(
        "The ledger: what must hold whatever the load",
        [
            Column::text("Variant"),
            Column::text("Invariant"),
            Column::text("Verdict"),
            Column::text("Rests on"),
        ],
    );
    for variant in &ledger.variants {
        for finding in &variant.findings {
            let (state, basis) = match &finding.verdict {
                Ruling::Valid => (Cell::Badge(crate::report::BadgeState::Pass), finding.basis.clone()),
                Ruling::Invalid { reason, witness } => {
                    let steps: Vec<&str> = witness.iter().map(|step| step.text.as_str()).collect();
                    (
                        Cell::Badge(crate::report::BadgeState::Broken),
                        format!("{reason}: {}", steps.join(" → ")),
                    )
                }
                // What nothing could have broken says nothing; a row for it would be noise.
                Ruling::Unknown { exercised: false, .. } => continue,
                Ruling::Unknown { reason, .. } => (Cell::Badge(crate::report::BadgeState::Unknown), reason.clone()),
            };
            table.row([
                Cell::from(variant.name.as_str()),
                Cell::from(format!("{} {}", finding.invariant.id(), finding.invariant.promise())),
                state,
                Cell::from(basis),
            ]);
        }
    }
    table
}

/// An effect on one metric, with everything that is said about it.
#[derive(Debug)]
pub(super) struct Comparison {
    /// `seat map p50, redis against off`.
    pub(super) claim: String,
    pub(super) candidate: String,
    pub(super) metric: Metric,
    pub(super) effect: Effect,
    pub(super) pairs: Pairs,
    /// What the linter misses; empty when the claim may be made.
    pub(super) missing: Vec<Missing>,
}

impl Comparison {
    /// Whether the candidate is better, when that may be said. Every metric compared is a time, and less of it is better.
    pub(super) fn decision(&self) -> Decision {
        match self.effect.decision {
            _ if !self.missing.is_empty() => Decision::Unknown,
            effect::Decision::Lower => Decision::Better,
            effect::Decision::Higher => Decision::Worse,
            _ => Decision::Unknown,
        }
    }

    /// Point and interval, where both are finite.
    pub(super) fn ratio(&self) -> Option<(f64, f64, f64)> {
        let interval = self.effect.interval?;
        let point = self.effect.estimate?;
        [point, interval.low, interval.high]
            .iter()
            .all(|value| value.is_finite())
            .then_some((point, interval.low, interval.high))
    }

    /// Why nothing is claimed, where nothing is.
    pub(super) fn withheld(&self) -> Option<String> {
        (!self.missing.is_empty()).then(|| evidence::in_words(&self.missing))
    }

    /// Whether the blocks are sound and do no more than fail to show an effect: then their interval may be printed, as
    /// what an effect is not larger than.
    pub(super) fn shows_no_effect(&self) -> bool {
        !self.missing.is_empty()
            && self
                .missing
                .iter()
                .all(|missing| matches!(missing.rule, Rule::Chance | Rule::NoiseFloor))
            && self.effect.noise_floor.is_some()
    }

    /// The line at the head of a report.
    pub(super) fn line(&self) -> EffectLine {
        let withheld = self.withheld();
        EffectLine {
            claim: self.claim.clone(),
            estimate: if withheld.is_none() {
                self.ratio().map(|(point, low, high)| Estimate::ratio(point, low, high))
            } else {
                None
            },
            rounds: u32::try_from(self.effect.blocks).ok(),
            launches: u32::try_from(self.effect.launches).ok(),
            decision: self.decision(),
            withheld,
        }
    }
}

/// The noise floor of a metric: the baseline against itself.
pub(super) fn floor(
    slices: &[Slice],
    baseline: u16,
    control: Option<u16>,
    endpoint: Endpoint,
    metric: Metric,
    seed: u64,
) -> Option<NoiseFloor> {
    let pairs = compare::pairs(slices, baseline, control?, |e| e == endpoint, metric);
    let values: Vec<f64> = pairs.blocks.iter().map(|block| block.value).collect();
    effect::noise_floor(&values, seed)
}

/// The row of a forest plot: what the line at the head says, so that a claim withheld there is not drawn either.
pub(super) fn row(line: &EffectLine) -> EffectRow {
    EffectRow {
        name: line.claim.clone(),
        ratio: line
            .estimate
            .map(|estimate| (estimate.point, estimate.low, estimate.high)),
        decision: line.decision,
    }
}

/// An endpoint as people call it.
pub(super) const fn words(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::QueueEnter => "queue entry",
        Endpoint::QueuePosition => "queue position",
        Endpoint::QueueLeave => "queue leave",
        Endpoint::Schedules => "dates",
        Endpoint::Seats => "seat map",
        Endpoint::Hold => "hold",
        Endpoint::ReadReservation => "read reservation",
        Endpoint::Cancel => "cancel",
        Endpoint::Pay => "payment",
        Endpoint::Balance => "balance",
        Endpoint::Charge => "charge",
        Endpoint::JourneyBrowse => "journey: browse",
        Endpoint::JourneyBook => "journey: book",
        Endpoint::JourneyAbandon => "journey: abandon",
        Endpoint::JourneyPosition => "journey: position",
        Endpoint::JourneySeatMap => "journey: seat map",
        Endpoint::JourneyHoldCycle => "journey: hold and cancel",
    }
}

pub(super) const fn metric_words(metric: Metric) -> &'static str {
    match metric {
        Metric::Throughput => "rate",
        Metric::P50 => "p50",
        Metric::P95 => "p95",
        Metric::P99 => "p99",
        Metric::FailureRatio => "failures",
    }
}

/// The places of a group's arms in the recording.
pub(super) fn places(manifest: &Manifest, group: &Group) -> BTreeMap<String, u16> {
    let wanted = |name: &str| group.arms.iter().any(|arm| arm.name == name);
    manifest
        .variants
        .iter()
        .zip(0_u16..)
        .filter(|(variant, _)| wanted(&variant.name))
        .map(|(variant, place)| (variant.name.clone(), place))
        .collect()
}

/// Response times of one variant as a table's cells: requests, p50, p95, p99, failures.
fn latency_cells(slices: &[Slice], variant: u16, endpoint: Endpoint) -> Vec<Cell> {
    let tally = Tally::of(
        slices
            .iter()
            .filter(|slice| slice.variant == variant)
            .map(|slice| &slice.cells),
        |e| e == endpoint,
    );
    let mut cells = vec![Cell::count(tally.as_ref().map(Tally::requests))];
    for q in [0.5, 0.95, 0.99] {
        let estimate = compare::merged_quantile(slices, variant, |e| e == endpoint, Ratio(q), Ratio(0.95));
        cells.push(estimate.map_or(Cell::Number(None), |estimate| {
            let seconds = |value: Value| value.finite().map(|ns| ns as f64 / 1e9);
            match (
                seconds(estimate.value),
                estimate.lower.and_then(seconds),
                estimate.upper.and_then(seconds),
            ) {
                (Some(point), Some(low), Some(high)) => Cell::Interval { point, low, high },
                (Some(point), ..) => Cell::Number(Some(point)),
                _ => Cell::Text(Text::plain("no answer")),
            }
        }));
    }
    cells.push(Cell::count(tally.map(|tally| tally.failures)));
    cells
}

/// A quantile in a sentence, with its interval where there is one.
pub(super) fn tail_text(estimate: Option<quantile::Estimate>) -> String {
    let Some(estimate) = estimate else {
        return format::MISSING.to_owned();
    };
    let seconds = |value: Value| value.finite().map(|ns| ns as f64 / 1e9);
    let Some(point) = seconds(estimate.value) else {
        return "no answer".to_owned();
    };
    match (estimate.lower.and_then(seconds), estimate.upper.and_then(seconds)) {
        (Some(low), Some(high)) => format::interval(Unit::Seconds, point, low, high),
        _ => format::quantity(Unit::Seconds, Some(point)),
    }
}

/// How long an endpoint took by arm, over all slices: a row for each arm, called `name`, in the column `arms`.
pub(super) fn latency_table(
    caption: impl Into<String>,
    (arms, name): (&str, impl Fn(&Arm) -> String),
    group: &Group,
    places: &BTreeMap<String, u16>,
    slices: &[Slice],
    endpoint: Endpoint,
) -> Table {
    let columns = [
        Column::text(arms),
        Column::number(format!("{}: requests", words(endpoint)), Unit::Count),
        Column::number("p50", Unit::Seconds),
        Column::number("p95", Unit::Seconds),
        Column::number("p99", Unit::Seconds),
        Column::number("Failed", Unit::Count),
    ];
    let mut table = Table::new(caption, columns);
    for arm in &group.arms {
        if let Some(place) = places.get(&arm.name) {
            let mut row = vec![Cell::from(name(arm))];
            row.extend(latency_cells(slices, *place, endpoint));
            table.row(row);
        }
    }
    table
}

/// The distribution of a variant's response times; `None` without requests.
pub(super) fn cdf(slices: &[Slice], variant: u16, endpoint: Endpoint, key: Key) -> Option<CdfCurve> {
    let tally = Tally::of(
        slices
            .iter()
            .filter(|slice| slice.variant == variant)
            .map(|slice| &slice.cells),
        |e| e == endpoint,
    )?;
    let total = (tally.successes.len() + tally.failures) as f64;
    if total == 0.0 {
        return None;
    }
    let mut seen = 0;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for step in tally.successes.iter_recorded() {
        seen += step.count_at_value();
        points.push((step.value_iterated_to() as f64 / 1e9, seen as f64 / total));
    }
    // A few hundred points draw the same line as a few thousand, in a file a tenth of the size.
    let stride = points.len().div_ceil(400).max(1);
    let last = points.last().copied();
    let mut thinned: Vec<(f64, f64)> = points.into_iter().step_by(stride).collect();
    if let Some(last) = last.filter(|last| thinned.last() != Some(last)) {
        thinned.push(last);
    }
    Some(CdfCurve { key, points: thinned })
}

/// What a reader has to be told about thin slices.
pub(super) fn thin_slices(comparisons: &[Comparison]) -> Option<Text> {
    let fewest = comparisons
        .iter()
        .map(|comparison| comparison.pairs.fewest_requests)
        .min()?;
    (fewest < FEWEST_REQUESTS).then(|| {
        Text::plain(format!(
            "The thinnest slice holds {fewest} requests of the endpoint compared, fewer than the {FEWEST_REQUESTS} that make a slice's quantiles steady. The decision stays exact, since it rests on the blocks; the interval is wider for it."
        ))
    })
}

/// The raw files of a recording, for the end of a report.
pub(super) fn raw(recording: &Recording) -> Vec<RawLink> {
    [
        ("manifest.json", "machine, versions, command, variants"),
        ("plan.yaml", "what was planned, as resolved"),
        ("events.jsonl", "launches, slices, faults, accounting, notes"),
        (
            "latency.hlog",
            "histograms by slice or second, endpoint, outcome and clock",
        ),
        ("series.ndjson", "everything that was scraped, gaps included"),
        (
            SLOWEST_FILE,
            "what the service logged of the slowest requests and of their journeys",
        ),
        ("verdict.json", "the verdict for machines"),
    ]
    .into_iter()
    .filter(|(name, _)| *name == "verdict.json" || recording.dir().join(name).exists())
    .map(|(name, what)| RawLink::new(name, what))
    .collect()
}

/// The command that repeats a run, as a shell takes it.
pub(super) fn command(manifest: &Manifest) -> String {
    let words: Vec<String> = manifest.command.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// A word as a shell takes it: in quotes where it holds what a shell would read as its own.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// When it was recorded, in UTC to the second.
pub(super) fn recorded(manifest: &Manifest) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(manifest.clock.unix_ns)).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("--seed"), "--seed");
        assert_eq!(
            quoted("mysql://root:***@h:3306/?a=b&c=d"),
            "'mysql://root:***@h:3306/?a=b&c=d'"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_generators_badge_tells_what_left_and_how_late() {
        let sum = Accounting {
            scheduled: 1_010,
            started: 1_000,
            dropped: 10,
            ok: 1_000,
            late: 3,
            ..Accounting::default()
        };
        let badge = generator_badge(&sum, &[], Some(Nanos(350_000)));
        assert_eq!(
            badge.detail,
            "1,000 of 1,010 scheduled arrivals started, 10 dropped, 3 late; lateness p99 350\u{a0}µs"
        );
        let unmeasured = generator_badge(&sum, &[], None);
        assert!(unmeasured.detail.ends_with("lateness p99 n/a"), "{}", unmeasured.detail);
        let in_doubt = generator_badge(&sum, &["base: too late".to_owned()], None);
        assert!(
            in_doubt.detail.ends_with("lateness p99 n/a; base: too late"),
            "{}",
            in_doubt.detail
        );
    }
}
