//! The overview: one page over the reports of one call, from a summary that it keeps in its own folder.

use serde::{Deserialize, Serialize};

use super::over_time::EntryTimeline;
use super::{KindError, blank};
use crate::chart::{self, Chart, EffectRow, Effects, Figure, Multiple, Multiples};
use crate::recording::Recording;
use crate::report::{
    Badge, BadgeState, Badges, Block, Cell, ChartBlock, Column, Document, GotWorse, Inline, Section, Table, Text,
    Verdict,
};

/// The file with the summary, in the overview's folder.
pub const SUMMARY_FILE: &str = "summary.json";

/// What the overview keeps of each report.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    pub reports: Vec<Entry>,
    /// What was asked for and is not among the reports, or only in part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// A kind without a whole report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Missing {
    pub kind: String,
    pub why: String,
}

/// One report in short.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub kind: String,
    pub title: String,
    /// `pass`, `fail`, `unknown` or `broken`.
    pub verdict: String,
    pub sentence: String,
    /// The name of the recording's folder, beside the overview's.
    pub folder: String,
    pub invariants: (String, String),
    pub generator: (String, String),
    pub effects: Vec<EntryEffect>,
    /// What a report without effects shows in small: the incident's requests over time. Older summaries have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_time: Option<EntryTimeline>,
}

/// One effect in short; a claim that was withheld has no ratio.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EntryEffect {
    pub claim: String,
    /// Point, low, high.
    pub ratio: Option<(f64, f64, f64)>,
    pub decision: String,
}

impl Summary {
    /// Of reports and the names of their folders.
    pub fn of<'a>(reports: impl IntoIterator<Item = (&'a str, &'a Document)>) -> Self {
        let reports = reports.into_iter().map(|(folder, document)| Entry {
            kind: document.kind.clone(),
            title: document.title.clone(),
            verdict: document.verdict.word().to_owned(),
            sentence: document.sentence.to_plain(),
            folder: folder.to_owned(),
            invariants: (
                document.badges.invariants.state.word().to_owned(),
                document.badges.invariants.detail.clone(),
            ),
            generator: (
                document.badges.generator.state.word().to_owned(),
                document.badges.generator.detail.clone(),
            ),
            effects: document
                .effects
                .iter()
                .map(|line| EntryEffect {
                    claim: line.claim.clone(),
                    ratio: line
                        .estimate
                        .map(|estimate| (estimate.point, estimate.low, estimate.high)),
                    decision: line.decision.word().to_owned(),
                })
                .collect(),
            over_time: if document.effects.is_empty() {
                EntryTimeline::of(document)
            } else {
                None
            },
        });
        Self {
            reports: reports.collect(),
            missing: Vec::new(),
        }
    }

    /// The sum: broken beats fail, fail beats unknown, unknown beats pass, and nothing, or not all, is unknown.
    pub fn verdict(&self) -> Verdict {
        let has = |word: &str| self.reports.iter().any(|entry| entry.verdict == word);
        if has("broken") {
            Verdict::Broken
        } else if has("fail") {
            Verdict::Fail
        } else if self.reports.is_empty() || !self.missing.is_empty() || has("unknown") {
            Verdict::Unknown
        } else {
            Verdict::Pass
        }
    }
}

