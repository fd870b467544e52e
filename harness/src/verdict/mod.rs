//! See the crate's code map.

pub mod lint;
