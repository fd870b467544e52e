use std::collections::BTreeMap;
use std::path::Path;

use super::{DASHBOARDS, MonitoringError, OBJECTIVES, PROOFS, RULES, RUNBOOKS, Sources, queries, write};

/// What ships.
fn shipped() -> Sources {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards");
    let read = |name: &str| (name.to_owned(), std::fs::read_to_string(folder.join(name)).unwrap());
    let mut runbooks = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join(RUNBOOKS)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        runbooks.insert(name, std::fs::read_to_string(path).unwrap());
    }
    Sources {
        objectives: read(OBJECTIVES),
        dashboards: read(DASHBOARDS),
        runbooks,
    }
}

#[test]
fn all_is_written_once_and_says_where_it_comes_from() {
    let sources = shipped();
    let written = write(&sources).unwrap();
    let paths: Vec<&str> = written.iter().map(|one| one.path.to_str().unwrap()).collect();
    assert_eq!(paths[..2], [RULES, PROOFS]);
    for one in &written[..2] {
        let head = "# Written by `soundcheck dashboards` from objectives.yaml; change that file instead.\n";
        assert!(one.text.starts_with(head), "{}", one.text);
        serde_yaml::from_str::<serde_yaml::Value>(&one.text).unwrap();
    }
    for one in &written[2..] {
        assert!(
            one.path.starts_with("grafana") && super::grafana::is_ours(&one.text),
            "{:?}",
            one.path
        );
    }
    for name in sources.runbooks.keys() {
        assert!(
            paths.contains(&format!("grafana/runbook-{name}.json").as_str()),
            "{name}"
        );
    }
    let mut once = paths.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), paths.len(), "{paths:?}");
    // From the same files always the same.
    assert_eq!(write(&sources).unwrap(), written);
}

#[test]
fn every_question_can_be_put_to_prometheus_as_it_is() {
    let queries = queries(&shipped()).unwrap();
    for query in &queries {
        assert!(!query.expr.contains('$'), "{query:?}");
        assert!(!query.place.is_empty() && !query.expr.trim().is_empty(), "{query:?}");
    }
    let of = |place: &str| queries.iter().find(|query| query.place == place).unwrap();
    let alert = of("the alert Oversold");
    assert_eq!(alert.expr, "max(booking_seats_oversold_total) > 0");
    assert!(alert.empty.is_some());
    // Silence of an alert is well; that it looks at nothing is not.
    let looks_at = of("what the alert Oversold looks at");
    assert_eq!(
        (looks_at.expr.as_str(), &looks_at.empty),
        ("count(booking_seats_oversold_total)", &None)
    );
    assert_eq!(of("the rule objective:failed:rate5m").empty, None);
    // What a reader may choose from is asked for as well.
    let choice = of("the choice of instance");
    assert_eq!(
        (choice.expr.as_str(), &choice.empty),
        (r#"count by (instance) (booking_info{instance!=""})"#, &None)
    );
    assert!(of("the choice of run").empty.is_some());
    let panel = of("Booking: overview, “Requests”, {{route}}");
    assert_eq!(
        panel.expr,
        r#"sum by (route) (rate(booking_http_requests_total{instance=~".+"}[4s]))"#
    );
}

#[test]
fn what_is_wrong_is_named_by_its_file() {
    let refused = |change: &dyn Fn(&mut Sources)| {
        let mut sources = shipped();
        change(&mut sources);
        let error = write(&sources).unwrap_err();
        assert_eq!(queries(&sources).unwrap_err().to_string(), error.to_string());
        error
    };
    let error = refused(&|sources| sources.objectives.1 = "period: 30".to_owned());
    assert!(
        error.to_string().starts_with("objectives.yaml:1: `period`: "),
        "{error}"
    );
    let error = refused(&|sources| sources.dashboards.1 = String::new());
    assert_eq!(error.to_string(), "dashboards.yaml: the file is empty");
    let error = refused(&|sources| {
        sources.runbooks.remove("redis");
    });
    assert!(matches!(error, MonitoringError::Runbook(_)), "{error:?}");
    assert!(error.to_string().contains("write runbooks/redis.md"), "{error}");
}
