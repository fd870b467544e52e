//! What a report consists of, whatever it is rendered to.
//!
//! A missing value is `None` all the way; the renderers write `n/a`. Numbers stay numbers until then, so that a column
//! can choose one unit for all of its rows.

use serde::Serialize;

use super::plan_diff::PlanDiff;
use super::table::Table;
use super::text::Text;
use crate::chart::{Chart, Decision};
use crate::format::{self, Unit};
use crate::units::Percent;

/// One report.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// `Cache: Redis in front of the seat map`.
    pub title: String,
    /// `cache`, `index`, `incident`, `overview` and so on.
    pub kind: String,
    /// The answer in one word.
    pub verdict: Verdict,
    /// The answer in one sentence, with the number that matters most.
    pub sentence: Text,
    /// What limits every number of this report, such as `SQLite numbers`; stands at the top and on every chart.
    pub mark: Option<String>,
    /// Whether the run can be trusted.
    pub badges: Badges,
    /// What changed, with intervals.
    pub effects: Vec<EffectLine>,
    /// Machine, engines and versions in one line.
    pub environment: Option<String>,
    /// When it was recorded, as text.
    pub recorded: Option<String>,
    /// The command that repeats it.
    pub command: String,
    /// The body.
    pub sections: Vec<Section>,
    /// What the change costs.
    pub got_worse: GotWorse,
    /// The raw data, relative to the report's folder.
    pub raw: Vec<RawLink>,
    /// Limits, method and anything else that a reader must know.
    pub notes: Vec<Text>,
}

/// Three values: no data never passes. `Broken` is a fourth that voids the rest: an invariant does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    Fail,
    Unknown,
    Broken,
}

impl Verdict {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Broken => "broken",
        }
    }
}

/// The two conditions under which any number of a report means something.
#[derive(Clone, Debug, Serialize)]
pub struct Badges {
    /// Seats, money, queue and events after the run.
    pub invariants: Badge,
    /// Whether the generator sent what was offered, when it was due.
    pub generator: Badge,
}

/// A state and the evidence for it.
#[derive(Clone, Debug, Serialize)]
pub struct Badge {
    pub state: BadgeState,
    /// `9 invariants hold over 41,233 operations`; with markup as of [`Text::marked`].
    pub detail: String,
}

/// What a badge says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadgeState {
    Pass,
    Broken,
    Unknown,
}

impl BadgeState {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }
}

impl Badge {
    /// It holds.
    pub fn pass(detail: impl Into<String>) -> Self {
        Self {
            state: BadgeState::Pass,
            detail: detail.into(),
        }
    }

    /// It does not hold.
    pub fn broken(detail: impl Into<String>) -> Self {
        Self {
            state: BadgeState::Broken,
            detail: detail.into(),
        }
    }

    /// Nobody can say.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self {
            state: BadgeState::Unknown,
            detail: detail.into(),
        }
    }
}

/// One claim with its evidence, or with what is missing for it.
#[derive(Clone, Debug, Serialize)]
pub struct EffectLine {
    /// `seat map p95, redis against off`.
    pub claim: String,
    /// `None` when the claim may not be made; then `withheld` says why.
    pub estimate: Option<Estimate>,
    /// Blocks that were compared.
    pub rounds: Option<u32>,
    /// How often each variant was launched anew.
    pub launches: Option<u32>,
    pub decision: Decision,
    /// Why the linter refused the claim, and what would be needed.
    pub withheld: Option<String>,
}

impl EffectLine {
    /// `1.83× [1.71, 1.96]`, or `n/a`.
    pub fn text(&self) -> String {
        self.estimate
            .map_or_else(|| format::MISSING.to_owned(), |estimate| estimate.text())
    }
}

/// A value with its interval.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Estimate {
    pub unit: Unit,
    pub point: f64,
    pub low: f64,
    pub high: f64,
    /// The confidence level of the interval.
    pub level: Percent,
}

impl Estimate {
    /// A ratio with its 95 % interval.
    pub const fn ratio(point: f64, low: f64, high: f64) -> Self {
        Self {
            unit: Unit::Ratio,
            point,
            low,
            high,
            level: Percent(95.0),
        }
    }

