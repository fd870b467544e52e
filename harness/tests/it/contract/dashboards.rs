//! Dashboards and rules use metrics that the service really has.

use std::collections::BTreeSet;

use booking_service::metrics::DEFINITIONS;

use crate::{files, root};

/// Every word in `text` that names a metric of the service.
fn names_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("booking_"))
        .map(str::to_owned)
        .collect()
}

fn known() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for definition in DEFINITIONS {
        names.insert(definition.name.to_owned());
        if !definition.buckets.is_empty() {
            for suffix in ["_bucket", "_sum", "_count"] {
                names.insert(format!("{}{suffix}", definition.name));
            }
        }
    }
    names
}

#[test]
fn every_metric_that_a_dashboard_names_exists() {
    let known = known();
    let mut used = BTreeSet::new();
    let folder = root().join("dashboards");
    for file in files(&folder, ".json").into_iter().chain(files(&folder, ".yml")) {
        let names = names_in(&std::fs::read_to_string(&file).unwrap());
        let unknown: Vec<_> = names.difference(&known).collect();
        assert!(unknown.is_empty(), "{}: the service has no {unknown:?}", file.display());
        used.extend(names);
    }
    assert!(used.len() >= 10, "dashboards name only {used:?}");
}

#[test]
fn a_name_that_does_not_exist_is_found() {
    let names = names_in(r#"{"expr": "rate(booking_http_requests_totals[1m])"}"#);
    assert_eq!(names.difference(&known()).count(), 1);
}
