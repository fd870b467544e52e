//! The direction of imports, as the two code maps promise it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{files, root};

/// A module, and the modules of its crate that it may name beside itself.
struct Layer {
    module: &'static str,
    may_import: &'static [&'static str],
}

const fn layer(module: &'static str, may_import: &'static [&'static str]) -> Layer {
    Layer { module, may_import }
}

/// Every module of the harness, in reading order. The service's table is in its own tests.
const HARNESS: &[Layer] = &[
    layer("units", &[]),
    layer("causes", &[]),
    layer("format", &["units"]),
    layer("config", &["units"]),
    layer("plan", &["config", "units"]),
    layer("chart", &["format", "units"]),
    layer("monitoring", &["chart", "config", "format", "units"]),
    layer("recording", &["units"]),
    layer("analysis", &["recording", "units"]),
    // Judged by `run` while it goes on and by `report` afterwards, in the same way.
    layer("objectives", &["analysis", "config", "recording", "units"]),
    layer("verdict", &["analysis", "recording", "units"]),
    // A plan is part of a recording: what was meant to be done.
    layer(
        "report",
        &[
            "analysis",
            "chart",
            "config",
            "format",
            "objectives",
            "plan",
            "recording",
            "units",
            "verdict",
        ],
    ),
    // Tells others what the report tells people, from the same judgement.
    layer(
        "export",
        &[
            "analysis",
            "config",
            "format",
            "objectives",
            "plan",
            "recording",
            "report",
            "units",
            "verdict",
        ],
    ),
    layer("daemon", &[]),
    layer("spawning", &[]),
    layer("namespace", &[]),
    layer("watchdog", &["daemon", "namespace", "spawning"]),
    layer(
        "stack",
        &["causes", "daemon", "namespace", "spawning", "units", "watchdog"],
    ),
    layer("target", &["daemon", "spawning", "stack", "units", "watchdog"]),
    layer("fault", &["daemon", "plan", "stack", "target", "units", "watchdog"]),
    layer("load", &["config", "recording", "units"]),
    layer("scrape", &["analysis", "causes", "recording", "units"]),
    // Load, scraping and faults meet here alone. What was recorded is judged and shown by others.
    layer(
        "run",
        &[
            "analysis",
            "causes",
            "config",
            "fault",
            "load",
            "objectives",
            "plan",
            "recording",
            "scrape",
            "stack",
            "target",
            "units",
            "watchdog",
        ],
    ),
    // Commands are made of the rest. They drive load, scraping and faults through `run` alone; they name them to bind the
    // proxies before there is a stack, and to give each of their errors its exit code.
    layer(
        "cli",
        &[
            "analysis",
            "causes",
            "chart",
            "config",
            "daemon",
            "export",
            "fault",
            "format",
            "load",
            "namespace",
            "monitoring",
            "objectives",
            "plan",
            "recording",
            "report",
            "run",
            "scrape",
            "stack",
            "target",
            "units",
            "verdict",
            "watchdog",
        ],
    ),
];

/// Modules that see a recording and nothing else, so that a report is the same years later on another machine.
const FROM_RECORDINGS_ALONE: &[&str] = &["analysis", "verdict", "chart", "report", "export"];

/// What reads the clock, the environment or the network, as it is written in code.
const OUTSIDE_WORLD: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "std::env",
    "env::var",
    "env::current_dir",
    "env::temp_dir",
    "std::net",
    "std::process",
    "tokio::",
    "reqwest",
];

fn without_comments(source: &str) -> String {
    let lines: Vec<_> = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    lines.join("\n")
}

