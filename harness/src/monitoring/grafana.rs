//! Dashboards as Grafana loads them, and the pages that say what to do, which it shows beside them.

use serde_json::{Value, json};

use super::panels::{COLUMNS, Choice, Dashboard, Kind, Panel};
use super::{RUNBOOK_PAGE, is_page};

/// Grafana's own version of what a dashboard holds; it moves older ones on by itself.
const SCHEMA: u32 = 39;
const HEIGHT: u32 = 8;
/// What stands below the first threshold.
const BASE: &str = "green";
const TAG: &str = "soundcheck";
/// The stages of runs. Grafana marks where a value is above 0, and a stage may plan no arrivals.
pub(super) const STAGES: &str = r#"max by (run, stage) (soundcheck_planned_per_second{run=~"$run"} >= bool 0)"#;

/// Whether a page was written here.
pub fn is_ours(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|page| page["tags"] == json!([TAG]))
}

/// One page of figures.
pub fn dashboard(dashboard: &Dashboard) -> Value {
    let (mut x, mut y) = (0, 0);
    let mut panels = Vec::new();
    for (id, panel) in (1..).zip(&dashboard.panels) {
        if x + panel.width > COLUMNS {
            (x, y) = (0, y + HEIGHT);
        }
        panels.push(figure(id, panel, (x, y)));
        x += panel.width;
    }
    let mut variables =
        vec![json!({"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"})];
    variables.extend(dashboard.choices().map(variable));
    let mut annotations = vec![];
    if dashboard.runs {
        annotations.push(json!({
            "name": "Stages of the runs",
            "datasource": source(),
            "enable": true,
            "iconColor": "blue",
            "target": {
                "refId": "Anno",
                "expr": STAGES,
                "interval": "1s",
                "range": true,
            },
            "titleFormat": "{{run}}",
            "textFormat": "{{stage}}",
            "useValueForTime": false,
        }));
    }
    let mut page = page(&dashboard.uid, &dashboard.title, &dashboard.answers, panels);
    page["templating"] = json!({"list": variables});
    page["annotations"] = json!({"list": annotations});
    page
}

/// A page of text: what to do.
pub fn runbook(name: &str, markdown: &str) -> Value {
    let title = markdown
        .lines()
        .find_map(|line| line.strip_prefix("# "))
        .unwrap_or(name);
    let panel = json!({
        "id": 1,
        "type": "text",
        "title": "",
        "description": "What to do.",
        "gridPos": {"h": 3 * HEIGHT, "w": COLUMNS, "x": 0, "y": 0},
        "options": {"mode": "markdown", "content": within_grafana(markdown)},
    });
    page(
        &format!("{RUNBOOK_PAGE}{name}"),
        &format!("Runbook: {title}"),
        "What to do.",
        vec![panel],
    )
}

/// Links between pages are files' names; here the pages are neighbours of another kind.
fn within_grafana(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        text.push_str("](");
        // What is behind the name stays: the end of the link, and a part of the page.
        let end = after.find([')', '#']).unwrap_or(after.len());
        let (target, behind) = after.split_at(end);
        match target.strip_suffix(".md").filter(|name| is_page(name)) {
            Some(name) => text.push_str(&format!("/d/{RUNBOOK_PAGE}{name}")),
            None => text.push_str(target),
        }
        rest = behind;
    }
    text.push_str(rest);
    text
}

fn page(uid: &str, title: &str, description: &str, panels: Vec<Value>) -> Value {
    json!({
        "uid": uid,
        "title": title,
        "description": description,
        "tags": [TAG],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": false,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "links": [{
            "title": "Soundcheck", "type": "dashboards", "tags": [TAG], "asDropdown": true,
            "includeVars": true, "keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "", "url": "",
        }],
        "panels": panels,
    })
}

