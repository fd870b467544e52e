//! Small figures side by side, for the overview.

use super::Figure;

/// A grid of figures.
#[derive(Clone, Debug)]
pub struct Multiples {
    pub items: Vec<Multiple>,
}

/// One small figure with its head.
#[derive(Clone, Debug)]
pub struct Multiple {
    pub title: String,
    pub subtitle: Option<String>,
    /// Not itself a grid.
    pub figure: Figure,
}
