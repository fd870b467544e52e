//! What came of an objective: met, missed or unknown, and the window that decided.

use crate::units::Nanos;

/// The window that was nearest to the limit, or farthest beyond it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Worst {
    /// Seconds for a quantile, with infinity for no answer; per cent for the others.
    pub value: f64,
    pub from: Nanos,
    pub until: Nanos,
    /// The highest value of any window when what the generator itself can have added to it is taken off: of a quantile, how
    /// late it sent journeys at the same quantile, as if the slow ones had been the late ones; of failures, what it dropped.
    pub without_own: f64,
    /// When the first of the windows began that exceeded the limit without a break until the end; `None` where the last
    /// one did not.
    pub broken_for_good: Option<Nanos>,
}

/// Three values: an objective that nothing tested is not met.
#[derive(Clone, PartialEq, Debug)]
pub enum Ruling {
    Met(Worst),
    Missed(Worst),
    Unknown(String),
}

impl Ruling {
    /// The window that decided.
    pub const fn worst(&self) -> Option<Worst> {
        match self {
            Self::Met(worst) | Self::Missed(worst) => Some(*worst),
            Self::Unknown(_) => None,
        }
    }
}
