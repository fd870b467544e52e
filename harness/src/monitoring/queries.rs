//! Every question that panels and rules put to Prometheus, for those who want to see that it has an answer.

use std::collections::BTreeSet;
use std::time::Duration;

use super::grafana;
use super::objectives::Promises;
use super::panels::{Choice, Dashboard, INSTANCE, Panel, RUN};
use super::rules;
use super::selector::Selector;

/// One question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Where it stands.
    pub place: String,
    /// PromQL, with nothing left for Grafana to fill in.
    pub expr: String,
    /// When it may have no answer.
    pub empty: Option<String>,
}

/// Those of one panel, in its order, with rates over `at_least` so long.
pub fn of_panel<'a>(
    dashboard: &'a Dashboard,
    panel: &'a Panel,
    at_least: Duration,
) -> impl Iterator<Item = Query> + 'a {
    panel.queries.iter().map(move |query| Query {
        place: format!("{}, “{}”, {}", dashboard.title, panel.title, query.legend),
        expr: query.resolved(at_least),
        empty: query.empty.clone(),
    })
}

/// All of `dashboards` and of the rules of `promises`.
pub fn all(promises: &Promises, dashboards: &[Dashboard]) -> Vec<Query> {
    let mut all = Vec::new();
    for dashboard in dashboards {
        for panel in &dashboard.panels {
            all.extend(of_panel(dashboard, panel, Duration::ZERO));
        }
    }
    for choice in [&INSTANCE, &RUN] {
        if dashboards.iter().flat_map(Dashboard::choices).any(|one| one == choice) {
            let Choice { label, metric, .. } = choice;
            all.push(Query {
                place: format!("the choice of {label}"),
                expr: format!("count by ({label}) ({metric}{{{label}!=\"\"}})"),
                empty: choice.empty.map(str::to_owned),
            });
        }
    }
    if dashboards.iter().any(|one| one.runs) {
        all.push(Query {
            place: "the stages of runs".to_owned(),
            expr: grafana::STAGES.replace("$run", ".+"),
            empty: RUN.empty.map(str::to_owned),
        });
    }
    let rules = rules::of(promises);
    all.extend(rules.recorded().map(|(record, expr)| Query {
        place: format!("the rule {record}"),
        expr: expr.to_owned(),
        empty: None,
    }));
    all.extend(rules.alerts().map(|(alert, expr)| Query {
        place: format!("the alert {alert}"),
        expr: expr.to_owned(),
        empty: Some("an alert that does not fire returns nothing".to_owned()),
    }));
    for alert in &promises.alerts {
        // What it looks at is what its own tests are made of.
        let selectors = alert.fires.series.keys().filter_map(|series| Selector::parse(series));
        let metrics: BTreeSet<String> = selectors.map(|selector| selector.metric().to_owned()).collect();
        all.extend(metrics.into_iter().map(|metric| Query {
            place: format!("what the alert {} looks at", alert.name),
            expr: format!("count({metric})"),
            empty: None,
        }));
    }
    all
}
