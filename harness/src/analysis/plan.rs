//! Execution plans as trees: read from what the engine prints, compared node by node, and asked whether they read at all.
//!
//! Running EXPLAIN is the work of `scrape`; this only understands its answers.

use serde::{Deserialize, Serialize};

/// One step of a plan. `None` is what the engine did not say.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PlanNode {
    /// As the engine puts it, such as `Index lookup on seats using seats_status (status = 'available')`.
    pub operation: String,
    pub table: Option<String>,
    pub index: Option<String>,
    /// In the engine's unit of cost, which compares within one engine only.
    pub cost: Option<f64>,
    /// Rows that the optimiser expected, each time that the step runs.
    pub rows_estimated: Option<f64>,
    /// What happened when the plan was run.
    pub actual: Option<Actual>,
    pub children: Vec<PlanNode>,
}

/// What one step did when the plan was run.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Actual {
    /// Mean rows each time that it ran.
    pub rows: f64,
    /// How many times it ran.
    pub loops: f64,
    /// Mean milliseconds until its last row, its children included, each time that it ran.
    pub milliseconds: f64,
}

impl PlanNode {
    /// Rows that all the steps reading tables returned, over all their runs; `None` when the plan was not run or reads
    /// no table.
    pub fn rows_read(&self) -> Option<f64> {
        let own = self
            .table
            .as_ref()
            .and(self.actual)
            .map(|actual| actual.rows * actual.loops);
        let below = self.children.iter().filter_map(Self::rows_read);
        below.chain(own).reduce(|a, b| a + b)
    }

    /// Every index that some step uses.
    pub fn indexes(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.walk(0, &mut |_, node| found.extend(node.index.as_deref()));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether the optimiser answered without reading: the row was fetched, or found missing, while planning. Such a plan
    /// says nothing about an index.
    pub fn is_folded(&self) -> bool {
        const FOLDED: [&str; 4] = [
            "Rows fetched before execution",
            "Zero rows",
            "Zero input rows",
            "Constant row",
        ];
        let starts = |node: &Self| FOLDED.iter().any(|text| node.operation.starts_with(text));
        starts(self) || (!self.children.is_empty() && self.children.iter().all(Self::is_folded))
    }

    /// Each node in the order in which it is printed, with its depth.
    pub fn walk<'a>(&'a self, depth: usize, visit: &mut impl FnMut(usize, &'a Self)) {
        visit(depth, self);
        for child in &self.children {
            child.walk(depth + 1, visit);
        }
    }
}

/// Why a text is not a plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("the engine printed no plan")]
    Empty,
    #[error("`{0}` stands deeper than the step that it would belong to")]
    Orphan(String),
}

/// Reads MySQL's tree format, as `EXPLAIN ANALYZE` and `EXPLAIN FORMAT=TREE` print it. Subqueries that stand beside the
/// first step become its children.
///
/// # Errors
/// When the text holds no step, or one without a parent.
///
/// ```
/// use soundcheck::analysis::plan::parse_mysql_tree;
///
/// let plan = parse_mysql_tree(
///     "-> Limit: 10 row(s)  (cost=0.35 rows=1) (actual time=0.02..0.03 rows=3 loops=1)\n\
///      \x20   -> Index lookup on seats using by_status (status = 'free')  (cost=0.35 rows=1) (actual time=0.01..0.02 rows=3 loops=1)\n",
/// )?;
/// assert_eq!(plan.indexes(), ["by_status"]);
/// assert_eq!(plan.rows_read(), Some(3.0));
/// # Ok::<(), soundcheck::analysis::plan::PlanError>(())
/// ```
pub fn parse_mysql_tree(text: &str) -> Result<PlanNode, PlanError> {
    const INDENT: usize = 4;
    let mut steps: Vec<(usize, PlanNode)> = Vec::new();
    for line in text.lines() {
        let step = line.trim_start();
        if let Some(step) = step.strip_prefix("-> ") {
            let depth = (line.len() - line.trim_start().len()) / INDENT;
            steps.push((depth, mysql_step(step)));
        } else if let (Some((_, last)), false) = (steps.last_mut(), step.is_empty()) {
            // A condition may hold a line break.
            last.operation = format!("{} {}", last.operation, step.trim_end());
        }
    }
    // What stands beside the first step, and all below it, is part of the first.
    if let Some(second) = steps.iter().skip(1).position(|(depth, _)| *depth == 0) {
        steps.iter_mut().skip(second + 1).for_each(|(depth, _)| *depth += 1);
    }
    grow(steps)
}

