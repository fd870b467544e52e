//! The pages that say what to do: whoever is woken finds the same four questions answered on each.

use std::collections::{BTreeMap, BTreeSet};

use super::objectives::Promises;
use super::panels::Dashboard;

/// What each page answers.
const PARTS: [&str; 4] = ["Symptom", "Where to look", "How to confirm", "How to mitigate"];

/// What is wrong with a page.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunbookError {
    #[error("there is no runbook `{name}`, which {by} names; write runbooks/{name}.md")]
    Missing { name: String, by: String },
    #[error("runbooks/{name}.md lacks the part `## {part}`; say it in a sentence at least")]
    Part { name: String, part: &'static str },
    #[error("runbooks/{name}.md does not name `{alert}`, whose runbook it is")]
    Alert { name: String, alert: String },
    #[error("no alert has the runbook `{name}`; name it in one, or take runbooks/{name}.md away")]
    Unused { name: String },
}

/// Checks that every page that is named is there and whole, and that none is there for nothing.
pub(super) fn check(
    pages: &BTreeMap<String, String>,
    promises: &Promises,
    dashboards: &[Dashboard],
) -> Result<(), RunbookError> {
    let of_objectives = promises.objectives.iter().map(|one| (&one.alert, &one.runbook));
    let of_alerts = promises.alerts.iter().map(|alert| (&alert.name, &alert.runbook));
    let mut used = BTreeSet::new();
    for (alert, name) in of_objectives.chain(of_alerts) {
        let page = pages.get(name).ok_or_else(|| RunbookError::Missing {
            name: name.clone(),
            by: alert.clone(),
        })?;
        if !page.contains(&format!("`{alert}`")) {
            return Err(RunbookError::Alert {
                name: name.clone(),
                alert: alert.clone(),
            });
        }
        used.insert(name);
    }
    let panels = dashboards.iter().flat_map(|one| &one.panels);
    for panel in panels {
        if let Some(name) = panel.runbook.as_ref().filter(|name| !pages.contains_key(*name)) {
            return Err(RunbookError::Missing {
                name: name.clone(),
                by: format!("the panel “{}”", panel.title),
            });
        }
    }
    for (name, page) in pages {
        if !used.contains(name) {
            return Err(RunbookError::Unused { name: name.clone() });
        }
        for part in PARTS {
            let after = page.split_once(&format!("\n## {part}\n")).map(|(_, after)| after);
            let is_said =
                after.is_some_and(|after| !after.trim_start().is_empty() && !after.trim_start().starts_with("## "));
            if !is_said {
                return Err(RunbookError::Part {
                    name: name.clone(),
                    part,
                });
            }
        }
    }
    Ok(())
}
