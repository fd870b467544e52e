//! Which commit a work tree stands at, read from git's own files, so that it takes no git to know; and where that is
//! written, so that a build is told of the next one.

use std::fs;
use std::path::{Path, PathBuf};

/// A commit, and the files that change with it.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// `None` where there is no work tree, or its files say nothing.
    pub(crate) commit: Option<String>,
    /// Each of them exists: a build that waits for one that does not would never be fresh.
    pub(crate) files: Vec<PathBuf>,
}

/// The commit of the work tree that `from` lies in.
pub(crate) fn head(from: &Path) -> Head {
    let Some(git) = folder(from) else {
        return Head::default();
    };
    let common = fs::read_to_string(git.join("commondir")).map_or_else(|_| git.clone(), |dir| git.join(dir.trim()));
    let mut files = vec![git.join("HEAD"), git.join("logs/HEAD"), common.join("packed-refs")];
    let commit = fs::read_to_string(git.join("HEAD")).ok().and_then(|head| {
        let Some(reference) = head.trim().strip_prefix("ref: ") else {
            return Some(head.trim().to_owned());
        };
        files.push(common.join(reference));
        let loose = fs::read_to_string(common.join(reference)).ok();
        loose.map(|commit| commit.trim().to_owned()).or_else(|| {
            let packed = fs::read_to_string(common.join("packed-refs")).ok()?;
            let line = packed.lines().find(|line| line.ends_with(&format!(" {reference}")))?;
            line.split(' ').next().map(str::to_owned)
        })
    });
    files.retain(|file| file.exists());
    Head { commit, files }
}

/// git's folder; that of a second work tree is named in a file.
fn folder(from: &Path) -> Option<PathBuf> {
    let git = from.ancestors().map(|dir| dir.join(".git")).find(|git| git.exists())?;
    if !git.is_file() {
        return Some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    let named = text.trim().strip_prefix("gitdir: ")?;
    Some(git.parent()?.join(named))
}

/// The commit as a recording names it; `changes` is what `git status` lists of the sources, `None` where git does not say.
pub(crate) fn named(commit: &str, changes: Option<&str>) -> String {
    match changes {
        Some("") => commit.to_owned(),
        Some(_) => format!("{commit}-dirty"),
        None => format!("{commit}-unchecked"),
    }
}
