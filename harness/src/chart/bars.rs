//! Grouped bars with their intervals and their values.

use super::{Axis, Key};

/// One bar a series in each group.
#[derive(Clone, Debug)]
pub struct Bars {
    pub value: Axis,
    /// For values that differ by orders of magnitude; bars then start at the lowest decade.
    pub log: bool,
    pub series: Vec<Key>,
    pub groups: Vec<BarGroup>,
}

/// Bars that belong together.
#[derive(Clone, Debug)]
pub struct BarGroup {
    pub name: String,
    /// As many as there are series; `None` is shown as `n/a`.
    pub bars: Vec<Option<Bar>>,
}

/// A value and, where there is one, its interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bar {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
}
