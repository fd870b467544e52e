//! Gathers settings from a YAML file, the environment and `--set`, later ones winning, each with its origin.
//!
//! Values stay text here: one parser serves all three sources, so that `cache.ttl: 2s`, `SOUNDCHECK_SERVICE_CACHE__TTL=2s`
//! and `--set cache.ttl=2s` cannot differ. What a key means is in [`super::settings`].

use std::collections::BTreeMap;
use std::path::Path;

use serde_yaml::Value;

use super::keys::{also, canonical};

/// The prefix of environment variables; dots of a key become `__`.
pub const ENV_PREFIX: &str = "SOUNDCHECK_SERVICE_";

/// How the origin of a variable's value begins.
const ENV_ORIGIN: &str = "environment variable ";

/// All that is wrong with a configuration, one line each.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} error(s):\n  {}", .0.len(), .0.join("\n  "))]
pub struct ConfigError(pub Vec<String>);

/// A value as written, and where.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) text: String,
    pub(crate) origin: String,
}

/// `key = text` pairs with their origins, and what could not be read.
#[derive(Debug, Default)]
pub struct Source {
    pub(crate) settings: BTreeMap<String, Setting>,
    pub(crate) errors: Vec<String>,
}

impl Source {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a YAML file.
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => self.yaml(&text, &path.display().to_string()),
            Err(error) => {
                self.errors.push(format!("cannot read {}: {error}", path.display()));
                self
            }
        }
    }

    /// Adds YAML text, called `name` in messages.
    #[must_use]
    pub fn yaml(mut self, text: &str, name: &str) -> Self {
        match serde_yaml::from_str::<Value>(text) {
            Ok(Value::Null) => {}
            Ok(Value::Mapping(map)) => {
                let mut found = BTreeMap::new();
                self.flatten(&map, &mut Vec::new(), text, name, &mut found);
                self.settings.extend(found);
            }
            Ok(_) => self
                .errors
                .push(format!("{name}: expected `key: value` lines at the top level")),
            Err(error) => self.errors.push(format!("{name}: not YAML: {error}")),
        }
        self
    }

    /// Adds environment variables that start with [`ENV_PREFIX`]; others are not ours.
    #[must_use]
    pub fn env(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, text) in variables {
            if let Some(rest) = name.strip_prefix(ENV_PREFIX) {
                let key = canonical(rest.to_lowercase().replace("__", "."));
                let origin = format!("{ENV_ORIGIN}{name}");
                // Variables have no order, so that neither of two can be the later one.
                if let Some(other) = self
                    .settings
                    .get(&key)
                    .filter(|other| other.origin.starts_with(ENV_ORIGIN))
                {
                    let also = also(&key);
                    self.errors
                        .push(format!("{origin}: `{key}` is set by {} as well{also}", other.origin));
                }
                self.settings.insert(key, Setting { text, origin });
            }
        }
        self
    }

    /// Adds `key=value` pairs of the command line.
    #[must_use]
    pub fn flags<S: AsRef<str>>(mut self, pairs: &[S]) -> Self {
        for pair in pairs {
            let pair = pair.as_ref();
            match pair.split_once('=') {
                Some((key, text)) => {
                    let origin = format!("--set {}", key.trim());
                    let text = text.trim().to_owned();
                    self.settings
                        .insert(canonical(key.trim().to_owned()), Setting { text, origin });
                }
                None => self.errors.push(format!("--set {pair}: expected key=value")),
            }
        }
        self
    }

    fn flatten(
        &mut self,
        map: &serde_yaml::Mapping,
        path: &mut Vec<String>,
        text: &str,
        name: &str,
        found: &mut BTreeMap<String, Setting>,
    ) {
        for (key, value) in map {
            let Some(key) = key.as_str() else {
                self.errors
                    .push(format!("{name}: a key under `{}` is not text", path.join(".")));
                continue;
            };
            path.extend(key.split('.').map(str::to_owned));
            let depth = key.split('.').count();
            let line = line_of(text, path).map_or_else(String::new, |line| format!(":{line}"));
            let origin = format!("{name}{line}");
            let value = match value {
                Value::Mapping(inner) => {
                    self.flatten(inner, path, text, name, found);
                    None
                }
                Value::Sequence(items) => {
                    let items: Vec<String> = items.iter().filter_map(scalar).collect();
                    Some(items.join(","))
                }
                other => {
                    let text = scalar(other);
                    if text.is_none() {
                        self.errors.push(format!("{origin}: `{}` has no value", path.join(".")));
                    }
                    text
                }
            };
            if let Some(text) = value {
                let key = canonical(path.join("."));
                // YAML refuses the same name twice; one key has several: `cache`, `cache.mode`, and `mode` in `cache`.
                if found.contains_key(&key) {
                    self.errors
                        .push(format!("{origin}: `{key}` is set twice{}", also(&key)));
                }
                found.insert(key, Setting { text, origin });
            }
            path.truncate(path.len() - depth);
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        // YAML 1.1 habits: `off` and `on` are text in YAML 1.2, which this parser follows; booleans are written out.
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The line on which `path` is written, from 1: each segment is searched below the one before, indented further.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let dotted = path.join(".");
    let mut segments = path.iter().peekable();
    let mut parent_indent = None;
    // A key inside `{…}` is on its parent's line.
    let mut nearest = None;
    for (number, line) in text.lines().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let key = body
            .split(':')
            .next()
            .unwrap_or_default()
            .trim()
            .trim_matches(['"', '\'']);
        if key == dotted {
            return Some(number + 1);
        }
        let deeper = parent_indent.is_none_or(|parent| indent > parent);
        if deeper && segments.peek().is_some_and(|segment| *segment == key) {
            segments.next();
            parent_indent = Some(indent);
            nearest = Some(number + 1);
            if segments.peek().is_none() {
                return Some(number + 1);
            }
        }
    }
    nearest
}
