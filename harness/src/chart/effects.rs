//! A forest plot: one row a comparison, its ratio with the interval, the line of no effect, the margins that decide.

use serde::Serialize;

/// Ratios on a logarithmic axis.
#[derive(Clone, Debug)]
pub struct Effects {
    /// `p95, candidate ÷ baseline`.
    pub axis: String,
    /// `lower is better` and the like, at the two ends of the axis.
    pub ends: Option<(String, String)>,
    /// The decision margins around 1.
    pub margins: Option<(f64, f64)>,
    pub rows: Vec<EffectRow>,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct EffectRow {
    pub name: String,
    /// Point, low, high; `None` when the claim may not be made.
    pub ratio: Option<(f64, f64, f64)>,
    pub decision: Decision,
}

/// What the exact test says about an effect. The interval is for the eye; it never decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    Better,
    Worse,
    /// Shown to be smaller than the margin that matters.
    Same,
    Unknown,
}

impl Decision {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "no difference that matters",
            Self::Unknown => "unknown",
        }
    }

    /// A sign that does not depend on colour.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Better => "▲",
            Self::Worse => "▼",
            Self::Same => "=",
            Self::Unknown => "?",
        }
    }
}
