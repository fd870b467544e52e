//! Reports: a document model that knows no renderer, and renderers that know no experiment.
//!
//! Not here: what a report of some kind says (`experiment`), how a number becomes text ([`crate::format`]), how a figure
//! is drawn ([`crate::chart`]). Nothing here reads a clock, the environment or the network, so that the same document
//! always gives the same bytes.

pub mod model;
pub mod plan_diff;
pub mod table;
pub mod text;

mod html_text;
mod table_text;

pub mod html;
pub mod json;
pub mod markdown;
pub mod terminal;

pub mod write;

pub use crate::chart::Decision;
pub use crate::format;
pub use model::{
    Badge, BadgeState, Badges, Block, Callout, ChartBlock, Document, EffectLine, Estimate, GotWorse, RawLink, Section,
    Tone, Verdict,
};
pub use plan_diff::{PlanDiff, PlanLine};
pub use table::{Cell, Column, Table};
pub use text::{Inline, Text};
pub use write::{Files, ReportError, files, write};

pub mod kinds;
