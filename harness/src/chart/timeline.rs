//! Panels above each other that share one time axis, with faults and phases as bands, and marked moments.

use super::Key;
use crate::format::Unit;

/// Series over time.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// `time since the start`, in seconds.
    pub x_title: String,
    /// Seconds; `None`: from the first point to the last.
    pub range: Option<(f64, f64)>,
    pub panels: Vec<Panel>,
    pub bands: Vec<Band>,
    pub marks: Vec<Mark>,
}

/// One strip of a timeline with a value axis of its own.
#[derive(Clone, Debug)]
pub struct Panel {
    pub title: String,
    pub unit: Unit,
    /// Logarithmic; zeros are then drawn on the floor.
    pub log: bool,
    /// The top of the axis where it is known, such as 100 %.
    pub top: Option<f64>,
    pub curves: Vec<Curve>,
    pub limits: Vec<Limit>,
}

/// One series.
#[derive(Clone, Debug)]
pub struct Curve {
    pub key: Key,
    pub style: CurveStyle,
    /// `(seconds, value)`, ascending; `None` is a gap, and is drawn as one.
    pub points: Vec<(f64, Option<f64>)>,
}

/// How a series is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CurveStyle {
    Line,
    /// Each value holds until the next one.
    Step,
    /// Filled down to the axis.
    Area,
}

/// A horizontal line, such as a capacity or an objective.
#[derive(Clone, Debug)]
pub struct Limit {
    pub value: f64,
    pub label: String,
}

/// A stretch of time.
#[derive(Clone, Debug)]
pub struct Band {
    pub from: f64,
    pub to: f64,
    pub label: String,
    pub kind: BandKind,
}

/// What a band stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BandKind {
    Fault,
    Phase,
    /// Not counted: warm-up, cool-down.
    Excluded,
}

/// A moment.
#[derive(Clone, Debug)]
pub struct Mark {
    pub at: f64,
    pub label: String,
}
