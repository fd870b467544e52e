//! Pictures of dashboards: what their panels show of a stretch of time, drawn without Grafana.
//!
//! A panel is drawn over time, as lines or as rows of states, also where Grafana shows a figure alone. What cannot be drawn
//! is told of: a query without an answer, a series without a number, and more series than can be told apart.

mod bounds;
mod measure;
mod page;
mod pane;
mod slots;

pub use page::{alt, chart};

/// Where they are, below the folder of dashboards.
pub const PICTURES: &str = "pictures";

#[cfg(test)]
mod tests;
