//! Dashboards and rules use metrics and labels that the service really has, are what their sources say, and have pictures.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use booking_service::metrics::DEFINITIONS;
use soundcheck::monitoring::DASHBOARDS;
use soundcheck::monitoring::panels::{self, Dashboard, SCRAPED_ELSE, SCRAPED_EVERY};
use soundcheck::monitoring::pictures::{self, PICTURES};

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

/// What is chosen of the service's metrics: each with the labels between its braces.
fn selectors_in(text: &str) -> Vec<(String, Vec<String>)> {
    let text = text.replace("\\\"", "\"");
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("booking_") {
        let after = &rest[at..];
        let end = after
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        rest = behind;
        let Some(inside) = behind.strip_prefix('{') else {
            continue;
        };
        // Braces stand inside of values as well, and every second part is outside of them.
        let mut labels = Vec::new();
        let mut parts = inside.split('"').step_by(2);
        for part in parts.by_ref() {
            let label = part.trim_start_matches([',', '}', ' ']);
            let is_over = part.trim_start().starts_with('}');
            if is_over || label.is_empty() {
                break;
            }
            labels.push(label.trim_end_matches(['=', '!', '~', ' ']).to_owned());
        }
        found.push((name.to_owned(), labels));
    }
    found
}

#[test]
fn every_label_that_is_asked_for_exists() {
    const EVERYWHERE: [&str; 3] = ["instance", "job", "le"];
    let folder = root().join("dashboards");
    let mut n_labels = 0;
    for file in files(&folder, ".json").into_iter().chain(files(&folder, ".yml")) {
        for (name, labels) in selectors_in(&std::fs::read_to_string(&file).unwrap()) {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix));
            let is_it = |known: &&booking_service::metrics::Definition| known.name == name || Some(known.name) == base;
            let definition = DEFINITIONS.iter().find(is_it).unwrap();
            for label in labels {
                let is_known = definition.labels.contains(&label.as_str()) || EVERYWHERE.contains(&label.as_str());
                assert!(is_known, "{}: {name} has no label `{label}`", file.display());
                n_labels += 1;
            }
        }
    }
    assert!(n_labels >= 50, "only {n_labels} labels were found");
    let odd = selectors_in(r#"sum(rate(booking_x_total{route=~"/v1/{id}/y",status!="2"}[5m])) + booking_y"#);
    assert_eq!(
        odd,
        [(
            "booking_x_total".to_owned(),
            vec!["route".to_owned(), "status".to_owned()]
        )]
    );
}

#[test]
fn a_latency_that_is_promised_is_the_bound_of_a_bucket() {
    let text = std::fs::read_to_string(root().join("dashboards/prometheus/rules/booking.yml")).unwrap();
    let mut n_bounds = 0;
    for (at, _) in text.match_indices("_bucket{") {
        let name: String = text[..at]
            .chars()
            .rev()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        let name: String = name.chars().rev().collect();
        let Some(definition) = DEFINITIONS.iter().find(|known| known.name == name) else {
            continue;
        };
        let inside = &text[at..text[at..].find("[").map_or(text.len(), |end| at + end)];
        let Some((_, bound)) = inside.split_once("le=") else {
            continue;
        };
        let bound = bound.trim_start_matches(['~', '"']);
        let bound: f64 = bound[..bound.find(['"', '|']).unwrap()].parse().unwrap();
        assert!(
            definition.buckets.contains(&bound),
            "{name} has no bucket up to {bound} s"
        );
        n_bounds += 1;
    }
    assert!(n_bounds >= 4, "only {n_bounds} bounds were found");
}