/// Nests steps that are listed with their depth.
fn grow(steps: Vec<(usize, PlanNode)>) -> Result<PlanNode, PlanError> {
    let mut open: Vec<(usize, PlanNode)> = Vec::new();
    let close = |open: &mut Vec<(usize, PlanNode)>| {
        if let Some((_, done)) = open.pop()
            && let Some((_, parent)) = open.last_mut()
        {
            parent.children.push(done);
        }
    };
    for (depth, step) in steps {
        while open.len() > 1 && open.last().is_some_and(|(last, _)| *last >= depth) {
            close(&mut open);
        }
        if open.last().is_some_and(|(last, _)| depth > last + 1) {
            return Err(PlanError::Orphan(step.operation));
        }
        open.push((depth, step));
    }
    while open.len() > 1 {
        close(&mut open);
    }
    open.pop().map(|(_, root)| root).ok_or(PlanError::Empty)
}

/// One line of the tree format without its arrow.
fn mysql_step(line: &str) -> PlanNode {
    let figures = ["  (cost=", "  (actual time=", "  (never executed)"];
    let end = figures.iter().filter_map(|f| line.find(f)).min().unwrap_or(line.len());
    let (operation, figures) = line.split_at(end);
    let after = |key: &str| {
        let rest = &figures[figures.find(key)? + key.len()..];
        Some(&rest[..rest.find([' ', ')']).unwrap_or(rest.len())])
    };
    // Costs and times are `first..last row` where they differ.
    let last = |range: &str| range.rsplit("..").next()?.parse::<f64>().ok();
    let run = figures.find("(actual ").map(|at| &figures[at..]);
    let actual = run.and_then(|run| {
        let number = |key: &str| {
            let rest = &run[run.find(key)? + key.len()..];
            last(&rest[..rest.find([' ', ')'])?])
        };
        Some(Actual {
            milliseconds: number("time=")?,
            rows: number("rows=")?,
            loops: number("loops=")?,
        })
    });
    let never = figures.contains("(never executed)").then_some(Actual {
        rows: 0.0,
        loops: 0.0,
        milliseconds: 0.0,
    });
    let (table, index) = access(operation);
    PlanNode {
        operation: operation.trim_end().to_owned(),
        table,
        index,
        cost: after("(cost=").and_then(last),
        rows_estimated: after("(cost=").and(after(" rows=")).and_then(last),
        actual: actual.or(never),
        children: Vec::new(),
    }
}

/// Table and index of a step that reads a table: `… scan on TABLE`, `… lookup on TABLE using INDEX (…)`.
fn access(operation: &str) -> (Option<String>, Option<String>) {
    const READS: [&str; 4] = ["scan on ", "lookup on ", "Count rows in ", "Constant row from "];
    // Conditions and sort keys may hold any words.
    let head = operation.split([':', '(']).next().unwrap_or(operation);
    let word = |after: &str| {
        let rest = &head[head.find(after)? + after.len()..];
        rest.split_whitespace().next().map(str::to_owned)
    };
    let table = READS.iter().find_map(|read| word(read));
    let index = table.as_ref().and_then(|_| word(" using "));
    (table, index)
}