/// Builds the report.
pub(super) fn document(recording: &Recording) -> Result<Document, KindError> {
    let path = recording.dir().join(SUMMARY_FILE);
    let text = std::fs::read(&path).map_err(|source| KindError::Summary {
        path: path.clone(),
        source,
    })?;
    let summary: Summary = serde_json::from_slice(&text).map_err(|source| KindError::Summary {
        path,
        source: source.into(),
    })?;
    let badges = Badges {
        invariants: badge(summary.reports.iter().map(|entry| (entry, &entry.invariants))),
        generator: badge(summary.reports.iter().map(|entry| (entry, &entry.generator))),
    };
    let mut document = blank(recording, "Overview", badges);
    document.verdict = summary.verdict();
    document.sentence = Text::plain(sentence(&summary));
    let mut table = Table::new(
        "The reports of this call",
        [
            Column::text("Report"),
            Column::text("Verdict"),
            Column::text("In one sentence"),
        ],
    );
    for entry in &summary.reports {
        let link = Inline::Link {
            text: entry.title.clone(),
            href: format!("../{}/report.html", entry.folder),
        };
        table.row([
            Cell::from(Text(vec![link])),
            Cell::from(entry.verdict.as_str()),
            Cell::from(entry.sentence.as_str()),
        ]);
    }
    for missing in &summary.missing {
        table.row([
            Cell::from(missing.kind.as_str()),
            Cell::from(Verdict::Unknown.word()),
            Cell::from(missing.why.as_str()),
        ]);
    }
    document.sections.push(Section::new("Reports").with(table));
    document
        .sections
        .push(Section::new("At a glance").with(multiples(&summary)));
    let withheld: Vec<Text> = summary
        .reports
        .iter()
        .flat_map(|entry| &entry.effects)
        .filter(|effect| effect.decision == chart::Decision::Worse.word())
        .map(|effect| Text::plain(effect.claim.clone()))
        .collect();
    document.got_worse = if withheld.is_empty() {
        GotWorse::of(
            Text::plain(
                "No effect at the head of a report is for the worse. What each gain costs stands in its own report, under the same heading.",
            ),
            [],
        )
    } else {
        GotWorse::of(
            Text::plain("For the worse:"),
            [Block::List {
                ordered: false,
                items: withheld,
            }],
        )
    };
    Ok(document)
}

fn sentence(summary: &Summary) -> String {
    let parts: Vec<String> = summary
        .reports
        .iter()
        .map(|entry| format!("{}: {}", entry.kind, entry.verdict))
        .collect();
    let mut sentence = if parts.is_empty() {
        "No report was made.".to_owned()
    } else {
        format!("{}.", parts.join(", "))
    };
    if !summary.missing.is_empty() {
        let missing: Vec<&str> = summary.missing.iter().map(|missing| missing.kind.as_str()).collect();
        sentence.push_str(&format!(" Not measured to the end: {}.", missing.join(", ")));
    }
    sentence
}

fn badge<'a>(states: impl Iterator<Item = (&'a Entry, &'a (String, String))>) -> Badge {
    let mut worst = None;
    let mut details = Vec::new();
    for (entry, (state, detail)) in states {
        details.push(format!("{}: {detail}", entry.kind));
        let rank = if state == BadgeState::Broken.word() {
            2
        } else {
            u8::from(state != BadgeState::Pass.word())
        };
        worst = Some(worst.map_or(rank, |worst: u8| worst.max(rank)));
    }
    let detail = details.join("; ");
    match worst {
        Some(0) => Badge::pass(detail),
        Some(2) => Badge::broken(detail),
        Some(_) => Badge::unknown(detail),
        None => Badge::unknown("no report was made"),
    }
}

fn multiples(summary: &Summary) -> ChartBlock {
    let items: Vec<Multiple> = summary
        .reports
        .iter()
        .map(|entry| Multiple {
            title: entry.title.clone(),
            subtitle: None,
            figure: small(entry),
        })
        .collect();
    let figure = if items.is_empty() {
        Figure::NoData("no report was made".to_owned())
    } else {
        Figure::Multiples(Multiples { items })
    };
    ChartBlock {
        id: "overview".to_owned(),
        chart: Chart {
            title: "At a glance".to_owned(),
            subtitle: None,
            figure,
        },
        caption: "One small figure a report. In those of effects 1 means no effect, and a claim that was withheld has no point; an incident shows what became of requests, with the fault.".into(),
        alt: "For each report a small forest plot of its effects, or its requests over time; each report's own page holds the numbers.".to_owned(),
    }
}

