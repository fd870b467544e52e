//! A recording with everything derived from it that the experiment reports share.

use std::collections::BTreeMap;
use std::time::Duration;

use super::common::{self, Comparison};
use super::evidence::{self, Sides};
use crate::analysis::compare::{self, FEWEST_REQUESTS, Metric, Slice};
use crate::analysis::digest::is_seat_map;
use crate::analysis::effect::{self, SIGNIFICANCE, Scale};
use crate::analysis::experiment::{Experiment, edge_source};
use crate::chart::{Chart, Decision, Figure};
use crate::format::{self, Unit};
use crate::plan::{ExperimentPlan, Group};
use crate::recording::event::{self, NoteLevel, What};
use crate::recording::{Endpoint, Manifest, Recording};
use crate::report::{
    Badges, Block, Callout, Cell, ChartBlock, Column, Document, EffectLine, GotWorse, Section, Table, Text, Tone,
    Verdict,
};
use crate::units::Nanos;
use crate::verdict::ledger::{LedgerReport, Overall};

/// What is claimed of each candidate. p99 is not among it: in one slice it rests on a handful of requests.
const CLAIMED: [Metric; 2] = [Metric::P50, Metric::P95];

/// How many claims the head of a plan's report makes.
fn n_claims(plan: &ExperimentPlan) -> usize {
    let candidates = |group: &Group| group.arms.iter().skip(1).filter(|arm| !arm.is_control()).count();
    CLAIMED.len() * plan.groups.iter().map(candidates).sum::<usize>()
}

/// How long the slices of the groups are, and after how many blocks each launches anew: once where all are alike, and
/// else one by one.
fn layout(plan: &ExperimentPlan) -> (String, String) {
    let of_each = |text: &dyn Fn(&Group) -> String| {
        let texts: Vec<String> = plan.groups.iter().map(text).collect();
        if texts.windows(2).all(|pair| pair[0] == pair[1]) {
            return texts.into_iter().next().unwrap_or_default();
        }
        let named = texts
            .iter()
            .zip(&plan.groups)
            .map(|(text, group)| format!("{text} ({})", group.name));
        named.collect::<Vec<_>>().join(" or ")
    };
    (
        of_each(&|group| format!("{} ms", group.design.slice_ms)),
        of_each(&|group| (group.design.blocks / group.design.launches.max(1)).to_string()),
    )
}

/// What the kinds are built from.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) recording: &'a Recording,
    pub(super) plan: &'a ExperimentPlan,
    pub(super) experiment: &'a Experiment,
    pub(super) ledger: &'a LedgerReport,
    pub(super) doubts: Vec<String>,
    /// Doubts about response times, on which no claim here rests.
    pub(super) lag: Vec<String>,
    /// The 99th percentile of how late journeys began, of the variant with the longest.
    pub(super) late_p99: Option<Nanos>,
    /// Variant by variant, for how long each seat that a sampled seat map showed had been gone, in ascending order; empty
    /// where the report does not ask.
    pub(super) staleness: Vec<Vec<Duration>>,
}

