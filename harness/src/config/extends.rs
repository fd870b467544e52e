//! `extends`: a scenario that says only what it does otherwise than another one.

use std::path::{Component, Path, PathBuf};

use super::feeder::ReadFile;
use super::feeder_yaml::{self, within_bounds};
use super::scenario_yaml::RawScenario;
use super::shipped;
use super::strict::{self, Problems, Step};

/// More scenarios do not build on each other.
const LONGEST: usize = 10;

/// Reads a scenario and, over as many files as it takes, what it builds on; `None` when a part of it cannot be read.
pub(super) fn read(file: &str, text: &str, read: ReadFile<'_>) -> (Option<RawScenario>, Problems) {
    below(file, text, read, &mut Vec::new())
}

/// `above` are the files that have led here.
fn below(file: &str, text: &str, read: ReadFile<'_>, above: &mut Vec<String>) -> (Option<RawScenario>, Problems) {
    let (raw, mut problems) = strict::read::<RawScenario>(file, text);
    let Some(mut raw) = raw else { return (None, problems) };
    if let Some(feeders) = &mut raw.feeders {
        feeder_yaml::load(feeders, Path::new(file), read, &mut problems);
    }
    let Some(name) = raw.extends.take() else {
        return (Some(raw), problems);
    };
    above.push(file.to_owned());
    let base = base(file, &name, read, above);
    let (base, below) = match base {
        Ok((file, text)) => below(&file, &text, read, above),
        Err(why) => {
            problems.add(&[Step::from("extends")], why);
            return (None, problems);
        }
    };
    problems.build_on(below);
    (base.map(|base| raw.over(base)), problems)
}

/// The file and the text of what `file` builds on.
fn base(file: &str, name: &str, read: ReadFile<'_>, above: &[String]) -> Result<(String, String), String> {
    if let Some((name, text)) = shipped::SCENARIOS.iter().find(|(known, _)| *known == name) {
        return Ok((format!("{name} (shipped)"), (*text).to_owned()));
    }
    let path = tidy(&Path::new(file).parent().unwrap_or(Path::new("")).join(name));
    let base = path.display().to_string();
    if let Some(first) = above.iter().position(|known| tidy(Path::new(known)) == path) {
        let chain = above[first..].iter().chain([&base]).map(String::as_str);
        let chain = chain.collect::<Vec<_>>().join(" → ");
        return Err(format!("no scenario can build on itself: {chain}"));
    }
    if above.len() >= LONGEST {
        let chain = above.join(" → ");
        return Err(format!("more than {LONGEST} scenarios build on each other: {chain}"));
    }
    let text = read(&path).and_then(within_bounds).map_err(|error| {
        let known: Vec<String> = shipped::SCENARIOS
            .iter()
            .map(|(known, _)| (*known).to_owned())
            .collect();
        let unknown = strict::unknown_message(name, &known);
        format!("cannot read {base}: {error}; nor does a scenario ship under this name: {unknown}")
    })?;
    let text = String::from_utf8(text).map_err(|_| format!("{base} is no UTF-8 text"))?;
    Ok((base, text))
}