/// A statement or an operation with its literals masked: quoted texts, and numbers that are no part of a name. Good enough
/// to tell executions of one statement from those of another; the engine's own digest is what a report cites.
///
/// ```
/// use soundcheck::analysis::plan::mask_literals;
///
/// assert_eq!(mask_literals("id = 17 AND name = 'it\\'s 3' AND t1.k = 0xFF"), "id = ? AND name = ? AND t1.k = ?");
/// ```
pub fn mask_literals(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let in_name = masked.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '#');
        if character == '\'' {
            // A doubled quote inside reads as two texts, which are masked alike.
            while let Some(skipped) = characters.next() {
                match skipped {
                    '\\' => drop(characters.next()),
                    '\'' => break,
                    _ => {}
                }
            }
            masked.push('?');
        } else if character.is_ascii_digit() && !in_name {
            while characters.next_if(|c| c.is_ascii_alphanumeric() || *c == '.').is_some() {}
            masked.push('?');
        } else {
            masked.push(character);
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_masked_and_names_are_not() {
        assert_ne!(mask_literals("using by_1 (a = 1)"), mask_literals("using by_2 (a = 1)"));
        assert_eq!(
            mask_literals("a = 'it''s' or b = 1.5"),
            mask_literals("a = 'x''y' or b = 22")
        );
        assert_eq!(mask_literals("Select #2 'open"), "Select #2 ?");
    }

    fn outline(plan: &PlanNode) -> String {
        let mut lines = String::new();
        plan.walk(0, &mut |depth, node| {
            let table = node.table.as_deref().unwrap_or("-");
            let index = node.index.as_deref().unwrap_or("-");
            let rows = node
                .actual
                .map_or("-".to_owned(), |a| format!("{}x{}", a.rows, a.loops));
            let head = node.operation.split([':', '(']).next().unwrap_or_default().trim();
            lines += &format!(
                "{}{head} | {table} {index} {:?} {rows}\n",
                "  ".repeat(depth),
                node.rows_estimated
            );
        });
        lines
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(outline(&parse_mysql_tree(text).unwrap()), expected);
    }

    // Printed by MySQL 9.7.
    const JOIN: &str = "\
-> Aggregate: count(0)  (cost=12.5 rows=1) (actual time=0.104..0.104 rows=1 loops=1)
    -> Nested loop inner join  (cost=9.54 rows=12.8) (actual time=0.03..0.0973 rows=94 loops=1)
        -> Filter: (a.`status` = 'available (cost=1)')  (cost=6.65 rows=6.4) (actual time=0.0242..0.0368 rows=47 loops=1)
            -> Covering index scan on a using s_s  (cost=6.65 rows=64) (actual time=0.0191..0.0268 rows=64 loops=1)
        -> Covering index lookup on b using s_s (schedule_id = a.schedule_id)  (cost=0.283 rows=2) (actual time=762e-6..0.00109 rows=2 loops=47)
";
    const SUBQUERY: &str = "\
-> Filter: (a.id in (1,2))  (cost=0.91 rows=2) (actual time=0.00915..0.0106 rows=2 loops=1)
    -> Index range scan on a using PRIMARY over (id = 1) OR (id = 2)  (cost=0.91 rows=2) (actual time=0.00718..0.00842 rows=2 loops=1)
-> Select #2 (subquery in projection; dependent)
    -> Aggregate: max(b.price)  (cost=1.16 rows=1) (never executed)
        -> Index lookup on b using s_s (schedule_id = a.schedule_id)  (cost=0.7 rows=2) (never executed)
";

    #[test]
    fn mysql_trees() {
        check(
            JOIN,
            "Aggregate | - - Some(1.0) 1x1\n\
             \x20 Nested loop inner join | - - Some(12.8) 94x1\n\
             \x20   Filter | - - Some(6.4) 47x1\n\
             \x20     Covering index scan on a using s_s | a s_s Some(64.0) 64x1\n\
             \x20   Covering index lookup on b using s_s | b s_s Some(2.0) 2x47\n",
        );
        check(
            SUBQUERY,
            "Filter | - - Some(2.0) 2x1\n\
             \x20 Index range scan on a using PRIMARY over | a PRIMARY Some(2.0) 2x1\n\
             \x20 Select #2 | - - None -\n\
             \x20   Aggregate | - - Some(1.0) 0x0\n\
             \x20     Index lookup on b using s_s | b s_s Some(2.0) 0x0\n",
        );
        check(
            "-> Count rows in seats  (actual time=0.0153..0.0153 rows=1 loops=1)",
            "Count rows in seats | seats - None 1x1\n",
        );
    }

    #[test]
    fn figures_are_those_of_the_last_row_and_of_every_loop() {
        let plan = parse_mysql_tree(JOIN).unwrap();
        let lookup = &plan.children[0].children[1];
        assert_eq!(lookup.actual.unwrap().milliseconds, 0.00109);
        assert_eq!(lookup.cost, Some(0.283));
        assert_eq!(plan.rows_read(), Some(64.0 + 2.0 * 47.0));
        assert_eq!(plan.indexes(), ["s_s"]);
    }

    #[test]
    fn plans_that_read_nothing_are_folded() {
        let folded = |text: &str| parse_mysql_tree(text).unwrap().is_folded();
        assert!(folded(
            "-> Rows fetched before execution  (cost=0..0 rows=1) (actual time=68e-6..120e-6 rows=1 loops=1)"
        ));
        assert!(folded(
            "-> Zero rows (Impossible WHERE noticed after reading const tables)  (cost=0..0 rows=0)"
        ));
        assert!(folded(
            "-> Limit: 1 row(s)\n    -> Rows fetched before execution  (cost=0..0 rows=1)\n"
        ));
        assert!(!folded(JOIN) && !folded(SUBQUERY));
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        assert_eq!(parse_mysql_tree(""), Err(PlanError::Empty));
        assert_eq!(parse_mysql_tree("Table scan"), Err(PlanError::Empty));
        let orphan = "-> Limit: 1 row(s)\n            -> Table scan on seats\n";
        assert_eq!(
            parse_mysql_tree(orphan),
            Err(PlanError::Orphan("Table scan on seats".to_owned()))
        );
    }

    #[test]
    fn a_condition_may_hold_a_line_break() {
        let plan =
            parse_mysql_tree("-> Filter: (a = 'x\ny')  (cost=1 rows=1)\n    -> Table scan on t  (cost=1 rows=5)\n")
                .unwrap();
        assert_eq!(plan.children[0].table.as_deref(), Some("t"));
    }
}
