//! The linter: what a report may not claim. A claim that fails a rule is not printed; what is missing stands in its place.
//!
//! Evidence that is absent is missing, too: a rule that cannot be checked does not pass.

mod claim;
mod rules;

#[cfg(test)]
mod tests;

pub use claim::*;
pub use rules::lint;
