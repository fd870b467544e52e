//! YAML into typed values, with every fault of a file named at once: where it stands, what was expected, what is near.
//!
//! The raw types say what a file may contain (`deny_unknown_fields`, scalars with units); this module turns what serde
//! says into problems with a line, takes the offending part out, and reads on, so that a person mends a file in one go.
//! Rules between values belong to the types that use this, through [`Problems::add`].

use std::fmt;

use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::place::locate;

/// One step on the way to a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A key of a map.
    Key(String),
    /// An element of a list, from 0.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The name under which the file is known to the person who wrote it.
    pub file: String,
    /// From 1; `None` when the place could not be told.
    pub line: Option<usize>,
    /// The way to the value, as in `stages[0].rate`; empty where the line says enough.
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// All that is wrong with a file, and with those that it names.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct ConfigError {
    /// File by file, in the order of their lines.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            match problem.line {
                Some(line) => write!(f, "{}:{line}: ", problem.file)?,
                None => write!(f, "{}: ", problem.file)?,
            }
            if !problem.key.is_empty() {
                write!(f, "`{}`: ", problem.key)?;
            }
            f.write_str(&problem.message)?;
        }
        Ok(())
    }
}

/// A text in which problems are found.
#[derive(Debug)]
struct Source {
    file: String,
    text: String,
    /// What stands in it, as far as it can be read.
    value: Value,
}

/// The problems found so far, and the texts that they are found in: a file, and those that it builds on.
#[derive(Debug)]
pub struct Problems {
    /// The file itself, and then what it builds on: a value stands in the first that has it.
    sources: Vec<Source>,
    found: Vec<(Vec<Step>, Problem)>,
}

impl Problems {
    /// Of one file.
    fn of(file: &str, text: &str) -> Self {
        let source = Source {
            file: file.to_owned(),
            text: text.to_owned(),
            value: Value::Null,
        };
        Self {
            sources: vec![source],
            found: Vec::new(),
        }
    }

    /// Takes in the problems of what this file builds on, and where to look for what it does not say itself.
    pub fn build_on(&mut self, base: Self) {
        self.sources.extend(base.sources);
        self.found.extend(base.found);
    }

    /// Names a problem at `path`, unless something is known to be wrong there already.
    pub fn add(&mut self, path: &[Step], message: impl Into<String>) {
        if self.is_known(path) {
            return;
        }
        let source = self.source_of(path);
        let problem = Problem {
            file: source.file.clone(),
            line: locate(&source.text, path),
            key: dotted(path),
            message: message.into(),
        };
        self.found.push((path.to_vec(), problem));
    }

    /// Names a problem at a line of another `file` that is named at `path`.
    pub fn add_in(&mut self, path: &[Step], file: &str, line: Option<usize>, message: impl Into<String>) {
        let problem = Problem {
            file: file.to_owned(),
            line,
            key: String::new(),
            message: message.into(),
        };
        self.found.push((path.to_vec(), problem));
    }

    /// Where the value of `path` comes from. Maps are merged key by key, and everything else is taken whole.
    fn source_of(&self, path: &[Step]) -> &Source {
        let is_key = |step: &&Step| matches!(step, Step::Key(_));
        let keys = path.iter().take(2).take_while(is_key).count();
        let has = |length: usize| {
            self.sources
                .iter()
                .find(|source| get(&source.value, &path[..length]).is_some())
        };
        (1..=keys).rev().find_map(has).unwrap_or(&self.sources[0])
    }

    /// Whether something is wrong at `path` or above it.
    pub fn is_known(&self, path: &[Step]) -> bool {
        self.found.iter().any(|(known, _)| path.starts_with(known))
    }

    /// Whether something is wrong at `path`, above it or anywhere inside it.
    pub fn is_known_below(&self, path: &[Step]) -> bool {
        self.is_known(path) || self.found.iter().any(|(known, _)| known.starts_with(path))
    }

    /// The value, if nothing is wrong.
    ///
    /// # Errors
    /// With every problem when there is one, or when there is no value.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                let mut problems: Vec<Problem> = self.found.into_iter().map(|(_, problem)| problem).collect();
                let rank = |problem: &Problem| self.sources.iter().position(|source| source.file == problem.file);
                problems.sort_by_key(|problem| {
                    let rank = rank(problem).unwrap_or(usize::MAX);
                    (rank, problem.line.unwrap_or(usize::MAX))
                });
                Err(ConfigError { problems })
            }
        }
    }
}

