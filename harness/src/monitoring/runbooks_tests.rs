use super::objectives::Promises;
use super::panels;
use super::runbooks::{RunbookError, check};

const OBJECTIVES: &str = "\
period: 30d
runbooks: http://127.0.0.1/
objectives:
  - name: latency
    says: Answers come in time.
    goal: 99%
    times: took_seconds
    within: 250ms
    at-least: 1/s
    alert: LatencyBudgetBurn
    runbook: late
    example: {times: took_seconds}
alerts:
  - name: Down
    severity: page
    says: it is down
    when: up == 0
    runbook: down
    fires: {series: {up: '0x10'}, at: 1m}
    silent: {series: {up: '1x10'}, at: 1m}
";
const DASHBOARDS: &str = "\
- uid: a
  title: A
  answers: What?
  runbook: late
  panels:
    - {title: Up, says: Up., unit: short, runbook: down, no-threshold: x, queries: [{expr: up, legend: up}]}
";
const LATE: &str = "\
# Late

Alert: `LatencyBudgetBurn`.

## Symptom

Slow.

## Where to look

There.

## How to confirm

So.

## How to mitigate

1. Do.
";

fn down() -> String {
    LATE.replace("LatencyBudgetBurn", "Down")
}

/// What is said of these pages.
fn checked(pages: &[(&str, &str)], dashboards: &str) -> Result<(), RunbookError> {
    let pages = pages
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let promises = Promises::parse("o.yaml", OBJECTIVES).unwrap();
    check(
        &pages.collect(),
        &promises,
        &panels::parse("d.yaml", dashboards).unwrap(),
    )
}

#[track_caller]
fn refused(pages: &[(&str, &str)], expected: &str) {
    assert_eq!(checked(pages, DASHBOARDS).unwrap_err().to_string(), expected);
}

/// The page `late.md` with one text in place of another.
#[track_caller]
fn refused_page(from: &str, to: &str, expected: &str) {
    assert_eq!(LATE.matches(from).count(), 1, "`{from}`");
    refused(&[("late", &LATE.replace(from, to)), ("down", &down())], expected);
}

#[test]
fn pages_that_are_whole_are_taken() {
    checked(&[("late", LATE), ("down", &down())], DASHBOARDS).unwrap();
    // However their lines end, and whatever else they say.
    let windows = LATE.replace('\n', "\r\n");
    let more = format!(
        "{}\n## Afterwards\n",
        down().replace("Slow.", "### On one instance\n\nSlow.")
    );
    checked(&[("late", &windows), ("down", &more)], DASHBOARDS).unwrap();
    let untitled = LATE
        .split_once("\n\n")
        .unwrap()
        .1
        .replace("Alert: `LatencyBudgetBurn`.\n\n", "");
    let untitled = untitled.replace("Slow.", "`LatencyBudgetBurn`");
    assert!(untitled.starts_with("## Symptom"), "{untitled}");
    checked(&[("late", &untitled), ("down", &down())], DASHBOARDS).unwrap();
}

#[test]
fn a_page_that_is_named_and_not_there_is_told_with_who_names_it() {
    refused(
        &[("down", &down())],
        "there is no runbook `late`, which LatencyBudgetBurn names; write runbooks/late.md",
    );
    refused(
        &[("late", LATE)],
        "there is no runbook `down`, which Down names; write runbooks/down.md",
    );
    let dashboards = DASHBOARDS.replace("runbook: down", "runbook: gone");
    let error = checked(&[("late", LATE), ("down", &down())], &dashboards).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no runbook `gone`, which the panel “Up” names; write runbooks/gone.md"
    );
}

#[test]
fn a_page_names_its_alert_and_is_there_for_one() {
    refused_page(
        "`LatencyBudgetBurn`",
        "LatencyBudgetBurnt",
        "runbooks/late.md does not name `LatencyBudgetBurn`, whose runbook it is",
    );
    refused(
        &[("late", LATE), ("down", &down()), ("spare", LATE)],
        "no alert has the runbook `spare`; name it in one, or take runbooks/spare.md away",
    );
}

#[test]
fn a_page_has_each_part_in_order_and_says_something_there() {
    let lacks = |part: &str| format!("runbooks/late.md lacks the part `## {part}`; say it in a sentence at least");
    for part in ["Symptom", "Where to look", "How to confirm", "How to mitigate"] {
        refused_page(&format!("## {part}\n"), "", &lacks(part));
        refused_page(&format!("## {part}\n"), &format!("### {part}\n"), &lacks(part));
        refused_page(&format!("## {part}\n"), &format!("## {part}s\n"), &lacks(part));
    }
    refused_page("Slow.", " ", &lacks("Symptom"));
    refused_page("1. Do.", "", &lacks("How to mitigate"));
    refused_page("1. Do.", "# Another page", &lacks("How to mitigate"));
    let swapped = LATE
        .replace("Symptom", "-")
        .replace("How to confirm", "Symptom")
        .replace("## -", "## How to confirm");
    refused(
        &[("late", &swapped), ("down", &down())],
        "runbooks/late.md has the part `## Where to look` before `## Symptom`; put it behind, as on all pages",
    );
    refused(&[("late", "`LatencyBudgetBurn`"), ("down", &down())], &lacks("Symptom"));
    refused(
        &[("late", ""), ("down", &down())],
        "runbooks/late.md does not name `LatencyBudgetBurn`, whose runbook it is",
    );
}

#[test]
fn a_page_has_a_name_that_grafana_takes() {
    for name in ["a b", "ä", &"a".repeat(33)] {
        refused(
            &[("late", LATE), ("down", &down()), (name, LATE)],
            &format!(
                "runbooks/{name}.md cannot be a page of Grafana's; give it a name of at most 32 letters of a to z, digits, `-` \
                 and `_`"
            ),
        );
    }
}

#[test]
fn a_page_leads_to_what_there_is() {
    let promises = Promises::parse("o.yaml", OBJECTIVES).unwrap();
    let dashboards = panels::parse("d.yaml", DASHBOARDS).unwrap();
    let told = |there: &str| {
        let late = LATE.replace("There.", there);
        let pages = [("late".to_owned(), late), ("down".to_owned(), down())].into();
        check(&pages, &promises, &dashboards).map_err(|error| error.to_string())
    };
    assert_eq!(told("*A*, **Up**; or **Up** alone, and `*B*`."), Ok(()));
    assert_eq!(
        told("*B*, **Up**."),
        Err(
            "runbooks/late.md names the dashboard *B*, which there is not; write its title as in dashboards.yaml"
                .to_owned()
        )
    );
    assert_eq!(
        told("*A*, **Down**."),
        Err(
            "runbooks/late.md names the panel **Down**, which *A* does not have; write its title as in dashboards.yaml"
                .to_owned()
        )
    );
}
