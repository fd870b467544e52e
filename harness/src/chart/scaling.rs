//! How a value grows with a size, both axes logarithmic, with intervals.

use super::{Axis, Key};

/// A curve per variant.
#[derive(Clone, Debug)]
pub struct Scaling {
    pub x: Axis,
    pub y: Axis,
    pub curves: Vec<ScalingCurve>,
}

/// One curve.
#[derive(Clone, Debug)]
pub struct ScalingCurve {
    pub key: Key,
    pub points: Vec<ScalingPoint>,
}

/// One measured size.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScalingPoint {
    pub x: f64,
    pub y: f64,
    pub interval: Option<(f64, f64)>,
}