/// What follows each `crate::` outside comments: a module's name, or each of those in a group of imports.
fn imports(source: &str) -> Vec<String> {
    let code = without_comments(source);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` and `other_crate::` are other paths.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut word = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => found.push(std::mem::take(&mut word)),
                        c if depth == 0 && !c.is_whitespace() => word.push(c),
                        _ => {}
                    }
                }
                found.push(word);
            }
            None => found.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()),
        }
    }
    found
        .into_iter()
        .map(|path| path.split("::").next().unwrap_or_default().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Files with their text, by the module that they belong to.
type Sources = BTreeMap<String, Vec<(String, String)>>;

/// Imports that no layer allows, and modules that no layer names.
fn offences(layers: &[Layer], sources: &Sources) -> Vec<String> {
    let mut offences = Vec::new();
    for (module, files) in sources {
        let Some(layer) = layers.iter().find(|layer| layer.module == module) else {
            offences.push(format!("{module} has no layer"));
            continue;
        };
        for (file, source) in files {
            for import in imports(source) {
                if import != *module && !layer.may_import.contains(&import.as_str()) {
                    offences.push(format!("{file} imports crate::{import}"));
                }
            }
        }
    }
    offences
}

/// Where a module that sees recordings alone reaches for the world outside. Its unit tests may: they make folders.
fn reaches_outside(sources: &Sources) -> Vec<String> {
    let mut offences = Vec::new();
    for module in FROM_RECORDINGS_ALONE {
        for (file, source) in sources.get(*module).into_iter().flatten() {
            let code = without_comments(source.split("#[cfg(test)]").next().unwrap_or_default());
            for word in OUTSIDE_WORLD.iter().filter(|word| code.contains(**word)) {
                offences.push(format!("{file} uses {word}"));
            }
            // `use std::{env, fmt}` hides the path.
            for group in code.split("std::{").skip(1).filter_map(|rest| rest.split(';').next()) {
                let names = group.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                for name in names.filter(|name| ["env", "net", "process"].contains(name)) {
                    offences.push(format!("{file} uses std::{name}"));
                }
            }
        }
    }
    offences
}

/// Sources by their first module.
fn sources(folder: &Path) -> Sources {
    let mut by_module = Sources::new();
    for file in files(folder, ".rs") {
        let relative = file.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
        let module = relative.split(['/', '.']).next().unwrap().to_owned();
        by_module
            .entry(module)
            .or_default()
            .push((relative, std::fs::read_to_string(&file).unwrap()));
    }
    by_module
}

/// The modules of the harness; `lib.rs` and `main.rs` are none.
fn harness() -> Sources {
    let mut sources = sources(&root().join("harness/src"));
    for file in ["lib", "main"] {
        assert!(sources.remove(file).is_some(), "no {file}.rs: the path is wrong");
    }
    sources
}

#[test]
fn the_harness_imports_in_one_direction() {
    let sources = harness();
    for layer in HARNESS {
        assert!(
            sources.contains_key(layer.module),
            "no module {}: its layer checks nothing",
            layer.module
        );
    }
    let offences = offences(HARNESS, &sources);
    assert!(offences.is_empty(), "{offences:#?}");
}

/// The table itself must have a direction: of two modules at most one may import the other.
#[test]
fn no_two_layers_import_each_other() {
    for (at, layer) in HARNESS.iter().enumerate() {
        for import in layer.may_import {
            let position = HARNESS.iter().position(|other| other.module == *import);
            assert!(
                position.is_some_and(|position| position < at),
                "{} may import {import}, which does not come before it",
                layer.module
            );
        }
    }
}

#[test]
fn what_renders_sees_no_clock_no_environment_and_no_network() {
    let offences = reaches_outside(&harness());
    assert!(offences.is_empty(), "{offences:#?}");
}

/// So that the tool can point at any other build.
#[test]
fn only_the_service_command_knows_the_service_crate() {
    let knowing: Vec<_> = files(&root().join("harness/src"), ".rs")
        .into_iter()
        .filter(|file| std::fs::read_to_string(file).unwrap().contains("booking_service"))
        .collect();
    assert_eq!(knowing, [root().join("harness/src/cli/service.rs")]);
}

fn one(module: &str, source: &str) -> Sources {
    Sources::from([(module.to_owned(), vec![(format!("{module}/x.rs"), source.to_owned())])])
}

#[test]
fn a_wrong_import_is_found() {
    let layers = [layer("domain", &["units"])];
    #[track_caller]
    fn check(layers: &[Layer], source: &str, n_offences: usize) {
        let offences = offences(layers, &one("domain", source));
        assert_eq!(offences.len(), n_offences, "{offences:?}");
    }
    check(&layers, "use crate::http::Error;", 1);
    check(
        &layers,
        "use crate::{\n    domain::{Seat, http},\n    http::{self, Error},\n};",
        1,
    );
    check(&layers, "let e = crate::http::error();", 1);
    check(
        &layers,
        "// crate::http is not known here\nuse crate::domain::Seat;\nuse crate::units::Bytes;",
        0,
    );
    assert_eq!(offences(&layers, &one("extra", "")), ["extra has no layer"]);
}

#[test]
fn a_look_outside_is_found() {
    for source in [
        "let begun = std::time::Instant::now();",
        "use std::time::{Duration, SystemTime};",
        "let now = jiff::Timestamp::now();",
        "let home = std::env::var(\"HOME\");",
        "use std::{env, fmt};",
        "use std::{\n    fmt,\n    net::TcpStream,\n};",
        "tokio::net::TcpStream::connect(address)",
        "reqwest::get(url)",
    ] {
        assert_ne!(reaches_outside(&one("report", source)), [] as [&str; 0], "{source}");
        assert_eq!(reaches_outside(&one("run", source)), [] as [&str; 0], "{source}");
    }
    for source in [
        "// SystemTime is not known here",
        "use std::{collections::BTreeMap, fmt};",
        "fn a() {}\n#[cfg(test)]\nmod tests { use std::env; }",
    ] {
        assert_eq!(reaches_outside(&one("report", source)), [] as [&str; 0], "{source}");
    }
}
