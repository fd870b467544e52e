//! A second of a run under way in words: some lines for a terminal, or one where lines stay.

use crate::format::{self, Unit};
use crate::run::live::{Snapshot, Waited};

/// No line of a terminal is longer.
const WIDTH: usize = 78;

/// For a terminal, where they are redrawn in place.
pub(super) fn lines(second: &Snapshot) -> Vec<String> {
    let outcomes: Vec<String> = second
        .outcomes
        .iter()
        .map(|(outcome, count)| format!("{outcome} {}", format::quantity(Unit::Count, Some(*count as f64))))
        .collect();
    let lines = [
        format!(
            "{}: planned {}, started {}, {} well, {} failed",
            stage(second),
            planned(second),
            rate(second.started),
            rate(second.achieved),
            rate(second.failed)
        ),
        format!(
            "response p50 {}, p99 {} (10 s); begun late p99 {}",
            waited(second.p50),
            waited(second.p99),
            format::waited(second.lag_p99)
        ),
        match outcomes.is_empty() {
            true => "nothing has ended yet".to_owned(),
            false => outcomes.join(" · "),
        },
        format!(
            "cache hits {}, in line {}, outbox {}",
            format::quantity(Unit::Percent, second.hit_ratio),
            count(second.waiting),
            count(second.outbox)
        ),
    ];
    lines.into_iter().map(|line| cut(&line)).collect()
}

/// For everywhere else.
pub(super) fn line(second: &Snapshot) -> String {
    format!(
        "{}: planned {}, started {}, {} well, {} failed, p50 {}, p99 {}, {:.0} s left",
        stage(second),
        planned(second),
        rate(second.started),
        rate(second.achieved),
        rate(second.failed),
        waited(second.p50),
        waited(second.p99),
        second.left
    )
}

fn stage(second: &Snapshot) -> String {
    match &second.fault {
        Some(fault) => format!("{}, {fault}", second.stage),
        None => second.stage.clone(),
    }
}

fn planned(second: &Snapshot) -> String {
    second.planned.map_or_else(|| "by virtual users".to_owned(), rate)
}

fn rate(value: f64) -> String {
    format::quantity(Unit::PerSecond, Some(value))
}

fn waited(value: Option<Waited>) -> String {
    format::waited(value.map(Waited::as_secs_f64))
}

fn count(value: Option<f64>) -> String {
    format::quantity(Unit::Count, value)
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    let kept: String = line.chars().take(WIDTH - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn second() -> Snapshot {
        Snapshot {
            at: 12.0,
            stage: "onsale".to_owned(),
            fault: None,
            left: 18.2,
            planned: Some(120.0),
            started: 119.0,
            achieved: 118.0,
            failed: 0.0,
            p50: Some(Waited::Seconds(0.012)),
            p99: Some(Waited::ForEver),
            lag_p99: Some(0.000_4),
            outcomes: BTreeMap::from([("sold-out", 22), ("won", 4_100)]),
            hit_ratio: Some(93.0),
            waiting: Some(12.0),
            outbox: None,
        }
    }

    #[test]
    fn what_is_not_known_is_said_and_no_line_is_too_long() {
        insta::assert_snapshot!(lines(&second()).join("\n"));
        insta::assert_snapshot!(line(&second()));
        let many = (0..40).map(|_| ("conflict-and-more", 1_000_000));
        let crowded = Snapshot {
            stage: "x".repeat(200),
            outcomes: many.collect(),
            planned: None,
            ..second()
        };
        assert!(lines(&crowded).iter().all(|line| line.chars().count() <= WIDTH));
        assert!(line(&crowded).contains("planned by virtual users, started 119/s"));
        let broken = Snapshot {
            fault: Some("MySQL is paused".to_owned()),
            ..second()
        };
        let said = "onsale, MySQL is paused: planned 120/s";
        assert!(
            line(&broken).starts_with(said) && lines(&broken)[0].starts_with(said),
            "{}",
            line(&broken)
        );
    }
}
