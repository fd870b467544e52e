//! SQLite's query plans as trees.

use super::plan::{PlanError, PlanNode};

/// Nests the rows of SQLite's `EXPLAIN QUERY PLAN`, each `(id, parent, detail)`. SQLite neither estimates nor measures.
///
/// # Errors
/// When there are no rows.
pub fn from_sqlite(rows: &[(i64, i64, String)]) -> Result<PlanNode, PlanError> {
    let mut tops = sqlite_children(rows, 0);
    match tops.len() {
        0 => Err(PlanError::Empty),
        1 => Ok(tops.remove(0)),
        _ => Ok(PlanNode {
            operation: "QUERY PLAN".to_owned(),
            children: tops,
            ..PlanNode::default()
        }),
    }
}

fn sqlite_children(rows: &[(i64, i64, String)], parent: i64) -> Vec<PlanNode> {
    rows.iter()
        // A row that is its own parent would never end.
        .filter(|(id, of, _)| *of == parent && *id != parent)
        .map(|(id, _, detail)| {
            let (table, index) = sqlite_access(detail);
            PlanNode {
                operation: detail.clone(),
                table,
                index,
                children: sqlite_children(rows, *id),
                ..PlanNode::default()
            }
        })
        .collect()
}

/// Table and index of `SEARCH seats USING COVERING INDEX by_status (status=?)`.
fn sqlite_access(detail: &str) -> (Option<String>, Option<String>) {
    let mut words = detail.split_whitespace();
    if !matches!(words.next(), Some("SCAN" | "SEARCH")) {
        return (None, None);
    }
    let table = words.next().map(str::to_owned);
    let index = if detail.contains("USING INTEGER PRIMARY KEY") {
        Some("PRIMARY KEY".to_owned())
    } else {
        detail
            .split("INDEX ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next())
            .map(str::to_owned)
    };
    (table, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_rows_are_nested() {
        let rows = [
            (
                3,
                0,
                "SEARCH seats USING COVERING INDEX by_status (schedule_id=? AND status=?)",
            ),
            (9, 0, "CORRELATED SCALAR SUBQUERY 1"),
            (12, 9, "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)"),
            (20, 0, "USE TEMP B-TREE FOR ORDER BY"),
        ];
        let rows = rows.map(|(id, parent, detail)| (id, parent, detail.to_owned()));
        let plan = from_sqlite(&rows).unwrap();
        assert_eq!(plan.children.len(), 3);
        assert_eq!(plan.indexes(), ["PRIMARY KEY", "by_status"]);
        assert_eq!(plan.children[1].children[0].table.as_deref(), Some("p"));
        let scan = from_sqlite(&[(2, 0, "SCAN seats".to_owned())]).unwrap();
        assert_eq!((scan.table.as_deref(), scan.index.as_deref()), (Some("seats"), None));
        assert_eq!(scan.rows_read(), None);
        assert_eq!(from_sqlite(&[]), Err(PlanError::Empty));
    }
}