#[test]
fn the_files_are_what_their_sources_say() {
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_soundcheck"))
        .args(["dashboards", "--check"])
        .arg(root().join("dashboards"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn panels_know_how_often_each_part_is_scraped() {
    let text = std::fs::read_to_string(root().join("dashboards/prometheus/prometheus.yml")).unwrap();
    let config: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    let every = |value: &serde_yaml::Value| {
        let length = value["scrape_interval"].as_str();
        length.map(|length| humantime::parse_duration(length).unwrap())
    };
    let global = &config["global"];
    assert_eq!(every(global), Some(SCRAPED_ELSE));
    assert_eq!(global["evaluation_interval"], global["scrape_interval"]);
    let fast: BTreeSet<Duration> = SCRAPED_EVERY.iter().map(|(_, each)| *each).collect();
    let of_the_service: BTreeSet<&str> = ["booking", "booking-host"].into();
    for job in config["scrape_configs"].as_sequence().unwrap() {
        let own: BTreeSet<Duration> = every(job).into_iter().collect();
        let is_service = of_the_service.contains(job["job_name"].as_str().unwrap());
        let expected = if is_service { fast.clone() } else { BTreeSet::new() };
        assert_eq!(own, expected, "{:?}", job["job_name"]);
    }
}

/// As it stands in an attribute.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// What is wrong with the pictures in `folder`, and with the page that shows them.
fn picture_offences(dashboards: &[Dashboard], folder: &Path, page: &str) -> Vec<String> {
    let mut offences = Vec::new();
    let mut expected = BTreeSet::new();
    for dashboard in dashboards {
        let name = format!("{}.svg", dashboard.uid);
        let shown = format!("]({PICTURES}/{name})");
        if !page.contains(&shown) {
            offences.push(format!("README.md does not show {name}"));
        }
        match std::fs::read_to_string(folder.join(PICTURES).join(&name)) {
            Err(error) => offences.push(format!("{name}: {error}")),
            // It names all panels, so that one drawn before a panel was added is found.
            Ok(svg) if !svg.contains(&escaped(&pictures::alt(dashboard))) => {
                offences.push(format!("{name} was drawn from something else"));
            }
            Ok(_) => {}
        }
        expected.insert(name);
    }
    for path in files(&folder.join(PICTURES), "") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !expected.contains(&name) {
            offences.push(format!("{name} is of no dashboard"));
        }
    }
    offences
}

#[test]
fn every_dashboard_has_a_picture_that_the_readme_shows() {
    let folder = root().join("dashboards");
    let text = std::fs::read_to_string(folder.join(DASHBOARDS)).unwrap();
    let dashboards = panels::parse(DASHBOARDS, &text).unwrap();
    assert!(dashboards.len() >= 9, "only {} dashboards", dashboards.len());
    let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let offences = picture_offences(&dashboards, &folder, &page);
    assert!(
        offences.is_empty(),
        "{offences:#?}; draw them with `soundcheck dashboards --draw URL`"
    );
}

#[test]
fn the_readme_leads_to_every_runbook() {
    let folder = root().join("dashboards");
    let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let runbooks = files(&folder.join("runbooks"), ".md");
    assert!(runbooks.len() >= 10, "{runbooks:?}");
    for path in runbooks {
        let link = format!("](runbooks/{})", path.file_name().unwrap().to_string_lossy());
        assert!(page.contains(&link), "no {link}");
    }
}

#[test]
fn a_picture_that_is_missing_old_or_of_nothing_is_found() {
    let panel = "{title: T & U, says: s, unit: s, no-threshold: n, queries: [{expr: x, legend: x}]}";
    let text = format!("- {{uid: a, title: A, answers: Is it?, runbook: r, panels: [{panel}]}}\n");
    let dashboards = panels::parse("d.yaml", &text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        std::fs::create_dir_all(folder.path().join(PICTURES)).unwrap();
        std::fs::write(folder.path().join(PICTURES).join(name), text).unwrap();
    };
    let page = format!("![A]({PICTURES}/a.svg)");
    put("a.svg", "<svg aria-label=\"A. Is it? Panels: T &amp; U.\">");
    assert_eq!(picture_offences(&dashboards, folder.path(), &page), [""; 0]);
    assert_eq!(
        picture_offences(&dashboards, folder.path(), ""),
        ["README.md does not show a.svg"]
    );
    put("a.svg", "<svg aria-label=\"A. Is it? Panels: T.\">");
    put("b.svg", "<svg>");
    assert_eq!(
        picture_offences(&dashboards, folder.path(), &page),
        ["a.svg was drawn from something else", "b.svg is of no dashboard"]
    );
    std::fs::remove_file(folder.path().join(PICTURES).join("a.svg")).unwrap();
    let offences = picture_offences(&dashboards, folder.path(), &page);
    assert!(offences[0].starts_with("a.svg: "), "{offences:?}");
}
