//! Figures as SVG: one file a kind, each with the data that it shows.
//!
//! Every kind copes with no data (a box that says why), one point, huge ranges and zero on a logarithmic axis; a value
//! that is not a number is refused. Not here: where the data come from (`analysis`), how numbers become text
//! ([`crate::format`]).

pub(crate) mod theme;

mod canvas;
mod lanes;
mod measure;
mod plane;
mod scale;
mod svg;

mod bars;
mod board;
mod cdf;
mod effects;
mod figure;
mod heatmap;
mod multiples;
mod rows;
mod scaling;
mod stacked;
mod timeline;
mod timeline_panel;

pub use bars::{Bar, BarGroup, Bars};
pub use board::{Board, Pane};
pub use cdf::{Cdf, CdfCurve, ShareAxis};
pub use effects::{Decision, EffectRow, Effects};
pub use figure::{Axis, Chart, ChartError, Figure, Key, Labels, MOST_SERIES};
pub use heatmap::{HeatMap, HeatRow};
pub use multiples::{Multiple, Multiples};
pub use rows::State;
pub use scaling::{Scaling, ScalingCurve, ScalingPoint};
pub use stacked::{Stacked, StackedRow};
pub use timeline::{Band, BandKind, Curve, CurveStyle, Limit, Mark, Panel, Timeline};

use figure::{Detail, Probe};

#[cfg(test)]
mod tests;