/// The path without detours.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;

    use crate::config::{ConfigError, JourneyKind, ScenarioConfig, shipped};
    use crate::units::Percent;

    /// The first of these files, in a folder with the others.
    fn parse(files: &[(&str, &str)]) -> Result<ScenarioConfig, ConfigError> {
        let all: BTreeMap<&str, &str> = files.iter().copied().collect();
        let (file, text) = files[0];
        ScenarioConfig::parse_with(file, text, &|path| {
            let text = path.to_str().and_then(|path| all.get(path));
            let text = text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            Ok(text.as_bytes().to_vec())
        })
    }

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let error = parse(files).expect_err("should be refused").to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{error}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "`{expected}` is not in `{line}`");
        }
    }

    #[test]
    fn what_a_scenario_does_not_say_is_as_in_the_one_that_it_extends() {
        let own = "extends: smoke\nname: mine\njourneys: {book: 100%}\ntimeouts: {drain: 3s}\ndata: {users: 7}\n";
        let (mine, smoke) = (
            parse(&[("mine.yaml", own)]).unwrap(),
            shipped::scenario("smoke").unwrap(),
        );
        let mut expected = smoke;
        expected.name = "mine".to_owned();
        expected.journeys = [(JourneyKind::Book, Percent(100.0))].into();
        expected.timeouts.drain = std::time::Duration::from_secs(3);
        expected.data.users = 7;
        assert_eq!(mine, expected);
        // What is recorded stands alone.
        let written = mine.to_yaml().unwrap();
        assert!(!written.contains("extends"), "{written}");
        assert_eq!(ScenarioConfig::parse("plan.yaml", &written).unwrap(), mine);
    }

    #[test]
    fn files_build_on_files_by_paths_of_their_own() {
        let files = [
            ("a/top.yaml", "extends: ../b/middle.yaml\nname: top\n"),
            (
                "b/middle.yaml",
                "extends: base.yaml\npoll: 1s\nfeeders: [{name: fans, csv: fans.csv}]\n",
            ),
            ("b/base.yaml", "extends: smoke\npoll: 2s\nusers: 9\n"),
            ("b/fans.csv", "user\n1\n"),
        ];
        let top = parse(&files).unwrap();
        assert_eq!((top.name.as_str(), top.poll.as_secs(), top.users), ("top", 1, 9));
        assert_eq!(top.feeders[0].lasts(), Some(1));
    }

    #[test]
    fn every_error_names_the_file_in_which_it_stands() {
        check(
            &[
                ("a.yaml", "extends: b.yaml\nusers: 0\nusrs: 3\ndata: {concerts: 2}\n"),
                ("b.yaml", "extends: c.yaml\npoll: 20\ntimeouts: {request: 0s}\n"),
                (
                    "c.yaml",
                    "name: c\njourneys: {book: 90%}\nconcerts: 3\nstages: [{for: 1s, rate: 1/s}, {for: 0s, rate: 1/s}]\n",
                ),
            ],
            &[
                "a.yaml:2: `users`: 0 users cannot be run",
                "a.yaml:3: `usrs`: unknown name `usrs`; did you mean `users`?",
                "b.yaml:2: `poll`: `20` has no unit; write `20s`",
                "b.yaml:3: `timeouts.request`: no request ends within no time",
                "c.yaml:2: `journeys`: the shares must add up to 100%, and these make 90%",
                "c.yaml:3: `concerts`: 3 concerts are asked for, of 2 that there are",
                "c.yaml:4: `stages[1].for`: a stage of no length",
            ],
        );
    }

    #[test]
    fn a_cycle_and_a_missing_base_are_told() {
        check(
            &[("a.yaml", "extends: ./a.yaml\n")],
            &["a.yaml:1: `extends`: no scenario can build on itself: a.yaml → a.yaml"],
        );
        check(
            &[
                ("x/a.yaml", "name: a\nextends: ../y/b.yaml\n"),
                ("y/b.yaml", "extends: ../x/c.yaml\n"),
                ("x/c.yaml", "name: c\n\nextends: ../y/b.yaml\n"),
            ],
            &["x/c.yaml:3: `extends`: no scenario can build on itself: y/b.yaml → x/c.yaml → y/b.yaml"],
        );
        check(
            &[("x/a.yaml", "name: a\nextends: smok\n")],
            &[
                "x/a.yaml:2: `extends`: cannot read x/smok: entity not found; nor does a scenario ship under this name: unknown name `smok`; \
               did you mean `smoke`?",
            ],
        );
        check(
            &[("a.yaml", "extends: b.yaml\nusers: 0\n"), ("b.yaml", "name: [\n")],
            &["b.yaml:2: this is not readable YAML"],
        );
    }
}