fn variable(choice: &Choice) -> Value {
    let Choice {
        label, title, metric, ..
    } = choice;
    let query = format!("label_values({metric}, {label})");
    json!({
        "name": label,
        "label": title,
        "type": "query",
        "datasource": source(),
        "query": {"query": query, "refId": label},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": true,
        "includeAll": true,
        "allValue": ".+",
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn figure(id: u32, panel: &Panel, (x, y): (u32, u32)) -> Value {
    let targets: Vec<Value> = ('A'..)
        .zip(&panel.queries)
        .map(|(id, query)| {
            json!({
                "refId": id.to_string(),
                "datasource": source(),
                "expr": query.expr,
                "legendFormat": query.legend,
                "range": true,
                // Grafana computes the window of a rate from this.
                "interval": format!("{}s", query.scraped_every().as_secs()),
            })
        })
        .collect();
    // Without a host, so that it holds wherever Grafana is reached.
    let link = json!({
        "title": "What to do", "type": "link", "url": format!("/d/runbook-{}", panel.runbook), "targetBlank": true, "tags": [],
        "asDropdown": false, "includeVars": false, "keepTime": false, "icon": "", "tooltip": "",
    });
    json!({
        "id": id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": source(),
        "gridPos": {"h": HEIGHT, "w": panel.width, "x": x, "y": y},
        "links": [link],
        "fieldConfig": {"defaults": defaults(panel), "overrides": []},
        "options": options(panel.kind),
        "targets": targets,
    })
}

fn options(kind: Kind) -> Value {
    match kind {
        Kind::Timeseries => json!({
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
        Kind::Stat => json!({
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "percentChangeColorMode": "standard",
            "showPercentChange": false,
            "wideLayout": true,
            "orientation": "auto",
            "textMode": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
        }),
        // The names stand in the rows.
        Kind::StateTimeline => json!({
            "alignValue": "left",
            "mergeValues": true,
            "rowHeight": 0.8,
            "showValue": "auto",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        }),
    }
}

fn defaults(panel: &Panel) -> Value {
    let mut steps: Vec<(&str, f64)> = panel
        .thresholds
        .iter()
        .map(|(colour, from)| (colour.as_str(), *from))
        .collect();
    steps.sort_by(|a, b| a.1.total_cmp(&b.1));
    // Grafana wants the first without a value: it stands for all that is below the second. Of a single figure or a state it
    // is what the writer put first, and behind a line it is calm, unless that colour stands for something else there.
    let has_first =
        panel.kind != Kind::Timeseries && !steps.is_empty() || steps.first().is_some_and(|(colour, _)| *colour == BASE);
    let first = if has_first { steps.remove(0).0 } else { BASE };
    let mut shown = vec![json!({"color": first, "value": null})];
    shown.extend(
        steps
            .iter()
            .map(|(colour, from)| json!({"color": colour, "value": from})),
    );
    let mut defaults = json!({
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": shown},
    });
    match panel.kind {
        Kind::Timeseries => {
            let style = if panel.thresholds.is_empty() { "off" } else { "line" };
            defaults["custom"] = json!({
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 0,
                "showPoints": "never",
                "spanNulls": false,
                "thresholdsStyle": {"mode": style},
            });
        }
        Kind::StateTimeline => {
            defaults["custom"] = json!({"lineWidth": 0, "fillOpacity": 80});
            // Of itself this kind has colours that run into each other.
            defaults["color"] = json!({"mode": "thresholds"});
            let named = panel.states.iter().zip(0..);
            let named = named.map(|((name, value), index)| (value.to_string(), json!({"text": name, "index": index})));
            let options: serde_json::Map<String, Value> = named.collect();
            defaults["mappings"] = json!([{"type": "value", "options": options}]);
        }
        Kind::Stat => {}
    }
    defaults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitoring::panels;

    const DASHBOARD: &str = "\
- uid: a
  title: A
  answers: What?
  runbook: a
  panels:
    - {title: One, says: x, unit: short, width: 12, no-threshold: x, queries: [{expr: one, legend: x}, {expr: two, legend: y}]}
    - {title: Two, says: x, unit: short, width: 8, no-threshold: x, queries: [{expr: one, legend: x}]}
    - {title: Three, says: x, unit: short, width: 5, no-threshold: x, runbook: down, queries: [{expr: one, legend: x}]}
    - {title: Four, says: x, unit: short, width: 19, no-threshold: x, queries: [{expr: one, legend: x}]}
    - {title: Five, says: x, unit: short, width: 1, no-threshold: x, queries: [{expr: one, legend: x}]}
";

    fn shown(yaml: &str) -> Value {
        dashboard(&panels::parse("d.yaml", yaml).unwrap()[0])
    }

    #[test]
    fn panels_flow_from_left_to_right_and_none_is_over_the_edge() {
        let page = shown(DASHBOARD);
        let at = |panel: &Value| ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        let all: Vec<_> = page["panels"].as_array().unwrap().iter().map(at).collect();
        assert_eq!(
            all,
            [[0, 0, 12, 8], [12, 0, 8, 8], [0, 8, 5, 8], [5, 8, 19, 8], [0, 16, 1, 8]]
        );
        let ids: Vec<_> = page["panels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|panel| &panel["id"])
            .collect();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn queries_have_a_letter_each_and_what_to_do_is_a_link() {
        let page = shown(DASHBOARD);
        let targets = &page["panels"][0]["targets"];
        assert_eq!([&targets[0]["refId"], &targets[1]["refId"]], ["A", "B"]);
        assert_eq!([&targets[0]["expr"], &targets[1]["expr"]], ["one", "two"]);
        assert_eq!(page["panels"][0]["links"][0]["url"], "/d/runbook-a");
        assert_eq!(page["panels"][2]["links"][0]["url"], "/d/runbook-down");
    }

    #[test]
    fn runs_are_chosen_where_the_page_is_about_them() {
        let names = |page: &Value| -> Vec<String> {
            let all = page["templating"]["list"].as_array().unwrap().iter();
            all.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
        };
        let page = shown(DASHBOARD);
        assert_eq!(names(&page), ["datasource"]);
        let chosen = shown(&DASHBOARD.replacen("expr: one", "expr: 'one{instance=~\"$instance\"}'", 1));
        assert_eq!(names(&chosen), ["datasource", "instance"]);
        assert_eq!(page["annotations"]["list"], json!([]));
        let page = shown(&DASHBOARD.replace("  answers", "  runs: true\n  answers"));
        assert_eq!(names(&page), ["datasource", "run"]);
        assert_eq!(page["annotations"]["list"].as_array().unwrap().len(), 1);
    }

    #[track_caller]
    fn check_thresholds(panel: &str, expected: Value) {
        let page = shown(&DASHBOARD.replacen("width: 12, no-threshold: x", panel, 1));
        assert_eq!(
            page["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"],
            expected
        );
    }

    #[test]
    fn colours_stand_in_the_order_of_their_values_and_the_first_has_none() {
        let green = json!({"color": "green", "value": null});
        check_thresholds("no-threshold: x", json!([green]));
        check_thresholds("kind: stat, no-threshold: x", json!([green]));
        check_thresholds(
            "thresholds: {red: 2, orange: 0.5}",
            json!([green, {"color": "orange", "value": 0.5}, {"color": "red", "value": 2.0}]),
        );
        check_thresholds(
            "thresholds: {green: 0, red: 2}",
            json!([green, {"color": "red", "value": 2.0}]),
        );
        check_thresholds(
            "kind: stat, thresholds: {red: 0, orange: 0.25, green: 0.5}",
            json!([
                {"color": "red", "value": null}, {"color": "orange", "value": 0.25}, {"color": "green", "value": 0.5},
            ]),
        );
        check_thresholds(
            "kind: state-timeline, states: {down: 0, up: 1}, thresholds: {red: 0, green: 1}",
            json!([{"color": "red", "value": null}, {"color": "green", "value": 1.0}]),
        );
        // The colour of what is calm is not lost where it stands above another.
        check_thresholds(
            "thresholds: {red: 0, green: 0.5}",
            json!([green, {"color": "red", "value": 0.0}, {"color": "green", "value": 0.5}]),
        );
    }

    #[test]
    fn states_are_named_by_their_values() {
        let page = shown(&DASHBOARD.replacen(
            "width: 12, no-threshold: x",
            "kind: state-timeline, states: {firing: 2, pending: 1}, thresholds: {orange: 0, red: 2}",
            1,
        ));
        let [shown, other] = [0, 1].map(|panel| &page["panels"][panel]);
        assert_eq!([&shown["type"], &other["type"]], ["state-timeline", "timeseries"]);
        let defaults = &shown["fieldConfig"]["defaults"];
        assert_eq!(
            defaults["mappings"],
            json!([{"type": "value", "options": {"2": {"text": "firing", "index": 0}, "1": {"text": "pending", "index": 1}}}])
        );
        assert_eq!(defaults["color"]["mode"], "thresholds");
        assert_eq!(other["fieldConfig"]["defaults"]["mappings"], Value::Null);
    }

    #[test]
    fn links_between_pages_lead_to_pages_and_others_stay() {
        for (markdown, expected) in [
            ("see [x](redis.md).", "see [x](/d/runbook-redis)."),
            (
                "[x](redis.md#where) and [y](a-b.md)",
                "[x](/d/runbook-redis#where) and [y](/d/runbook-a-b)",
            ),
            ("[x](https://example.org/a.md)", "[x](https://example.org/a.md)"),
            ("[x](notes.txt) [y](#here)", "[x](notes.txt) [y](#here)"),
            ("an open [x](redis", "an open [x](redis"),
            ("a[0](", "a[0]("),
            ("plain", "plain"),
        ] {
            assert_eq!(within_grafana(markdown), expected);
        }
        let page = runbook("redis", "Alert: `A`.\n\n# Redis\n");
        assert_eq!([&page["uid"], &page["title"]], ["runbook-redis", "Runbook: Redis"]);
        assert_eq!(runbook("redis", "no title")["title"], "Runbook: redis");
    }

    #[test]
    fn only_what_was_written_here_is_ours() {
        assert!(is_ours(&shown(DASHBOARD).to_string()));
        assert!(is_ours(&runbook("a", "text").to_string()));
        for other in [
            "",
            "{}",
            "[]",
            "no JSON",
            r#"{"tags": []}"#,
            r#"{"tags": ["soundcheck", "mine"]}"#,
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
