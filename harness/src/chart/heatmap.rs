//! How busy each resource was over time: a strip a row.

use super::Axis;

/// Cells of equal width on a time axis.
#[derive(Clone, Debug)]
pub struct HeatMap {
    pub x: Axis,
    /// Where the first cell starts.
    pub x_start: f64,
    /// How wide a cell is.
    pub x_step: f64,
    pub value: Axis,
    /// The value of the darkest colour; `None`: the largest one.
    pub top: Option<f64>,
    pub rows: Vec<HeatRow>,
}

/// One strip.
#[derive(Clone, Debug)]
pub struct HeatRow {
    pub name: String,
    /// `None` is a gap, hatched.
    pub cells: Vec<Option<f64>>,
}
