//! Imports go one way: `domain ← ports ← usecase ← http, messaging ← app`. See the code map in `lib.rs`.

use std::path::{Path, PathBuf};

/// What each module may import from this crate, beside itself.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("ports", &["domain"]),
    ("config", &[]),
    ("metrics", &[]),
    // A panic is logged with the request that it ended.
    ("telemetry", &["config", "trace"]),
    ("trace", &["config", "metrics"]),
    ("store", &["domain", "ports", "config", "metrics", "trace"]),
    ("adapters", &["domain", "ports", "config", "metrics", "store", "trace"]),
    // The lock has one implementation, and so no port.
    (
        "usecase",
        &[
            "domain",
            "ports",
            "config",
            "metrics",
            "store",
            "trace",
            "adapters::redis_lock",
        ],
    ),
    // The clock that drills shift is moved by an endpoint.
    (
        "http",
        &[
            "domain",
            "ports",
            "config",
            "metrics",
            "usecase",
            "telemetry",
            "trace",
            "adapters::clock",
        ],
    ),
    ("messaging", &["domain", "ports", "config", "metrics", "store", "trace"]),
    ("admin", &["domain", "config", "metrics", "store", "cli", "messaging"]),
    (
        "app",
        &[
            "domain",
            "ports",
            "config",
            "metrics",
            "store",
            "adapters",
            "usecase",
            "http",
            "messaging",
            "trace",
        ],
    ),
    ("cli", &["app", "admin", "config", "telemetry", "store", "messaging"]),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Paths after `crate::` in code; comments and the tests at a file's end do not count.
fn imports(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    for line in lines {
        for part in line.split("crate::").skip(1) {
            if let Some(group) = part.strip_prefix('{') {
                let names = group.split('}').next().unwrap_or_default().split(',');
                found.extend(names.map(|name| name.trim().to_owned()));
            } else {
                let end = part
                    .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                    .unwrap_or(part.len());
                found.push(part[..end].to_owned());
            }
        }
    }
    found
}

fn violations(module: &str, text: &str) -> Vec<String> {
    let allowed = ALLOWED
        .iter()
        .find(|(name, _)| *name == module)
        .map_or(&[][..], |(_, allowed)| allowed);
    let is_allowed = |import: &str| {
        let within = |root: &str| import == root || import.starts_with(&format!("{root}::"));
        within(module) || allowed.iter().any(|root| within(root))
    };
    imports(text).into_iter().filter(|import| !is_allowed(import)).collect()
}

#[test]
fn imports_go_one_way() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for file in files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        assert!(
            ALLOWED.iter().any(|(name, _)| *name == module),
            "{module} is not in the table of layers"
        );
        for import in violations(module, &std::fs::read_to_string(&file).unwrap()) {
            found.push(format!("{} imports {import}", relative.display()));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_wrong_import_is_found() {
    assert_eq!(
        violations("store", "use crate::http::error::Problem;"),
        ["http::error::Problem"]
    );
    assert_eq!(
        violations("domain", "let x = crate::ports::Standing::Gone;"),
        ["ports::Standing::Gone"]
    );
    assert_eq!(violations("cli", "use crate::{admin, usecase};"), ["usecase"]);
    assert_eq!(
        violations("http", "/// See [`crate::store`].\nuse crate::usecase::Failure;"),
        [] as [&str; 0]
    );
}
