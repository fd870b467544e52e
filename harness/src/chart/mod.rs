//! Figures as SVG: one file a kind, each with the data that it shows.
//!
//! Every kind copes with no data (a box that says why), one point, huge ranges and zero on a logarithmic axis; a value
//! that is not a number is refused. Not here: where the data come from (`analysis`), how numbers become text
//! ([`crate::format`]).

mod bars;
mod cdf;
mod effects;
mod heatmap;
mod multiples;
mod scaling;
mod stacked;
mod timeline;

pub use bars::{Bar, BarGroup, Bars};
pub use cdf::{Cdf, CdfCurve, ShareAxis};
pub use effects::{Decision, EffectRow, Effects};
pub use heatmap::{HeatMap, HeatRow};
pub use multiples::{Multiple, Multiples};
pub use scaling::{Scaling, ScalingCurve, ScalingPoint};
pub use stacked::{Stacked, StackedRow};
pub use timeline::{Band, BandKind, Curve, CurveStyle, Limit, Mark, Panel, Timeline};

use crate::format::Unit;

/// A figure with its head.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What is shown; a noun phrase.
    pub title: String,
    /// Under the title, such as load and number of blocks; the document's mark is added when it is rendered.
    pub subtitle: Option<String>,
    pub figure: Figure,
}

/// Every kind of figure.
#[derive(Clone, Debug)]
pub enum Figure {
    Cdf(Cdf),
    Timeline(Timeline),
    Bars(Bars),
    Stacked(Stacked),
    Scaling(Scaling),
    Effects(Effects),
    HeatMap(HeatMap),
    Multiples(Multiples),
    /// Nothing to draw, and why.
    NoData(String),
}

/// The name of a series, and the slot that gives it the same colour, dash and marker in every chart of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub name: String,
    /// 0 to 7; larger ones start again.
    pub slot: usize,
}

impl Key {
    /// A series in its slot.
    pub fn new(name: impl Into<String>, slot: usize) -> Self {
        Self {
            name: name.into(),
            slot,
        }
    }
}

/// The words and the unit of an axis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axis {
    /// Without the unit, which is added when the step is known.
    pub title: String,
    pub unit: Unit,
}

impl Axis {
    /// An axis named `title`.
    pub fn new(title: impl Into<String>, unit: Unit) -> Self {
        Self {
            title: title.into(),
            unit,
        }
    }
}

/// More series than this cannot be told apart.
pub const MOST_SERIES: usize = 8;

/// Why a chart was not drawn.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// A measured value is not a finite number: a bug where it was computed.
    #[error("chart `{chart}` holds a value that is not a finite number in `{series}`; leave a missing value out")]
    NotFinite { chart: String, series: String },
    /// More series than colours and markers.
    #[error("chart `{chart}` has {n_series} series, of which at most {MOST_SERIES} can be told apart; split it")]
    TooManySeries { chart: String, n_series: usize },
    /// The backend gave up.
    #[error("cannot draw chart `{chart}`: {reason}")]
    Backend { chart: String, reason: String },
}
