//! Where in a file something stands, for those who say what is wrong there.

use crate::config::strict::{Problems, Step};

/// A part of a file: a map, or a list.
pub(super) struct Place<'a> {
    problems: &'a mut Problems,
    path: Vec<Step>,
}

impl<'a> Place<'a> {
    /// The whole file.
    pub(super) const fn top(problems: &'a mut Problems) -> Self {
        Self {
            problems,
            path: Vec::new(),
        }
    }
}

impl Place<'_> {
    /// Names a problem of the value of `key`, unless something is known to be wrong there already.
    pub(super) fn add(&mut self, key: impl Into<Step>, message: impl Into<String>) {
        let path = self.path_of(key);
        self.problems.add(&path, message);
    }

    pub(super) fn within(&mut self, key: impl Into<Step>) -> Place<'_> {
        let path = self.path_of(key);
        Place {
            problems: self.problems,
            path,
        }
    }

    /// Whether something is wrong with the value of `key`, or inside of it. What it lacks may have been taken out then.
    pub(super) fn is_wrong(&self, key: impl Into<Step>) -> bool {
        self.problems.is_known_below(&self.path_of(key))
    }

    /// The value, or a problem that names what is missing.
    pub(super) fn need<T>(&mut self, key: &str, value: Option<T>, such_as: &str) -> Option<T> {
        if value.is_none() {
            self.add(key, format!("this is missing; write `{key}: {such_as}` for instance"));
        }
        value
    }

    /// The same for a text, which must say something.
    pub(super) fn text(&mut self, key: &str, value: Option<String>, such_as: &str) -> Option<String> {
        let text = self.need(key, value, such_as)?;
        if text.trim().is_empty() {
            self.add(key, format!("this is empty; write `{key}: {such_as}` for instance"));
            return None;
        }
        Some(text)
    }

    fn path_of(&self, key: impl Into<Step>) -> Vec<Step> {
        let mut path = self.path.clone();
        path.push(key.into());
        path
    }
}
