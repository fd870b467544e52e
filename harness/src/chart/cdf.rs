//! Which share of the requests was at most this slow, a curve per variant, on a logarithmic axis.

use super::{Axis, Key};

/// A cumulative distribution per series.
#[derive(Clone, Debug)]
pub struct Cdf {
    /// What is measured, usually `response time` in seconds; always logarithmic.
    pub x: Axis,
    pub share: ShareAxis,
    pub curves: Vec<CdfCurve>,
}

/// How the share of requests is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShareAxis {
    /// 0 % to 100 % evenly: shows the body.
    Even,
    /// 0, 90, 99, 99.9 % at the same distance: shows the tail.
    Tail,
}

/// One curve.
#[derive(Clone, Debug)]
pub struct CdfCurve {
    pub key: Key,
    /// `(value, share)`: ascending, the share from 0 to 1.
    pub points: Vec<(f64, f64)>,
}