    /// A difference in `unit` with its 95 % interval.
    pub const fn difference(unit: Unit, point: f64, low: f64, high: f64) -> Self {
        Self {
            unit,
            point,
            low,
            high,
            level: Percent(95.0),
        }
    }

    /// `1.83× [1.71, 1.96]`; differences carry a sign.
    pub fn text(&self) -> String {
        if self.unit == Unit::Ratio {
            format::interval(self.unit, self.point, self.low, self.high)
        } else {
            format::difference(self.unit, self.point, self.low, self.high)
        }
    }
}

/// A headed part of the body.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
}

impl Section {
    /// A section without blocks yet; see [`Section::with`].
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            blocks: Vec::new(),
        }
    }

    /// The same section with one more block.
    #[must_use]
    pub fn with(mut self, block: impl Into<Block>) -> Self {
        self.blocks.push(block.into());
        self
    }

    /// Adds a block where there is one.
    #[must_use]
    pub fn with_some(self, block: Option<impl Into<Block>>) -> Self {
        match block {
            Some(block) => self.with(block),
            None => self,
        }
    }
}

/// One piece of a section.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Block {
    Paragraph(Text),
    Table(Table),
    Chart(Box<ChartBlock>),
    Code {
        /// For highlighting in Markdown: `sql`, `yaml`, or empty.
        language: String,
        text: String,
    },
    Callout(Callout),
    PlanDiff(PlanDiff),
    List {
        ordered: bool,
        items: Vec<Text>,
    },
}

impl From<Text> for Block {
    fn from(text: Text) -> Self {
        Self::Paragraph(text)
    }
}

impl From<&str> for Block {
    fn from(text: &str) -> Self {
        Self::Paragraph(text.into())
    }
}

impl From<Table> for Block {
    fn from(table: Table) -> Self {
        Self::Table(table)
    }
}

impl From<ChartBlock> for Block {
    fn from(chart: ChartBlock) -> Self {
        Self::Chart(Box::new(chart))
    }
}

impl From<Callout> for Block {
    fn from(callout: Callout) -> Self {
        Self::Callout(callout)
    }
}

impl From<PlanDiff> for Block {
    fn from(diff: PlanDiff) -> Self {
        Self::PlanDiff(diff)
    }
}

/// A figure in its place.
#[derive(Clone, Debug, Serialize)]
pub struct ChartBlock {
    /// The file's name in `charts/`, without `.svg`: lower-case letters, digits and `-`; unique in the document.
    pub id: String,
    #[serde(skip)]
    pub chart: Chart,
    /// How to read it, or what to see in it; stands below.
    pub caption: Text,
    /// What somebody who cannot see it needs to know.
    pub alt: String,
}

/// A box that stands out.
#[derive(Clone, Debug, Serialize)]
pub struct Callout {
    pub tone: Tone,
    pub text: Text,
}

/// How much a callout matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    Note,
    Caution,
    Broken,
}

/// What the change costs: never empty, since silence would read as "nothing".
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct GotWorse {
    blocks: Vec<Block>,
}

impl GotWorse {
    /// What was looked at and what came out, be it that nothing got worse.
    pub fn of(first: impl Into<Block>, rest: impl IntoIterator<Item = Block>) -> Self {
        let mut blocks = vec![first.into()];
        blocks.extend(rest);
        Self { blocks }
    }

    /// Nothing was compared, and why.
    pub fn unknown(reason: &str) -> Self {
        Self::of(
            Callout {
                tone: Tone::Caution,
                text: Text::plain(format!("Unknown: {reason}.")),
            },
            [],
        )
    }

    /// Adds one more block.
    pub fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// At least one block.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

/// A file of the recording and what is in it.
#[derive(Clone, Debug, Serialize)]
pub struct RawLink {
    /// Relative to the report's folder.
    pub path: String,
    pub what: String,
}

impl RawLink {
    /// A link to `path`.
    pub fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            what: what.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_got_worse_is_never_empty() {
        assert_eq!(GotWorse::unknown("no slice was compared").blocks().len(), 1);
    }
}
