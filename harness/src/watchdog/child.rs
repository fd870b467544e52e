//! The child's side: keeps the list, and works it off when the pipe closes.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::undo::{Undo, UndoError};

/// The hidden subcommand that makes a process the watchdog.
pub const SUBCOMMAND: &str = "__watchdog";

/// One line of the pipe.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Add { id: u64, undo: Undo },
    Forget { id: u64 },
}

/// Reads the list from `input` until it ends, then undoes what is on it, latest first.
///
/// Returns what could not be undone: one failure must not keep the rest from being tried.
pub async fn run(input: impl BufRead) -> Vec<UndoError> {
    let mut failures = Vec::new();
    for (_, undo) in read(input).into_iter().rev() {
        if let Err(error) = undo.run().await {
            failures.push(error);
        }
    }
    failures
}

/// The outstanding entries. A line cut off by the end of its writer was not acted upon yet.
fn read(input: impl BufRead) -> BTreeMap<u64, Undo> {
    let mut list = BTreeMap::new();
    for line in input.lines() {
        // The writer is gone either way; what is on the list counts.
        let Ok(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(Line::Add { id, undo }) => drop(list.insert(id, undo)),
            Ok(Line::Forget { id }) => drop(list.remove(&id)),
            Err(error) => tracing::debug!(%line, %error, "line is not an entry of the undo list"),
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forgotten_is_not_undone() {
        let folder = |name: &str| Undo::RemoveFolder { path: name.into() };
        let lines: Vec<String> = [
            Line::Add {
                id: 0,
                undo: folder("a"),
            },
            Line::Add {
                id: 1,
                undo: folder("b"),
            },
            Line::Forget { id: 0 },
            Line::Add {
                id: 2,
                undo: folder("c"),
            },
        ]
        .iter()
        .map(|line| serde_json::to_string(line).unwrap())
        .collect();
        let text = lines.join("\n") + "\n{\"add\":{\"id\":3,\"un";
        let list = read(text.as_bytes());
        assert_eq!(list.into_values().collect::<Vec<_>>(), [folder("b"), folder("c")]);
    }

    #[tokio::test]
    async fn folders_of_others_stay() {
        let root = tempfile::tempdir().unwrap();
        let ours = root.path().join("soundcheck-x");
        let theirs = root.path().join("precious");
        for path in [&ours, &theirs] {
            std::fs::create_dir(path).unwrap();
            Undo::RemoveFolder { path: path.clone() }.run().await.unwrap();
        }
        assert!(!ours.exists());
        assert!(theirs.exists());
    }
}