impl Context<'_> {
    pub(super) fn manifest(&self) -> &Manifest {
        self.recording.manifest()
    }

    /// A document with its head filled in and nothing said yet.
    pub(super) fn opening(&self, title: &str) -> Document {
        let badges: Badges = common::badges(self.ledger, &self.experiment.events, &self.doubts, self.late_p99);
        super::blank(self.recording, title, badges)
    }

    /// The same document as a statement that nothing is known.
    pub(super) fn unknown(&self, mut document: Document, reason: &str) -> Document {
        document.verdict = Verdict::Unknown;
        document.sentence = Text::plain(format!("Nothing can be said: {reason}."));
        document.got_worse = GotWorse::unknown(reason);
        document
    }

    /// The baseline, and the candidates without the control.
    #[expect(clippy::type_complexity, reason = "a pair and a list of pairs")]
    pub(super) fn sides<'g>(
        &self,
        group: &'g Group,
        places: &BTreeMap<String, u16>,
    ) -> Option<((u16, &'g str), Vec<(u16, &'g str)>)> {
        let place = |name: &str| places.get(name).copied();
        let baseline = group.baseline()?;
        let candidates = group
            .arms
            .iter()
            .skip(1)
            .filter(|arm| !arm.is_control())
            .filter_map(|arm| Some((place(&arm.name)?, arm.name.as_str())))
            .collect();
        Some(((place(&baseline.name)?, baseline.name.as_str()), candidates))
    }

    /// The claims of the head: the level is shared among all of them, since the best of many looks good by chance.
    pub(super) fn claims(
        &self,
        slices: &[Slice],
        places: &BTreeMap<String, u16>,
        group: &Group,
        endpoint: Endpoint,
    ) -> Vec<Comparison> {
        self.compare(slices, places, group, endpoint, effect::shared(n_claims(self.plan)))
    }

    /// What a gain may cost, each tested on its own: an alarm too many is cheaper than a cost that is missed.
    pub(super) fn warnings(
        &self,
        slices: &[Slice],
        places: &BTreeMap<String, u16>,
        group: &Group,
        endpoint: Endpoint,
    ) -> Vec<Comparison> {
        self.compare(slices, places, group, endpoint, SIGNIFICANCE)
    }

    /// Every candidate against the baseline on every metric, each with the noise floor of its metric.
    fn compare(
        &self,
        slices: &[Slice],
        places: &BTreeMap<String, u16>,
        group: &Group,
        endpoint: Endpoint,
        level: f64,
    ) -> Vec<Comparison> {
        let Some((baseline, candidates)) = self.sides(group, places) else {
            return Vec::new();
        };
        let control = group.control().and_then(|arm| places.get(&arm.name).copied());
        let seed = self.plan.seed;
        let mut found = Vec::new();
        for metric in CLAIMED {
            let floor = common::floor(slices, baseline.0, control, endpoint, metric, seed);
            for candidate in &candidates {
                let pairs = compare::pairs(slices, baseline.0, candidate.0, |e| e == endpoint, metric);
                let effect = effect::effect(Scale::Ratio, &pairs.blocks, floor, level, seed);
                let sides = Sides {
                    group,
                    baseline,
                    candidate: *candidate,
                    endpoint,
                };
                found.push(Comparison {
                    claim: format!(
                        "{} {}, {} against {}",
                        common::words(endpoint),
                        common::metric_words(metric),
                        candidate.1,
                        baseline.1
                    ),
                    candidate: candidate.1.to_owned(),
                    metric,
                    missing: evidence::of_service_time(self, slices, sides, &effect),
                    effect,
                    pairs,
                });
            }
        }
        found
    }

    /// The verdict of an experiment: an effect that is shown passes, a broken invariant voids it, doubts make it unknown.
    pub(super) fn verdict_of(
        &self,
        reads: &[Comparison],
        sentence: impl Fn(&Comparison, &str) -> String,
        nothing: &str,
    ) -> (Verdict, Text) {
        match self.ledger.overall() {
            Overall::Invalid => {
                let broken = self.ledger.broken().next();
                let which = broken.map_or_else(String::new, |(variant, finding)| {
                    format!(" ({variant}: {})", finding.invariant.promise())
                });
                return (
                    Verdict::Broken,
                    Text::plain(format!("An invariant is broken{which}; no speed is claimed.")),
                );
            }
            Overall::Unknown => {
                return (
                    Verdict::Unknown,
                    Text::plain("Whether every invariant held is unknown, so no speed is claimed; see the badge."),
                );
            }
            Overall::Valid => {}
        }
        if let Some(doubt) = self.doubts.first() {
            return (
                Verdict::Unknown,
                Text::marked(&format!("The run cannot carry a claim: {doubt}.")),
            );
        }
        let shown = reads
            .iter()
            .filter(|comparison| comparison.decision() == Decision::Better);
        let best = shown
            .filter(|comparison| comparison.metric == Metric::P50)
            .filter_map(|comparison| comparison.ratio().map(|ratio| (comparison, ratio)))
            .min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0));
        match best {
            Some((best, (point, low, high))) => {
                let ratio = format::interval(Unit::Ratio, point, low, high);
                (Verdict::Pass, Text::marked(&sentence(best, &ratio)))
            }
            None if reads.iter().any(|comparison| comparison.decision() == Decision::Worse) => (
                Verdict::Fail,
                Text::plain("Every effect that is shown is for the worse; see the list below."),
            ),
            None => (Verdict::Unknown, Text::plain(nothing)),
        }
    }

    /// The lines at the head. Where the ledger or the load is in doubt no speed is claimed, and the lines say so.
    pub(super) fn effects<'c>(
        &self,
        comparisons: impl Iterator<Item = &'c Comparison>,
        verdict: Verdict,
    ) -> Vec<EffectLine> {
        let is_void =
            matches!(verdict, Verdict::Broken) || self.ledger.overall() != Overall::Valid || !self.doubts.is_empty();
        comparisons
            .map(|comparison| {
                let line = comparison.line();
                if is_void && line.estimate.is_some() {
                    EffectLine {
                        estimate: None,
                        decision: Decision::Unknown,
                        withheld: Some("the run cannot carry a claim; see the badges".to_owned()),
                        ..line
                    }
                } else {
                    line
                }
            })
            .collect()
    }

    /// How much a counter of the seat map's own statement grew in a slice, in the server and in the variant's own schema;
    /// `None` where the server counts nothing. `counter` is the end of the name, such as `rows_examined_total`.
    pub(super) fn seat_maps_executed(&self, slice: &event::Slice, counter: &str) -> Option<f64> {
        const PREFIX: &str = "mysql_perf_schema_events_statements_";
        let name = &self.manifest().variants.get(usize::from(slice.variant))?.name;
        let source = edge_source(name);
        let mut labels = self
            .experiment
            .series
            .named("mysql_perf_schema_events_statements_total")
            .filter(|series| series.def.source == source)
            .map(|series| &series.def.labels);
        let seat_map = labels.find(|labels| labels.get("digest_text").is_some_and(|text| is_seat_map(text)))?;
        let digest = seat_map.get("digest")?;
        self.experiment
            .growth(slice, &format!("{PREFIX}{counter}"), &[("digest", digest)])
    }

    /// Load and layout in one line, for under a chart's title.
    pub(super) fn subtitle(&self, group: &Group) -> String {
        let load = self.offered(group).map_or_else(String::new, |rate| {
            format!(
                "{} offered to each variant, ",
                format::quantity(Unit::PerSecond, Some(rate))
            )
        });
        let name = if group.name.is_empty() {
            String::new()
        } else {
            format!("{}, ", group.name)
        };
        format!(
            "{name}{load}{} blocks over {} launches",
            group.design.blocks, group.design.launches
        )
    }

    /// The rate that was offered to every arm of the group.
    pub(super) fn offered(&self, group: &Group) -> Option<f64> {
        self.experiment.events.iter().find_map(|event| match &event.what {
            What::Fact { name, value, .. } if *name == crate::plan::offered_fact(&group.name) => Some(*value),
            _ => None,
        })
    }

    pub(super) fn chart(
        &self,
        id: &str,
        title: &str,
        subtitle: &str,
        figure: Figure,
        caption: &str,
        alt: &str,
    ) -> ChartBlock {
        ChartBlock {
            id: id.to_owned(),
            chart: Chart {
                title: title.to_owned(),
                subtitle: Some(subtitle.to_owned()),
                figure,
            },
            caption: Text::plain(caption),
            alt: alt.to_owned(),
        }
    }

    /// How the load was chosen: what each arm bore when asked as fast as it could answer.
    pub(super) fn probe_section(&self, group: &Group, places: &BTreeMap<String, u16>) -> Section {
        let mut table = Table::new(
            "What each variant bore when it was asked as fast as it answered",
            [
                Column::text("Variant"),
                Column::number("Answered", Unit::PerSecond),
                Column::number("p99 at that rate", Unit::Seconds),
            ],
        );
        for arm in &group.arms {
            let Some(place) = places.get(&arm.name) else { continue };
            for event in &self.experiment.events {
                if let What::Probe {
                    variant, achieved, p99, ..
                } = &event.what
                    && variant == place
                {
                    table.row([
                        Cell::from(arm.name.as_str()),
                        Cell::Number(achieved.map(|rate| rate.0)),
                        Cell::Number(p99.map(Nanos::as_secs_f64)),
                    ]);
                }
            }
        }
        let offered = format::quantity(Unit::PerSecond, self.offered(group));
        let share = format::quantity(Unit::Percent, Some(self.plan.load.0));
        Section::new(if group.name.is_empty() { "How the load was chosen".to_owned() } else { format!("How the load was chosen: {}", group.name) })
            .with(Text::plain(format!(
                "Every variant was offered {offered}: {share} of what the slowest one bore. At a load that one variant cannot bear, a comparison would show its queue and not its speed."
            )))
            .with(table)
    }

    /// What somebody might look for in the report and would not find, so that its silence is not taken for an answer.
    pub(super) fn not_tried(&self, items: &[&str]) -> Section {
        Section::new("Not tried here")
            .with("This report says nothing of the following, neither for nor against:")
            .with(Block::List {
                ordered: false,
                items: items.iter().map(|item| Text::plain(*item)).collect(),
            })
    }

    /// The invariants, variant by variant.
    pub(super) fn ledger_section(&self) -> Section {
        let mut section = Section::new("Was anything sold twice?").with(common::invariants_table(self.ledger));
        for variant in &self.ledger.variants {
            for doubt in &variant.doubts {
                section.blocks.push(
                    Callout {
                        tone: Tone::Caution,
                        text: Text::plain(format!("{}: {doubt}", variant.name)),
                    }
                    .into(),
                );
            }
        }
        section
    }

    /// Method and warnings.
    pub(super) fn notes(&self) -> Vec<Text> {
        let (slices, blocks) = layout(self.plan);
        let mut notes = vec![Text::plain(format!(
            "Method: every variant is a live process on one stack with data of its own from one seed. A block holds one slice of {slices} of each variant in seeded random order, of which the first 250 ms and requests across an edge are left out; after every {blocks} blocks all variants are launched again. Per block the ratio to the baseline is taken; the exact two-sided signed-rank test decides, a bootstrap-t over blocks gives the 95 % interval, and the baseline run twice gives the noise floor. The {} claims at the head share an error of 1 %, so that each is tested at {} (Bonferroni); the sentence names the smallest ratio of those shown, whose interval is not widened for being chosen. Costs are tested at 1 % each, since an alarm too many is cheaper there than a cost that is missed. p99 rests on too few requests a slice to decide anything: it is read from the histograms of all slices, and advises. Failed requests count as endlessly slow. Slices with fewer than {FEWEST_REQUESTS} requests are said to be thin.",
            n_claims(self.plan),
            format::quantity(Unit::Percent, Some(100.0 * effect::shared(n_claims(self.plan))))
        ))];
        for event in &self.experiment.events {
            if let What::Note {
                level: NoteLevel::Warning,
                text,
            } = &event.what
            {
                notes.push(Text::plain(text.clone()));
            }
        }
        if !self.lag.is_empty() {
            notes.push(Text::plain(format!(
                "Claims compare service times, from the send to the last byte, since the generator shares its processors with what it measures: {}.",
                self.lag.join("; ")
            )));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Profile;
    use crate::plan::spec::{self, Engine};

    /// Blocks that all agree have a p value of 2 / 2^blocks; no test of fewer could show what all of them show.
    #[track_caller]
    fn check(plan: &ExperimentPlan, expected: usize) {
        let n = n_claims(plan);
        assert_eq!(n, expected, "{} {:?}", plan.kind, plan.profile);
        for group in &plan.groups {
            let smallest = 2.0_f64.powi(1 - i32::try_from(group.design.blocks).unwrap());
            assert!(
                smallest <= effect::shared(n),
                "{} {:?}: {n} claims of {} blocks could never be shown",
                plan.kind,
                plan.profile,
                group.design.blocks
            );
        }
    }

    #[test]
    fn slices_of_several_lengths_are_told_one_by_one() {
        let told = |plan: &ExperimentPlan| layout(plan);
        let alike = told(&spec::index(Profile::Full, 1));
        assert_eq!(alike, ("3000 ms".to_owned(), "8".to_owned()));
        let quick = told(&spec::index(Profile::Quick, 1));
        assert_eq!(
            quick,
            ("850 ms (10k rows) or 1000 ms (100k rows)".to_owned(), "4".to_owned())
        );
    }

    #[test]
    fn every_plan_has_blocks_enough_for_all_of_its_claims() {
        for profile in [Profile::Smoke, Profile::Quick, Profile::Full] {
            check(&spec::cache(Engine::MySql, profile, 1), 4);
            check(&spec::cache(Engine::Sqlite, profile, 1), 2);
        }
        check(&spec::index(Profile::Smoke, 1), 6);
        check(&spec::index(Profile::Quick, 1), 12);
        check(&spec::index(Profile::Full, 1), 18);
    }
}
