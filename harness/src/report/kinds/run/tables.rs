//! The tables of a run: its books, how journeys ended, why, and how long users waited.

use super::document::Run;
use super::measured::seconds;
use crate::analysis::ended::Ended;
use crate::analysis::quantile::Value;
use crate::config::Stage;
use crate::format::{self, Unit};
use crate::recording::event::{Accounting, What};
use crate::recording::{Clock, Endpoint, Outcome};
use crate::report::kinds::common;
use crate::report::kinds::slowest::slowest;
use crate::report::{Cell, Column, Table};
use crate::units::Ratio;

/// More reasons than this are summed up: the full list is in the events of the recording.
const MOST_CAUSES: usize = 20;

impl Run<'_> {
    /// How often each journey ended how.
    pub(super) fn outcomes(&self) -> Table {
        let mut table = Table::new(
            "How journeys ended in the whole run, warm-up and cool-down included",
            [
                Column::text("Journey"),
                Column::text("Outcome"),
                Column::number("Count", Unit::Count),
                Column::number("Of its journeys", Unit::Percent),
            ],
        );
        let journeys = self.measured.whole.iter().filter(|(endpoint, _)| endpoint.is_journey());
        for (endpoint, row) in journeys {
            let all = row.all();
            for (outcome, count) in &row.by_outcome {
                table.row([
                    Cell::from(common::words(*endpoint)),
                    Cell::from(outcome.name()),
                    Cell::count(Some(*count)),
                    Cell::Number((all > 0).then(|| *count as f64 / all as f64 * 100.0)),
                ]);
            }
        }
        table
    }

    /// Why requests failed: the causes that the recording counts, the most frequent first. `None` where nothing did.
    pub(super) fn failures(&self) -> Option<Table> {
        let mut causes: Vec<(u64, &Endpoint, &Outcome, &str)> = Vec::new();
        for event in &self.judgement.events {
            if let What::Failed {
                endpoint,
                outcome,
                cause,
                count,
                ..
            } = &event.what
            {
                causes.push((*count, endpoint, outcome, cause));
            }
        }
        causes.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, a.2, a.3).cmp(&(b.1, b.2, b.3))));
        let mut table = Table::new(
            "Why requests failed, warm-up and cool-down included: a journey fails with its request",
            [
                Column::text("Request"),
                Column::text("Outcome"),
                Column::text("Reason"),
                Column::number("Count", Unit::Count),
            ],
        );
        let rest: u64 = causes.iter().skip(MOST_CAUSES).map(|(count, ..)| count).sum();
        for (count, endpoint, outcome, cause) in causes.iter().take(MOST_CAUSES) {
            table.row([
                Cell::from(common::words(**endpoint)),
                Cell::from(outcome.name()),
                Cell::from(*cause),
                Cell::count(Some(*count)),
            ]);
        }
        if rest > 0 {
            table.row([
                Cell::from("the others"),
                Cell::from(""),
                Cell::from(format!("{} further reasons", causes.len() - MOST_CAUSES)),
                Cell::count(Some(rest)),
            ]);
        }
        (!causes.is_empty()).then_some(table)
    }

    pub(super) fn times(&self) -> Table {
        let mut table = Table::new(
            self.times_are_of(),
            [
                Column::text("What"),
                Column::number("Ended", Unit::Count),
                Column::number("Not served", Unit::Count),
                Column::number("Service p50", Unit::Seconds),
                Column::number("Service p99", Unit::Seconds),
                Column::number("Response p50", Unit::Seconds),
                Column::number("Response p99", Unit::Seconds),
                Column::number("Asked for p50", Unit::Seconds),
                Column::number("Asked for p99", Unit::Seconds),
            ],
        );
        let is_any_measured = self.judgement.scenario.stages.iter().any(Stage::is_measured);
        let nothing = Ended::default();
        for endpoint in self.measured.whole.keys() {
            let row = self.measured.figures.get(endpoint).unwrap_or(&nothing);
            let count = |count: u64| Cell::count(is_any_measured.then_some(count));
            let of = |clock, q| match (row.answered_quantile(clock, Ratio(q)), row.quantile(clock, Ratio(q))) {
                (None, Some(_)) => Cell::from(format::NO_ANSWER),
                (answered, _) => Cell::Number(seconds(answered)),
            };
            let asked = |q| {
                let asked = row.quantile(Clock::Response, Ratio(q));
                match asked.or_else(|| row.quantile(Clock::Service, Ratio(q))) {
                    Some(Value::Infinite) => Cell::from(format::NO_ANSWER),
                    asked => Cell::Number(seconds(asked)),
                }
            };
            table.row([
                Cell::from(common::words(*endpoint)),
                count(row.all()),
                count(row.unserved()),
                of(Clock::Service, 0.5),
                of(Clock::Service, 0.99),
                of(Clock::Response, 0.5),
                of(Clock::Response, 0.99),
                asked(0.5),
                asked(0.99),
            ]);
        }
        table
    }

    /// The slowest requests in the measured stages.
    pub(super) fn slowest(&self) -> Option<Table> {
        let judgement = self.judgement;
        slowest(
            &judgement.events,
            |at| judgement.zero.is_some() && judgement.scenario.is_measured_at(judgement.at(at)),
            |at| judgement.at(at),
            "in the measured stages",
        )
    }

    /// Over which stages the times are.
    fn times_are_of(&self) -> String {
        const WHAT: &str = "Requests and journeys";
        let stages = &self.judgement.scenario.stages;
        let left_out: Vec<String> = stages
            .iter()
            .filter(|stage| !stage.is_measured())
            .map(|stage| {
                let why = if stage.is_warm_up { "warm-up" } else { "cool-down" };
                match stage.name == why {
                    true => format!("the {why}"),
                    false => format!("“{}” (a {why})", stage.name),
                }
            })
            .collect();
        if left_out.is_empty() {
            format!("{WHAT} over the whole run: each of its stages is measured")
        } else if left_out.len() == stages.len() {
            format!("{WHAT}: no stage is measured, so there are no figures")
        } else {
            format!("{WHAT} in the measured stages, without {}", left_out.join(" and "))
        }
    }
}

