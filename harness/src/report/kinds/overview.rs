//! The overview: one page over the reports of one call, from a summary that it keeps in its own folder.

use serde::{Deserialize, Serialize};

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
        .push(Section::new("Effects at a glance").with(multiples(&summary)));
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
    let decision = |word: &str| {
        [chart::Decision::Better, chart::Decision::Worse, chart::Decision::Same]
            .into_iter()
            .find(|decision| decision.word() == word)
            .unwrap_or(chart::Decision::Unknown)
    };
    let items: Vec<Multiple> = summary
        .reports
        .iter()
        .filter(|entry| !entry.effects.is_empty())
        .map(|entry| Multiple {
            title: entry.title.clone(),
            subtitle: None,
            figure: Figure::Effects(Effects {
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
            }),
        })
        .collect();
    let figure = if items.is_empty() {
        Figure::NoData("no report of this call compares variants".to_owned())
    } else {
        Figure::Multiples(Multiples { items })
    };
    ChartBlock {
        id: "overview".to_owned(),
        chart: Chart {
            title: "Effects at a glance".to_owned(),
            subtitle: None,
            figure,
        },
        caption: "One small figure a report; 1 means no effect. A claim that was withheld has no point.".into(),
        alt: "Small forest plots of the effects of each report; each report's own page holds the numbers.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        }
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
