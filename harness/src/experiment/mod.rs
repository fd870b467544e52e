//! Variants interleaved in blocks on one stack; one file a report kind.

pub mod design;

pub use design::{Design, PlannedSlice};
