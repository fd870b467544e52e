//! The pages that say what to do: whoever is woken finds the same four questions answered on each.

use std::collections::{BTreeMap, BTreeSet};

use super::objectives::Promises;
use super::panels::Dashboard;
use super::{LONGEST_PAGE, RUNBOOK_PAGE, is_page};

/// What each page answers.
const PARTS: [&str; 4] = ["Symptom", "Where to look", "How to confirm", "How to mitigate"];

/// What is wrong with a page.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RunbookError {
    #[error("there is no runbook `{name}`, which {by} names; write runbooks/{name}.md")]
    Missing { name: String, by: String },
    #[error("runbooks/{name}.md lacks the part `## {part}`; say it in a sentence at least")]
    Part { name: String, part: &'static str },
    #[error("runbooks/{name}.md has the part `## {part}` before `## {other}`; put it behind, as on all pages")]
    Order {
        name: String,
        part: &'static str,
        other: &'static str,
    },
    #[error(
        "runbooks/{name}.md cannot be a page of Grafana's; give it a name of at most {longest} letters of a to z, digits, \
         `-` and `_`"
    )]
    Name { name: String, longest: usize },
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
        if !is_page(&format!("{RUNBOOK_PAGE}{name}")) {
            return Err(RunbookError::Name {
                name: name.clone(),
                longest: LONGEST_PAGE - RUNBOOK_PAGE.len(),
            });
        }
        if !used.contains(name) {
            return Err(RunbookError::Unused { name: name.clone() });
        }
        check_parts(name, page)?;
    }
    Ok(())
}

/// Checks that a page has each part, in order, and that each says something.
fn check_parts(name: &str, page: &str) -> Result<(), RunbookError> {
    let mut last: Option<(usize, &'static str)> = None;
    for part in PARTS {
        let heading = page
            .lines()
            .position(|line| line.trim_end().strip_prefix("## ") == Some(part));
        let said = |at: usize| {
            let mut lines = page.lines().skip(at + 1).take_while(|line| !is_heading(line));
            lines.any(|line| !line.trim().is_empty())
        };
        let Some(at) = heading.filter(|at| said(*at)) else {
            return Err(RunbookError::Part {
                name: name.to_owned(),
                part,
            });
        };
        if let Some((_, other)) = last.filter(|(last, _)| *last > at) {
            return Err(RunbookError::Order {
                name: name.to_owned(),
                part,
                other,
            });
        }
        last = Some((at, part));
    }
    Ok(())
}

/// Whether another part, or another page, begins here.
fn is_heading(line: &str) -> bool {
    line.starts_with("## ") || line.starts_with("# ")
}
