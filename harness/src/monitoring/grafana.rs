//! Dashboards as Grafana loads them, and the pages that say what to do, which it shows beside them.

use serde_json::{Value, json};

use super::panels::{COLUMNS, Dashboard, Kind, Panel};

/// Grafana's own version of what a dashboard holds; it moves older ones on by itself.
const SCHEMA: u32 = 39;
const HEIGHT: u32 = 8;
/// Colours that a threshold may name, and what stands below the first.
const BASE: &str = "green";
const TAG: &str = "soundcheck";

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
    let mut queries = dashboard.panels.iter().flat_map(|panel| &panel.queries);
    if queries.any(|query| query.expr.contains("$instance")) {
        variables.push(choice("instance", "Instance", "label_values(booking_info, instance)"));
    }
    let mut annotations = vec![];
    if dashboard.runs {
        variables.push(choice("run", "Run", "label_values(soundcheck_planned_per_second, run)"));
        annotations.push(json!({
            "name": "Stages of the runs",
            "datasource": source(),
            "enable": true,
            "iconColor": "blue",
            "target": {
                "refId": "Anno",
                // Grafana marks where a value is above 0, and a stage may plan no arrivals.
                "expr": "max by (run, stage) (soundcheck_planned_per_second{run=~\"$run\"} >= bool 0)",
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
        &format!("runbook-{name}"),
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
        let (target, behind) = after.split_once(')').unwrap_or((after, ""));
        match target.strip_suffix(".md") {
            Some(name) => text.push_str(&format!("/d/runbook-{name})")),
            None => text.push_str(&format!("{target})")),
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

fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name,
        "label": label,
        "type": "query",
        "datasource": source(),
        "query": {"query": query, "refId": name},
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
    let links: Vec<Value> = panel
        .runbook
        .iter()
        // Without a host, so that it holds wherever Grafana is reached.
        .map(|name| {
            json!({
                "title": "What to do", "type": "link", "url": format!("/d/runbook-{name}"), "targetBlank": true, "tags": [],
                "asDropdown": false, "includeVars": false, "keepTime": false, "icon": "", "tooltip": "",
            })
        })
        .collect();
    json!({
        "id": id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": source(),
        "gridPos": {"h": HEIGHT, "w": panel.width, "x": x, "y": y},
        "links": links,
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
    }
}

fn defaults(panel: &Panel) -> Value {
    let mut steps: Vec<(&str, f64)> = panel
        .thresholds
        .iter()
        .map(|(colour, from)| (colour.as_str(), *from))
        .collect();
    steps.sort_by(|a, b| a.1.total_cmp(&b.1));
    // Grafana wants the first without a value: it stands for all that is below the second.
    let mut shown = Vec::new();
    if panel.kind == Kind::Timeseries || steps.is_empty() {
        shown.push(json!({"color": BASE, "value": null}));
        shown.extend(
            steps
                .iter()
                .filter(|(colour, _)| *colour != BASE)
                .map(|(colour, from)| json!({"color": colour, "value": from})),
        );
    } else {
        shown.push(json!({"color": steps[0].0, "value": null}));
        shown.extend(
            steps
                .iter()
                .skip(1)
                .map(|(colour, from)| json!({"color": colour, "value": from})),
        );
    }
    let mut defaults = json!({
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": shown},
    });
    if panel.kind == Kind::Timeseries {
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
    defaults
}