/// Reads `text` as far as it can be read. The value is `None` only where nothing could be made of the file.
///
/// Raw types should hold options throughout: a part that is wrong is taken out before the rest is read.
pub fn read<T: DeserializeOwned>(file: &str, text: &str) -> (Option<T>, Problems) {
    let mut problems = Problems::of(file, text);
    let mut value: Value = match serde_yaml::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let line = error.location().map(|location| location.line());
            problems.add_in(&[], file, line, format!("this is not readable YAML: {error}"));
            return (None, problems);
        }
    };
    if value.is_null() {
        problems.add_in(&[], file, None, "the file is empty");
        return (None, problems);
    }
    problems.sources[0].value = value.clone();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(value.clone()) {
            Ok(read) => return (Some(read), problems),
            Err(error) => error,
        };
        let mut path = steps(error.path());
        let text = error.inner().to_string();
        if let Some((unknown, known)) = unknown_name(&text) {
            if path.last() != Some(&Step::Key(unknown.clone())) && get(&value, &path).is_some_and(Value::is_mapping) {
                path.push(Step::Key(unknown.clone()));
            }
            problems.add(&path, unknown_message(&unknown, &known));
        } else {
            problems.add(&path, text);
        }
        // What cannot be taken out would be found wrong for ever.
        if path.is_empty() || !take_out(&mut value, &path) {
            return (None, problems);
        }
    }
}

/// Reads `text` into a type that needs no further checks.
///
/// # Errors
/// With every problem of the file.
pub fn from_str<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigError> {
    let (value, problems) = read(file, text);
    problems.finish(value)
}

/// The known name nearest to `name`, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.len().max(name.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What to say of a name that is not known.
pub fn unknown_message(name: &str, known: &[String]) -> String {
    let list = known
        .iter()
        .map(|known| format!("`{known}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("unknown name `{name}`; did you mean `{near}`? known here: {list}"),
        None => format!("unknown name `{name}`; known here: {list}"),
    }
}

/// Serde's words for an unknown field or variant: the name, and the names that it expected.
fn unknown_name(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message
        .find("unknown field `")
        .map(|at| &message[at + "unknown field `".len()..])
        .or_else(|| {
            message
                .find("unknown variant `")
                .map(|at| &message[at + "unknown variant `".len()..])
        })?;
    let mut quoted = rest.split('`').step_by(2);
    let name = quoted.next()?.to_owned();
    let known = rest.split('`').skip(2).step_by(2).map(str::to_owned).collect();
    Some((name, known))
}

fn steps(path: &serde_path_to_error::Path) -> Vec<Step> {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
        }
    }
    text
}

fn get<'v>(value: &'v Value, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key.as_str()),
        Step::Index(index) => value.get(*index),
    })
}

/// Removes the value at `path`; an element of a list goes with the whole list, so that the others keep their places.
fn take_out(value: &mut Value, path: &[Step]) -> bool {
    let Some(last_key) = path.iter().rposition(|step| matches!(step, Step::Key(_))) else {
        return false;
    };
    let Step::Key(key) = &path[last_key] else { return false };
    let parent = path[..last_key].iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key.as_str()),
        Step::Index(index) => value.get_mut(*index),
    });
    parent
        .and_then(Value::as_mapping_mut)
        .is_some_and(|map| map.shift_remove(key.as_str()).is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        name: Option<String>,
        parts: Option<Vec<Part>>,
        map: Option<BTreeMap<String, u32>>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Part {
        length: Option<u32>,
        kind: Option<Kind>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        Even,
        Poisson,
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = from_str::<Raw>("f.yaml", text).expect_err("should be refused");
        assert_eq!(error.to_string(), expected, "{error:?}");
    }

    #[test]
    fn every_problem_is_named_with_its_line_and_what_is_near() {
        check(
            "name: x\nparts:\n  - lenght: 3\n    kind: even\n  - length: long\n    kind: poison\nmpa: {}\n",
            "f.yaml:3: `parts[0].lenght`: unknown name `lenght`; did you mean `length`? known here: `length`, `kind`\n\
             f.yaml:5: `parts[1].length`: invalid type: string \"long\", expected u32\n\
             f.yaml:6: `parts[1].kind`: unknown name `poison`; did you mean `poisson`? known here: `even`, `poisson`\n\
             f.yaml:7: `mpa`: unknown name `mpa`; did you mean `map`? known here: `name`, `parts`, `map`",
        );
    }

    #[test]
    fn flow_style_and_far_names_are_placed_too() {
        check(
            "name: x\nparts: [{length: 1},\n  {zzzzzz: 1}]\n",
            "f.yaml:3: `parts[1].zzzzzz`: unknown name `zzzzzz`; known here: `length`, `kind`",
        );
        check(
            "map:\n  a: 1\n  b: x\n",
            "f.yaml:3: `map.b`: invalid type: string \"x\", expected u32",
        );
    }

    #[test]
    fn what_is_no_yaml_and_what_is_empty_is_said() {
        check("", "f.yaml: the file is empty");
        let error = from_str::<Raw>("f.yaml", "a: [1\nb: 2\n").expect_err("should be refused");
        assert!(error.to_string().contains("not readable YAML"), "{error}");
        assert!(error.problems[0].line.is_some());
        let error = from_str::<Raw>("f.yaml", "name: a\nname: b\n").expect_err("should be refused");
        assert!(error.to_string().contains("duplicate"), "{error}");
    }
}
