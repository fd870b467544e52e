//! Figures of several rounds, and the goals that they are held against.

use std::fmt;

/// One figure, measured several times.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    /// At least one figure.
    pub(crate) fn new(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        assert!(!figures.is_empty(), "no round was measured");
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len() % 2 == 1 {
            self.0[middle]
        } else {
            f64::midpoint(self.0[middle - 1], self.0[middle])
        }
    }

    pub(crate) fn min(&self) -> f64 {
        self.0[0]
    }

    pub(crate) fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// The median and the bounds, where the number of rounds is said once for all.
    pub(crate) fn bounds(&self, decimals: usize) -> String {
        format!(
            "{:.decimals$} [{:.decimals$}, {:.decimals$}]",
            self.median(),
            self.min(),
            self.max()
        )
    }

    /// The median, the bounds and the number of rounds, with `decimals` digits after the point.
    pub(crate) fn text(&self, decimals: usize) -> String {
        format!(
            "{:.decimals$} (min {:.decimals$}, max {:.decimals$}, n = {})",
            self.median(),
            self.min(),
            self.max(),
            self.0.len()
        )
    }
}

/// What a figure should be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    /// The goal, and whether `figure` reaches it.
    pub(crate) fn verdict(self, figure: f64) -> String {
        let is_met = match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        };
        format!("goal {self}: {}", if is_met { "met" } else { "missed" })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}
