//! I12: the seat map that the service really executes reads little more than it returns, since an index leads it there.
//!
//! A predicate that no index serves, such as a cast, shows in what the server counted for the executed digest, and in the
//! plan of a statement that is known to be the executed one. A statement that is merely believed to be is not judged.

use super::counted::{Counted, Page, Planned};
use super::end::End;
use super::finding::{Evidence, Judgement};
use crate::analysis::digest::is_seat_map;
use crate::analysis::plan::{PlanNode, parse_mysql_tree};

const PREFIX: &str = "mysql_perf_schema_events_statements_";
/// Rows read for each row returned, and for each execution, that are let pass: sorting may count a row again, and the
/// optimiser may prefer to scan what is small anyway.
const MOST_READ: f64 = 10.0;
/// Fewer executions than this tell nothing.
const FEWEST_EXECUTIONS: f64 = 10.0;

/// What the seat map cost.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    executions: f64,
    read: f64,
    returned: f64,
}

impl Cost {
    fn is_too_much(self) -> bool {
        self.read > MOST_READ * (self.returned + self.executions)
    }
}

pub(super) fn check(end: &End<'_>) -> (Judgement, String) {
    let idle = |why: &str| (Judgement::Idle(why.to_owned()), String::new());
    let Some(counted) = &end.counted else {
        return idle("nothing was counted to the end of the recording");
    };
    if counted.index == Some("none") {
        return idle("no index was wanted");
    }
    let executed = executed(counted).filter(|cost| cost.executions >= FEWEST_EXECUTIONS);
    let plans: Vec<Option<Evidence>> = counted
        .plans
        .iter()
        .filter(|planned| is_seat_map(planned.statement))
        .filter_map(|planned| {
            let plan = parse_mysql_tree(planned.text).ok()?;
            by_steps(*planned, &plan).or_else(|| by_rows(*planned, &plan))
        })
        .collect();
    if executed.is_none() && plans.is_empty() {
        return idle("nobody saw the seat map being executed");
    }
    let basis = executed.map_or_else(
        || format!("{} plans of the executed statement", plans.len()),
        |cost| {
            format!(
                "{:.0} executions read {:.0} rows and returned {:.0}",
                cost.executions, cost.read, cost.returned
            )
        },
    );
    let by_plan = plans.into_iter().flatten().next();
    let by_digest = executed.filter(|cost| cost.is_too_much()).map(|cost| {
        Evidence::new(format!(
            "{:.0} executions of the seat map read {:.0} rows and returned {:.0}: no index leads to them",
            cost.executions, cost.read, cost.returned
        ))
    });
    (by_plan.or(by_digest).into(), basis)
}

/// What the server counted for the seat map's digests.
fn executed(counted: &Counted<'_>) -> Option<Cost> {
    let own = counted.page().into_iter();
    own.chain(counted.server("mysql")).find_map(cost)
}

fn cost(page: Page<'_>) -> Option<Cost> {
    let total = format!("{PREFIX}total");
    let digests = page.named(&total).filter_map(|series| {
        let labels = &series.def.labels;
        labels.get("digest_text").filter(|text| is_seat_map(text))?;
        labels.get("digest")
    });
    let mut sum: Option<Cost> = None;
    for digest in digests {
        let grown = |what: &str| page.growth(&format!("{PREFIX}{what}"), &[("digest", digest)]);
        let sum = sum.get_or_insert_default();
        sum.executions += grown("total")?;
        sum.read += grown("rows_examined_total")?;
        sum.returned += grown("rows_sent_total")?;
    }
    sum
}

/// By the rows of a plan that was run, as MySQL prints it; the outer `None` says that it tells nothing.
fn by_rows(planned: Planned<'_>, plan: &PlanNode) -> Option<Option<Evidence>> {
    if plan.is_folded() {
        return None;
    }
    let actual = plan.actual?;
    let cost = Cost {
        executions: 1.0,
        read: plan.rows_read()?,
        returned: actual.rows * actual.loops,
    };
    Some(cost.is_too_much().then(|| {
        let reason = format!(
            "the executed seat map reads {:.0} rows to return {:.0}, with {}",
            cost.read,
            cost.returned,
            match plan.indexes().as_slice() {
                [] => "no index".to_owned(),
                indexes => format!("the index {}", indexes.join(", ")),
            }
        );
        Evidence::new(reason).row(planned.statement.to_owned()).row(leaf(plan))
    }))
}

/// By the steps of a plan that SQLite printed, which counts no rows: an index that leads to the rows of a date is searched
/// for that date. The outer `None` says that the plan is not of this kind.
fn by_steps(planned: Planned<'_>, plan: &PlanNode) -> Option<Option<Evidence>> {
    let mut step = None;
    plan.walk(0, &mut |_, node| {
        let mut words = node.operation.split_whitespace().filter(|word| *word != "TABLE");
        if matches!(words.next(), Some("SCAN" | "SEARCH")) && words.next() == Some("seats") {
            step.get_or_insert(node.operation.as_str());
        }
    });
    let step = step?;
    let is_led = step.starts_with("SEARCH") && step.contains("schedule_id=?");
    Some((!is_led).then(|| {
        let reason = format!("no index leads the executed seat map to the seats of its date: {step}");
        Evidence::new(reason).row(planned.statement.to_owned())
    }))
}

/// The step that reads most.
fn leaf(plan: &PlanNode) -> String {
    let mut most: Option<(f64, &str)> = None;
    plan.walk(0, &mut |_, node| {
        let rows = node.actual.map_or(0.0, |actual| actual.rows * actual.loops);
        if node.table.is_some() && most.is_none_or(|(most, _)| rows > most) {
            most = Some((rows, &node.operation));
        }
    });
    most.map_or_else(String::new, |(rows, operation)| format!("{operation}: {rows:.0} rows"))
}
