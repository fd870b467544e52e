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
    #[error(
        "runbooks/{name}.md names the dashboard *{dashboard}*, which there is not; write its title as in dashboards.yaml"
    )]
    Dashboard { name: String, dashboard: String },
    #[error(
        "runbooks/{name}.md names the panel **{panel}**, which {place} does not have; write its title as in dashboards.yaml"
    )]
    Panel { name: String, panel: String, place: String },
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
        let name = &panel.runbook;
        if !pages.contains_key(name) {
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
        places(name, page, dashboards)?;
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

/// Whoever is woken is led to what exists: *dashboards* and their **panels**, by their titles.
fn places(name: &str, page: &str, dashboards: &[Dashboard]) -> Result<(), RunbookError> {
    for line in page.lines() {
        let mut within: Option<&Dashboard> = None;
        for (is_panel, title) in emphasized(line) {
            if is_panel {
                let panels = || {
                    dashboards
                        .iter()
                        .filter(|one| within.is_none_or(|it| it.uid == one.uid))
                };
                let is_there = panels().flat_map(|one| &one.panels).any(|panel| panel.title == title);
                if !is_there {
                    return Err(RunbookError::Panel {
                        name: name.to_owned(),
                        panel: title.to_owned(),
                        place: within.map_or("no dashboard".to_owned(), |it| format!("*{}*", it.title)),
                    });
                }
            } else {
                let found = dashboards.iter().find(|one| one.title == title);
                within = Some(found.ok_or_else(|| RunbookError::Dashboard {
                    name: name.to_owned(),
                    dashboard: title.to_owned(),
                })?);
            }
        }
    }
    Ok(())
}

/// What stands between stars in a line, in order, and whether between two of them. Not what is code.
fn emphasized(line: &str) -> Vec<(bool, &str)> {
    let mut found = Vec::new();
    for text in line.split('`').step_by(2) {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('*') {
            let (stars, inside) = after.strip_prefix('*').map_or(("*", after), |inside| ("**", inside));
            let Some((title, behind)) = inside.split_once(stars) else {
                break;
            };
            found.push((stars == "**", title));
            rest = behind;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_stars_is_found() {
        let line = "- *Booking: Redis*, **Memory** and `SELECT * FROM x`, **Up**; 2 * 3";
        assert_eq!(
            emphasized(line),
            [(false, "Booking: Redis"), (true, "Memory"), (true, "Up")]
        );
    }
}
