//! The direction of imports, as the two code maps promise it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{files, root};

/// A module, and the modules of its crate that it must never name.
struct Rule {
    module: &'static str,
    forbidden: &'static [&'static str],
}

const SERVICE: &[Rule] = &[
    Rule {
        module: "domain",
        forbidden: &[
            "adapters",
            "admin",
            "app",
            "config",
            "http",
            "messaging",
            "metrics",
            "ports",
            "store",
            "usecase",
        ],
    },
    Rule {
        module: "ports",
        forbidden: &["adapters", "admin", "app", "http", "messaging", "store", "usecase"],
    },
    Rule {
        module: "store",
        forbidden: &["admin", "app", "http", "messaging", "usecase"],
    },
    Rule {
        module: "adapters",
        forbidden: &["admin", "app", "http", "messaging", "usecase"],
    },
    Rule {
        module: "usecase",
        forbidden: &["admin", "app", "http"],
    },
    Rule {
        module: "http",
        forbidden: &["admin", "app"],
    },
    Rule {
        module: "messaging",
        forbidden: &["admin", "app", "http"],
    },
];

const HARNESS: &[Rule] = &[
    Rule {
        module: "units",
        forbidden: &[
            "analysis",
            "chart",
            "cli",
            "config",
            "run",
            "fault",
            "load",
            "recording",
            "report",
            "scrape",
            "stack",
            "target",
            "verdict",
        ],
    },
    Rule {
        module: "config",
        forbidden: &[
            "analysis",
            "chart",
            "cli",
            "run",
            "fault",
            "load",
            "recording",
            "report",
            "scrape",
            "stack",
            "target",
            "verdict",
        ],
    },
    Rule {
        module: "recording",
        forbidden: &[
            "analysis", "chart", "cli", "run", "fault", "load", "report", "scrape", "stack", "target", "verdict",
        ],
    },
    Rule {
        module: "analysis",
        forbidden: &[
            "chart", "cli", "run", "fault", "load", "report", "scrape", "stack", "target", "verdict",
        ],
    },
    Rule {
        module: "verdict",
        forbidden: &[
            "chart", "cli", "run", "fault", "load", "report", "scrape", "stack", "target",
        ],
    },
    Rule {
        module: "chart",
        forbidden: &["cli", "run", "fault", "load", "report", "scrape", "stack", "target"],
    },
    Rule {
        module: "report",
        forbidden: &["cli", "run", "fault", "load", "scrape", "stack", "target"],
    },
    Rule {
        module: "load",
        forbidden: &[
            "analysis", "chart", "cli", "run", "fault", "report", "scrape", "stack", "verdict",
        ],
    },
    Rule {
        module: "scrape",
        forbidden: &["chart", "cli", "run", "fault", "load", "report", "verdict"],
    },
    Rule {
        module: "fault",
        forbidden: &["analysis", "chart", "cli", "run", "load", "report", "scrape", "verdict"],
    },
    Rule {
        module: "daemon",
        forbidden: &[
            "analysis", "chart", "cli", "run", "fault", "load", "report", "scrape", "stack", "target", "verdict",
            "watchdog",
        ],
    },
    Rule {
        module: "watchdog",
        forbidden: &[
            "analysis", "chart", "cli", "run", "fault", "load", "report", "scrape", "stack", "target", "verdict",
        ],
    },
    Rule {
        module: "target",
        forbidden: &[
            "analysis", "chart", "cli", "run", "fault", "load", "report", "scrape", "verdict",
        ],
    },
    Rule {
        module: "stack",
        forbidden: &["analysis", "chart", "cli", "run", "load", "report", "scrape", "verdict"],
    },
];

/// What follows each `crate::` outside comments: a module's name, or each of those in a group of imports.
fn imports(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
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

fn offences(rules: &[Rule], sources: &BTreeMap<String, Vec<(String, String)>>) -> Vec<String> {
    let mut offences = Vec::new();
    for rule in rules {
        for (file, source) in sources.get(rule.module).into_iter().flatten() {
            for import in imports(source) {
                if rule.forbidden.contains(&import.as_str()) {
                    offences.push(format!("{file} imports crate::{import}"));
                }
            }
        }
    }
    offences
}

/// Sources by their first module.
fn sources(folder: &Path) -> BTreeMap<String, Vec<(String, String)>> {
    let mut by_module: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
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

#[track_caller]
fn check(folder: &str, rules: &[Rule]) {
    let sources = sources(&root().join(folder));
    for rule in rules {
        assert!(
            sources.contains_key(rule.module),
            "no module {} in {folder}: the rule checks nothing",
            rule.module
        );
    }
    let offences = offences(rules, &sources);
    assert!(offences.is_empty(), "{folder}: {offences:#?}");
}

#[test]
fn the_service_imports_in_one_direction() {
    check("service/src", SERVICE);
}

#[test]
fn the_harness_imports_in_one_direction() {
    check("harness/src", HARNESS);
}

#[test]
fn only_the_service_commands_know_the_service_crate() {
    for file in files(&root().join("harness/src"), ".rs") {
        let source = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let may = file.parent().unwrap().ends_with("cli") && (name == "service.rs" || name == "dlt.rs");
        assert!(
            may || !source.contains("booking_service"),
            "{} knows the service crate",
            file.display()
        );
    }
}

#[test]
fn a_wrong_import_is_found() {
    let rules = [Rule {
        module: "domain",
        forbidden: &["http"],
    }];
    let with =
        |source: &str| BTreeMap::from([("domain".to_owned(), vec![("domain/x.rs".to_owned(), source.to_owned())])]);
    assert_eq!(offences(&rules, &with("use crate::http::Error;")).len(), 1);
    assert_eq!(
        offences(
            &rules,
            &with("use crate::{\n    domain::{Seat, http},\n    http::{self, Error},\n};")
        )
        .len(),
        1
    );
    assert_eq!(offences(&rules, &with("let e = crate::http::error();")).len(), 1);
    assert_eq!(
        offences(
            &rules,
            &with("// crate::http is not known here\nuse crate::domain::Seat;")
        )
        .len(),
        0
    );
}
