//! What production loads: Prometheus's rules and their tests, written from one file of objectives and alerts.
//!
//! [`objectives`] reads the file, [`rules`] makes what Prometheus evaluates of it, and [`proofs`] the tests by which
//! promtool shows that each alert can fire, and can be silent. Nothing here evaluates anything: the real Prometheus does.

pub mod objectives;
mod objectives_yaml;
pub mod proofs;
pub mod rules;
mod selector;
mod wording;

use std::path::PathBuf;

use crate::config::ConfigError;
pub use objectives::Promises;

/// The file that all is written from, in the folder of dashboards.
pub const SOURCE: &str = "objectives.yaml";
/// Where Prometheus looks for rules, in the folder of dashboards.
pub const RULES: &str = "prometheus/rules/booking.yml";
/// Their tests, beside them.
pub const PROOFS: &str = "prometheus/tests/booking.yml";

/// A file that is written from another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Below the folder of dashboards.
    pub path: PathBuf,
    pub text: String,
}

/// Everything that follows from `text`, a file of objectives that its writer knows as `file`.
///
/// # Errors
/// With every problem of the file.
pub fn write(file: &str, text: &str) -> Result<Vec<Written>, ConfigError> {
    let promises = Promises::parse(file, text)?;
    Ok(vec![
        written(RULES, &rules::of(&promises)),
        written(PROOFS, &proofs::of(&promises)),
    ])
}

fn written(path: &str, content: &impl serde::Serialize) -> Written {
    let yaml = serde_yaml::to_string(content).expect("lists and maps of text can always be written as YAML");
    Written {
        path: PathBuf::from(path),
        text: format!("# Written by `soundcheck dashboards` from {SOURCE}; change that file instead.\n{yaml}"),
    }
}