/// The identities of the books, with their numbers, and what is a part of what.
pub(super) fn accounts(books: &Accounting) -> Table {
    let mut table = Table::new(
        "What became of every arrival",
        [
            Column::text("Identity"),
            Column::text("In numbers"),
            Column::text("Holds"),
        ],
    );
    let holds = |is_so: bool| Cell::from(if is_so { "yes" } else { "no" });
    let mut sum = |identity: &str, whole: u64, parts: &[u64]| {
        // In 128 bits: a damaged recording may hold any numbers.
        let all: u128 = parts.iter().map(|&part| u128::from(part)).sum();
        let parts: Vec<String> = parts.iter().map(u64::to_string).collect();
        table.row([
            Cell::from(identity),
            Cell::from(format!("{whole} = {}", parts.join(" + "))),
            holds(u128::from(whole) == all),
        ]);
    };
    sum(
        "scheduled = started + dropped",
        books.scheduled,
        &[books.started, books.dropped],
    );
    sum(
        "started = ok + failed + unfinished",
        books.started,
        &[books.ok, books.failed, books.unfinished],
    );
    sum(
        "late = generator late + users exhausted",
        books.late,
        &[books.late_by_generator, books.late_by_busy_users],
    );
    table.row([
        Cell::from("dropped by the generator ≤ dropped"),
        Cell::from(format!("{} ≤ {}", books.dropped_by_generator, books.dropped)),
        holds(books.dropped_by_generator <= books.dropped),
    ]);
    if books.visits > 0 || books.late_visits > 0 {
        table.row([
            Cell::from("late visits of virtual users ≤ their visits ≤ started"),
            Cell::from(format!("{} ≤ {} ≤ {}", books.late_visits, books.visits, books.started)),
            holds(books.late_visits <= books.visits && books.visits <= books.started),
        ]);
    }
    table
}
