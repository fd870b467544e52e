//! Two plans side by side: which steps stayed, which went, which came.

use serde::{Deserialize, Serialize};

use super::plan::{PlanNode, mask_literals};

/// One line of the comparison, in the order in which plans are printed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DiffLine {
    pub change: Change,
    /// How deep the step stands in its plan.
    pub depth: usize,
    /// The step before; its children are left out.
    pub before: Option<PlanNode>,
    /// The step after; its children are left out.
    pub after: Option<PlanNode>,
}

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The same operation; its figures may differ.
    Same,
    Removed,
    Added,
}

/// Compares two plans by the longest common run of equal steps at equal depth. Literals do not count: the same statement
/// for another seat has the same plan.
pub fn diff(before: &PlanNode, after: &PlanNode) -> Vec<DiffLine> {
    let (before, after) = (flat(before), flat(after));
    let same = |i: usize, j: usize| {
        before[i].0 == after[j].0 && mask_literals(&before[i].1.operation) == mask_literals(&after[j].1.operation)
    };
    // longest[i][j]: equal steps among the rest from i and j on.
    let mut longest = vec![vec![0_usize; after.len() + 1]; before.len() + 1];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            longest[i][j] = if same(i, j) {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && same(i, j) {
            lines.push(line(Change::Same, before[i].0, Some(before[i].1), Some(after[j].1)));
            (i, j) = (i + 1, j + 1);
        } else if j == after.len() || (i < before.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            lines.push(line(Change::Removed, before[i].0, Some(before[i].1), None));
            i += 1;
        } else {
            lines.push(line(Change::Added, after[j].0, None, Some(after[j].1)));
            j += 1;
        }
    }
    lines
}

fn flat(plan: &PlanNode) -> Vec<(usize, &PlanNode)> {
    let mut steps = Vec::new();
    plan.walk(0, &mut |depth, node| steps.push((depth, node)));
    steps
}

fn line(change: Change, depth: usize, before: Option<&PlanNode>, after: Option<&PlanNode>) -> DiffLine {
    let alone = |node: &PlanNode| PlanNode {
        operation: node.operation.clone(),
        table: node.table.clone(),
        index: node.index.clone(),
        cost: node.cost,
        rows_estimated: node.rows_estimated,
        actual: node.actual,
        children: Vec::new(),
    };
    DiffLine {
        change,
        depth,
        before: before.map(alone),
        after: after.map(alone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::plan::parse_mysql_tree;

    fn listed(before: &str, after: &str) -> String {
        let (before, after) = (parse_mysql_tree(before).unwrap(), parse_mysql_tree(after).unwrap());
        diff(&before, &after)
            .iter()
            .map(|line| {
                let mark = match line.change {
                    Change::Same => ' ',
                    Change::Removed => '-',
                    Change::Added => '+',
                };
                let node = line.after.as_ref().or(line.before.as_ref()).unwrap();
                format!("{mark} {}{}\n", "  ".repeat(line.depth), node.operation)
            })
            .collect()
    }

    const SCAN: &str = "\
-> Limit: 10 row(s)  (cost=9 rows=1)
    -> Sort: seats.price, limit input to 10 row(s) per chunk  (cost=9 rows=64)
        -> Filter: ((seats.schedule_id = 1) and (seats.`status` = 'available'))  (cost=6.65 rows=1)
            -> Table scan on seats  (cost=6.65 rows=64)
";
    const LOOKUP: &str = "\
-> Limit: 10 row(s)  (cost=0.35 rows=1)
    -> Sort: seats.price, limit input to 10 row(s) per chunk  (cost=0.35 rows=1)
        -> Index lookup on seats using s_s (schedule_id = 1, status = 'available')  (cost=0.35 rows=1)
";

    #[test]
    fn steps_that_went_and_came() {
        let expected = "  Limit: 10 row(s)\n\
            \x20   Sort: seats.price, limit input to 10 row(s) per chunk\n\
            -     Filter: ((seats.schedule_id = 1) and (seats.`status` = 'available'))\n\
            -       Table scan on seats\n\
            +     Index lookup on seats using s_s (schedule_id = 1, status = 'available')\n";
        assert_eq!(listed(SCAN, LOOKUP), expected);
    }

    #[test]
    fn literals_do_not_count_and_names_do() {
        let other = LOOKUP
            .replace("= 1,", "= 4711,")
            .replace("'available'", "'sold out'")
            .replace("10 row", "20 row");
        assert!(!listed(LOOKUP, &other).contains(['+', '-']));
        let renamed = LOOKUP.replace("s_s", "s_2");
        assert!(listed(LOOKUP, &renamed).contains("+     Index lookup on seats using s_2"));
    }

    #[test]
    fn figures_of_both_sides_are_kept() {
        let (before, after) = (parse_mysql_tree(SCAN).unwrap(), parse_mysql_tree(LOOKUP).unwrap());
        let lines = diff(&before, &after);
        assert_eq!(lines[1].before.as_ref().unwrap().rows_estimated, Some(64.0));
        assert_eq!(lines[1].after.as_ref().unwrap().rows_estimated, Some(1.0));
        assert!(diff(&after, &after).iter().all(|line| line.change == Change::Same));
    }
}