/// The small figure of one report: its effects, else what it shows over time.
fn small(entry: &Entry) -> Figure {
    if entry.effects.is_empty() {
        return entry.over_time.as_ref().map_or_else(
            || Figure::NoData("nothing was compared, and nothing drawn over time".to_owned()),
            EntryTimeline::figure,
        );
    }
    let decision = |word: &str| {
        [chart::Decision::Better, chart::Decision::Worse, chart::Decision::Same]
            .into_iter()
            .find(|decision| decision.word() == word)
            .unwrap_or(chart::Decision::Unknown)
    };
    Figure::Effects(Effects {
        axis: "service time, variant ÷ baseline".to_owned(),
        ends: Some(("faster".to_owned(), "slower".to_owned())),
        margins: None,
        rows: entry
            .effects
            .iter()
            .map(|effect| EffectRow {
                name: effect.claim.clone(),
                ratio: effect.ratio,
                decision: decision(&effect.decision),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::over_time::{EntryCurve, EntryFault};
    use super::*;
    use crate::chart::BandKind;
    use crate::format::Unit;

    fn entry(verdict: &str) -> Entry {
        Entry {
            kind: "cache".to_owned(),
            title: "Cache".to_owned(),
            verdict: verdict.to_owned(),
            sentence: String::new(),
            folder: "x".to_owned(),
            invariants: ("pass".to_owned(), String::new()),
            generator: ("pass".to_owned(), String::new()),
            effects: Vec::new(),
            over_time: None,
        }
    }

    #[test]
    fn every_report_has_its_small_figure() {
        let mut compared = entry("pass");
        compared.effects.push(EntryEffect {
            claim: "seat map p50".to_owned(),
            ratio: Some((0.5, 0.4, 0.6)),
            decision: "better".to_owned(),
        });
        let mut incident = entry("pass");
        incident.over_time = Some(EntryTimeline {
            title: "requests ended".to_owned(),
            unit: Unit::PerSecond,
            x_title: "time since the warm-up".to_owned(),
            range: Some((0.0, 3.0)),
            curves: vec![EntryCurve {
                name: "served".to_owned(),
                slot: 0,
                points: vec![(0.5, Some(9.0)), (1.5, None), (2.5, Some(9.0))],
            }],
            faults: vec![EntryFault {
                from: 1.0,
                to: 2.0,
                label: "MySQL paused".to_owned(),
            }],
        });
        // From before there was a figure over time.
        let mut older = serde_json::to_value(&incident).unwrap();
        older.as_object_mut().unwrap().remove("over_time");
        let older: Entry = serde_json::from_value(older).unwrap();
        let summary = Summary {
            reports: vec![compared, incident.clone(), older],
            missing: Vec::new(),
        };
        let Figure::Multiples(found) = multiples(&summary).chart.figure else {
            panic!("no grid");
        };
        let figures: Vec<&Figure> = found.items.iter().map(|item| &item.figure).collect();
        let [Figure::Effects(effects), Figure::Timeline(timeline), Figure::NoData(_)] = figures[..] else {
            panic!("{figures:?}");
        };
        assert_eq!(effects.rows.len(), 1);
        assert_eq!(timeline.panels[0].curves[0].points[1], (1.5, None));
        assert_eq!(timeline.bands[0].kind, BandKind::Fault);

        // What the incident's own report draws is what the overview keeps of it.
        let badges = Badges {
            invariants: Badge::pass(""),
            generator: Badge::pass(""),
        };
        let document = Document {
            title: "Incident".to_owned(),
            kind: "incident".to_owned(),
            verdict: Verdict::Pass,
            sentence: Text::default(),
            mark: None,
            badges,
            effects: Vec::new(),
            environment: None,
            recorded: None,
            command: String::new(),
            sections: vec![Section::new("What happened").with(ChartBlock {
                id: "timeline".to_owned(),
                chart: Chart {
                    title: String::new(),
                    subtitle: None,
                    figure: Figure::Timeline(timeline.clone()),
                },
                caption: Text::default(),
                alt: String::new(),
            })],
            got_worse: GotWorse::unknown("nothing was compared"),
            raw: Vec::new(),
            notes: Vec::new(),
        };
        let kept = Summary::of([("x", &document)]);
        assert_eq!(kept.reports[0].over_time, incident.over_time);
    }

    #[test]
    fn the_worst_verdict_is_the_sum_and_nothing_is_unknown() {
        let summary = |verdicts: &[&str]| Summary {
            reports: verdicts.iter().map(|v| entry(v)).collect(),
            missing: Vec::new(),
        };
        let sum = |verdicts: &[&str]| summary(verdicts).verdict();
        assert_eq!(sum(&[]), Verdict::Unknown);
        assert_eq!(sum(&["pass", "pass"]), Verdict::Pass);
        assert_eq!(sum(&["pass", "unknown"]), Verdict::Unknown);
        assert_eq!(sum(&["fail", "unknown"]), Verdict::Fail);
        assert_eq!(sum(&["fail", "broken"]), Verdict::Broken);
        let mut cut_short = summary(&["pass"]);
        cut_short.missing.push(Missing {
            kind: "index".to_owned(),
            why: "ended early".to_owned(),
        });
        assert_eq!(cut_short.verdict(), Verdict::Unknown);
        assert_eq!(sentence(&cut_short), "cache: pass. Not measured to the end: index.");
    }
}
