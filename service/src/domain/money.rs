//! Money in integer minor units, checked.

use serde::{Deserialize, Serialize};

/// The most money that one field may hold: far above any price, far below an overflow of sums over a data set.
pub const MAX: i64 = 1_000_000_000_000;

/// An amount in minor units (cents), at least zero and at most [`MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `minor` units, or `None` when negative or above [`MAX`].
    pub fn new(minor: i64) -> Option<Self> {
        (0..=MAX).contains(&minor).then_some(Self(minor))
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The sum, or `None` when it exceeds [`MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::new(self.0.checked_add(other.0)?)
    }
}
