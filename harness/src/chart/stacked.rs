//! Parts of a whole, such as outcomes, one bar a variant.

use super::{Axis, Key};

/// Stacked bars.
#[derive(Clone, Debug)]
pub struct Stacked {
    pub value: Axis,
    /// Each bar is stretched to 100 %; the total then stands beside it.
    pub as_shares: bool,
    pub parts: Vec<Key>,
    pub rows: Vec<StackedRow>,
}

/// One bar.
#[derive(Clone, Debug)]
pub struct StackedRow {
    pub name: String,
    /// As many as there are parts; `None`: not measured.
    pub values: Vec<Option<f64>>,
}
