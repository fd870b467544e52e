//! Two query plans as one tree, with what went and what came.
//!
//! Steps are compared by what they do and how deep they stand; costs and times differ from run to run, so they are shown
//! beside the step and never make a difference by themselves.

use serde::Serialize;

/// One plan before and after a change.
#[derive(Clone, Debug, Serialize)]
pub struct PlanDiff {
    /// The statement, as the service executed it.
    pub statement: String,
    /// The digest under which the server counted it; ties the plan to what really ran. `None`: not tied.
    pub digest: Option<String>,
    /// `no index`.
    pub before_name: String,
    /// `(schedule_id, status)`.
    pub after_name: String,
    pub before: Vec<PlanLine>,
    pub after: Vec<PlanLine>,
}

/// One step of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PlanLine {
    pub depth: usize,
    /// `Index lookup on seats using status_schedule (status='available')`.
    pub step: String,
    /// Costs, rows and times, as the engine printed them.
    pub detail: Option<String>,
}

impl PlanLine {
    /// Reads the tree that `EXPLAIN FORMAT=TREE` and `EXPLAIN ANALYZE` print: four blanks a level, `-> ` before a step.
    ///
    /// ```
    /// use soundcheck::report::PlanLine;
    ///
    /// let plan = PlanLine::parse_tree("-> Sort: x  (cost=9)\n    -> Table scan on seats  (cost=1 rows=2)\n");
    /// assert_eq!(plan[1].depth, 1);
    /// assert_eq!(plan[1].step, "Table scan on seats");
    /// assert_eq!(plan[1].detail.as_deref(), Some("(cost=1 rows=2)"));
    /// ```
    pub fn parse_tree(text: &str) -> Vec<Self> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let parsed = lines.map(|line| {
            let content = line.trim_start_matches(' ');
            let depth = (line.len() - content.len()) / 4;
            let content = content.strip_prefix("-> ").unwrap_or(content).trim_end();
            let split = ["  (cost=", "  (actual time=", "  (never executed"]
                .iter()
                .filter_map(|start| content.find(start))
                .min();
            let (step, detail) = split.map_or((content, None), |at| {
                let (step, detail) = content.split_at(at);
                (step, Some(detail.trim().to_owned()))
            });
            Self {
                depth,
                step: step.to_owned(),
                detail,
            }
        });
        parsed.collect()
    }
}

/// What happened to a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    Kept,
    Gone,
    New,
}

impl PlanDiff {
    /// The steps of both plans in one order: what is gone stands before what came in its place. A kept step shows the
    /// details of the plan after.
    pub fn lines(&self) -> Vec<(Change, &PlanLine)> {
        let (before, after) = (&self.before, &self.after);
        let same = |i: usize, j: usize| before[i].depth == after[j].depth && before[i].step == after[j].step;
        // Longest common subsequence: plans have tens of steps, so the full table is fine.
        let mut longest = vec![vec![0_u32; after.len() + 1]; before.len() + 1];
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
        let mut lines = Vec::with_capacity(before.len() + after.len());
        while i < before.len() || j < after.len() {
            if i < before.len() && j < after.len() && same(i, j) {
                lines.push((Change::Kept, &after[j]));
                i += 1;
                j += 1;
            } else if i < before.len() && (j == after.len() || longest[i + 1][j] >= longest[i][j + 1]) {
                lines.push((Change::Gone, &before[i]));
                i += 1;
            } else {
                lines.push((Change::New, &after[j]));
                j += 1;
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(before: &str, after: &str) -> String {
        let diff = PlanDiff {
            statement: String::new(),
            digest: None,
            before_name: String::new(),
            after_name: String::new(),
            before: PlanLine::parse_tree(before),
            after: PlanLine::parse_tree(after),
        };
        let lines = diff.lines().into_iter().map(|(change, line)| {
            let sign = match change {
                Change::Kept => ' ',
                Change::Gone => '-',
                Change::New => '+',
            };
            format!("{sign}{}{}\n", " ".repeat(line.depth), line.step)
        });
        lines.collect()
    }

    #[test]
    fn costs_make_no_difference() {
        assert_eq!(
            diff(
                "-> A  (cost=1)\n    -> B  (cost=2)",
                "-> A  (cost=9)\n    -> B  (cost=8)"
            ),
            " A\n  B\n"
        );
    }

    #[test]
    fn shows_what_went_before_what_came() {
        assert_eq!(
            diff(
                "-> A\n    -> Filter: x\n        -> Table scan on s",
                "-> A\n    -> Index lookup on s"
            ),
            " A\n- Filter: x\n-  Table scan on s\n+ Index lookup on s\n"
        );
        assert_eq!(diff("", "-> A"), "+A\n");
        assert_eq!(diff("-> A", ""), "-A\n");
    }
}
