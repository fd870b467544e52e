//! JUnit XML: what CI shows of a run, one test case for each thing that could have been broken.
//!
//! | outcome | becomes |
//! |---|---|
//! | met, held | a success, with what was measured in its output |
//! | missed, broken | a failure, with what was measured, the limit and the witness |
//! | unknown | an error: nobody looked at it, and no data never passes |
//! | nothing was done that could have broken it | skipped |
//!
//! Of a run there is neither a failure nor an error exactly when its verdict is a pass. Where an objective is missed by no more
//! than the generator's own lateness explains, it is unknown whose miss it is. A scenario that goes on until an objective
//! is broken misses one on purpose; the verdict says where.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::ExportError;
use crate::format::{self, Unit};
use crate::objectives::{Limit, Objective, Ruling};
use crate::plan::scenario::KIND as RUN;
use crate::recording::event::{Accounting, What};
use crate::recording::{Event, Manifest, Recording};
use crate::report::Verdict;
use crate::report::kinds;
use crate::report::kinds::judgement::{Judgement, value_of, window_of};
use crate::units::Nanos;
use crate::verdict::ledger::{self, LedgerReport, Step, VariantLedger, Verdict as Invariant};
use crate::verdict::validity::{self, Validity};

/// The name of every report, by which an earlier export is known.
pub const NAME: &str = "soundcheck";

/// The verdict over a recording and everything that it rests on.
///
/// # Errors
/// When the recording cannot be read or judged.
pub fn xml(recording: &Recording) -> Result<String, ExportError> {
    let report = match recording.manifest().kind.as_str() {
        RUN => of_run(recording.manifest(), &Judgement::of(recording)?),
        "overview" => return Err(ExportError::Overview(recording.dir().to_owned())),
        _ => of_other(recording)?,
    };
    report.to_string().map_err(|error| ExportError::Format(error.into()))
}

fn of_run(manifest: &Manifest, judgement: &Judgement) -> Report {
    let name = &judgement.scenario.name;
    let (verdict, sentence) = judgement.verdict();
    let mut suites = Suites::new(manifest, name, &judgement.events);
    suites.add("verdict", vec![verdict_case(verdict, &sentence.to_plain())]);
    let objectives = judgement.judged.iter();
    let objectives = objectives.map(|(objective, ruling)| objective_case(judgement, objective, ruling));
    suites.add("objectives", objectives.collect());
    suites.add("books", books(manifest, &judgement.events, &judgement.validity));
    suites.add("invariants", invariants(&judgement.ledger));
    suites.report
}

fn of_other(recording: &Recording) -> Result<Report, ExportError> {
    let manifest = recording.manifest();
    let document = kinds::document(recording)?;
    let events = recording.events()?;
    let mut validity = validity::validity(recording)?;
    // A comparison of variants does not rest on response times; its own report says where it does.
    validity.lag.clear();
    let mut suites = Suites::new(manifest, &manifest.kind, &events);
    suites.add(
        "verdict",
        vec![verdict_case(document.verdict, &document.sentence.to_plain())],
    );
    suites.add("books", books(manifest, &events, &validity));
    suites.add("invariants", invariants(&ledger::verify(recording)?));
    Ok(suites.report)
}

/// A report under way.
struct Suites {
    report: Report,
    /// What was run, for the names of classes.
    what: String,
    began: String,
    length: Option<Duration>,
    properties: Vec<(&'static str, String)>,
}

impl Suites {
    fn new(manifest: &Manifest, what: &str, events: &[Event]) -> Self {
        let length = events.last().map(|last| last.t.since(Nanos(0)));
        let mut report = Report::new(NAME);
        if let Some(length) = length {
            report.set_time(length);
        }
        let began = jiff::Timestamp::from_millisecond(manifest.clock.unix_ms(Nanos(0)));
        let commit = manifest.tool.commit.clone();
        let properties = [
            ("kind", Some(manifest.kind.clone())),
            ("seed", Some(manifest.seed.to_string())),
            ("stack", manifest.stack.clone()),
            ("command", Some(manifest.command.join(" "))),
            ("version", Some(manifest.tool.version.clone())),
            ("commit", commit),
        ];
        let known = properties.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Self {
            report,
            // A dot would begin another package.
            what: what.replace('.', " "),
            began: began.map_or_else(|_| String::new(), |at| format!("{at:.0}")),
            length,
            properties: known.collect(),
        }
    }

    fn add(&mut self, group: &str, cases: Vec<Case>) {
        if cases.is_empty() {
            return;
        }
        let mut suite = TestSuite::new(format!("{}: {group}", self.what));
        suite.extra.insert("timestamp".into(), self.began.as_str().into());
        if let Some(length) = self.length {
            suite.set_time(length);
        }
        let properties = self.properties.iter();
        suite.add_properties(properties.map(|(name, value)| Property::new(name, value)));
        for case in cases {
            let class = match &case.variant {
                None => format!("{NAME}.{}.{group}", self.what),
                Some(variant) => format!("{NAME}.{}.{group}.{variant}", self.what),
            };
            let mut test = TestCase::new(&case.name, case.outcome.status());
            test.set_classname(class);
            if let Outcome::Success(said) = &case.outcome {
                test.set_system_out(said);
            }
            suite.add_test_case(test);
        }
        self.report.add_test_suite(suite);
    }
}

/// One thing that could have been broken.
struct Case {
    name: String,
    variant: Option<String>,
    outcome: Outcome,
}

/// What came of it, and the words for it.
#[derive(PartialEq, Debug)]
enum Outcome {
    Success(String),
    Failure {
        kind: &'static str,
        message: String,
        details: String,
    },
    /// Neither: nobody can say.
    Unknown(String),
    Skipped(String),
}

impl Outcome {
    fn status(&self) -> TestCaseStatus {
        let mut status = match self {
            Self::Success(_) => TestCaseStatus::success(),
            Self::Failure { .. } => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Self::Unknown(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
            Self::Skipped(_) => TestCaseStatus::skipped(),
        };
        match self {
            Self::Success(_) => {}
            Self::Failure { kind, message, details } => {
                status.set_type(kind).set_message(message).set_description(details);
            }
            // Some show the message alone, and some the text alone.
            Self::Unknown(why) => {
                status.set_type("unknown").set_message(why).set_description(why);
            }
            Self::Skipped(why) => {
                status.set_message(why);
            }
        }
        status
    }

    fn failure(kind: &'static str, message: String) -> Self {
        let details = message.clone();
        Self::Failure { kind, message, details }
    }
}

fn verdict_case(verdict: Verdict, sentence: &str) -> Case {
    let sentence = sentence.to_owned();
    Case {
        name: "verdict".to_owned(),
        variant: None,
        outcome: match verdict {
            Verdict::Pass => Outcome::Success(sentence),
            Verdict::Fail => Outcome::failure("fail", sentence),
            Verdict::Broken => Outcome::failure("broken", sentence),
            Verdict::Unknown => Outcome::Unknown(sentence),
        },
    }
}

fn objective_case(judgement: &Judgement, objective: &Objective, ruling: &Ruling) -> Case {
    let outcome = match ruling {
        Ruling::Met(_) => Outcome::Success(measured(judgement, objective, ruling)),
        Ruling::Unknown(reason) => Outcome::Unknown(reason.clone()),
        Ruling::Missed(_) if judgement.scenario.until_broken => Outcome::Success(format!(
            "{}; the scenario went on until an objective was broken",
            measured(judgement, objective, ruling)
        )),
        Ruling::Missed(_) if !judgement.is_the_services(objective, ruling) => Outcome::Unknown(format!(
            "{}, which the generator's own lateness may have made: {}",
            measured(judgement, objective, ruling),
            judgement.validity.doubts.join("; ")
        )),
        Ruling::Missed(_) => Outcome::failure("missed", measured(judgement, objective, ruling)),
    };
    Case {
        name: objective.name.clone(),
        variant: None,
        outcome,
    }
}

/// `journeys p99 ≤ 250ms: 310 ms, from 3 s to 13 s (10s)`.
fn measured(judgement: &Judgement, objective: &Objective, ruling: &Ruling) -> String {
    let worst = ruling.worst();
    let value = value_of(objective.limit, worst.map(|worst| worst.value));
    let held = format!("{} {}: {value}", objective.of, objective.limit);
    match (objective.limit, worst) {
        // The books are of the whole run.
        (Limit::Offered { .. }, _) | (_, None) => held,
        (_, Some(worst)) => format!(
            "{held} at the worst, from {:.0} s to {:.0} s (judged over {})",
            judgement.at(worst.from),
            judgement.at(worst.until),
            window_of(objective)
        ),
    }
}

/// Whether every arrival is accounted for, and whether the numbers carry a claim at all.
fn books(manifest: &Manifest, events: &[Event], validity: &Validity) -> Vec<Case> {
    let mut cases = Vec::new();
    for (variant, number) in manifest.variants.iter().zip(0_u16..) {
        let mut sum: Option<Accounting> = None;
        for event in events {
            if let What::Accounting { variant, counts, .. } = &event.what
                && *variant == number
            {
                sum.get_or_insert_default().add(counts);
            }
        }
        cases.push(Case {
            name: "every arrival is accounted for".to_owned(),
            variant: Some(variant.name.clone()),
            outcome: balance(sum.as_ref()),
        });
    }
    let doubts = [validity.doubts.as_slice(), validity.lag.as_slice()].concat();
    cases.push(Case {
        name: "the numbers carry a claim".to_owned(),
        variant: None,
        outcome: match doubts.as_slice() {
            [] => Outcome::Success(format!(
                "the generator's lag has a p99 of {}",
                format::quantity(Unit::Seconds, validity.lag_p99.map(Nanos::as_secs_f64))
            )),
            doubts => Outcome::Unknown(doubts.join("; ")),
        },
    });
    cases
}

fn balance(books: Option<&Accounting>) -> Outcome {
    let Some(books) = books else {
        return Outcome::Unknown("nobody accounted for the arrivals".to_owned());
    };
    let imbalances = books.imbalances();
    if !imbalances.is_empty() {
        return Outcome::failure("imbalance", imbalances.join("; "));
    }
    Outcome::Success(format!(
        "scheduled {} = started {} + dropped {}; started {} = ok {} + failed {} + unfinished {}",
        books.scheduled, books.started, books.dropped, books.started, books.ok, books.failed, books.unfinished
    ))
}

fn invariants(ledger: &LedgerReport) -> Vec<Case> {
    ledger.variants.iter().flat_map(invariants_of).collect()
}

fn invariants_of(variant: &VariantLedger) -> Vec<Case> {
    let findings = variant.findings.iter().map(|finding| Case {
        name: format!("{} {}", finding.invariant.id(), finding.invariant.promise()),
        variant: Some(variant.name.clone()),
        outcome: match &finding.verdict {
            Invariant::Valid => Outcome::Success(finding.basis.clone()),
            Invariant::Invalid { reason, witness } => Outcome::Failure {
                kind: "broken",
                message: reason.clone(),
                details: told(reason, witness),
            },
            Invariant::Unknown {
                reason,
                exercised: true,
            } => Outcome::Unknown(reason.clone()),
            Invariant::Unknown { reason, .. } => Outcome::Skipped(reason.clone()),
        },
    });
    let whole = Case {
        name: "the evidence is whole".to_owned(),
        variant: Some(variant.name.clone()),
        outcome: match variant.doubts.as_slice() {
            [] => Outcome::Success(format!(
                "{} operations, {} unsettled",
                variant.operations, variant.unsettled
            )),
            doubts => Outcome::Unknown(doubts.join("; ")),
        },
    };
    findings.chain([whole]).collect()
}

/// A reason with its witness, a step a line.
fn told(reason: &str, witness: &[Step]) -> String {
    let steps = witness.iter().map(|step| match step.during {
        Some((invoked, returned)) => format!(
            "{:.3} s to {:.3} s: {}",
            invoked.as_secs_f64(),
            returned.as_secs_f64(),
            step.text
        ),
        None => format!("in the end: {}", step.text),
    });
    std::iter::once(reason.to_owned())
        .chain(steps)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::fixture::{Fixture, ms};
    use crate::recording::event::Edge;
    use crate::recording::{Clock, Endpoint, Outcome as Ended};
    use crate::verdict::ledger::{Finding, Invariant as Promise};

    const OBJECTIVES: &str = "objectives:\n  \
        - {name: quick, p99: 250ms}\n  - {name: <quicker>, p50: 10ms, over: 2s}\n  \
        - {name: untested, of: cancel, p99: 1s}\n  - {name: offered, offered: 99%}\n";

    /// 160 of 160 arrivals ended well in 20 ms, or as many as started.
    fn judged(counts: Accounting, objectives: &str) -> (Fixture, Judgement) {
        let fixture = Fixture::run(Some(objectives));
        fixture.stage(ms(1_000), Edge::Begin);
        for second in 1..=4 {
            for (clock, took_ms) in [(Clock::Response, 20), (Clock::Service, 19)] {
                fixture.second(
                    ms(second * 1_000),
                    Endpoint::JourneyBook,
                    Ended::Won,
                    clock,
                    40,
                    took_ms,
                );
            }
        }
        fixture.stage(ms(5_000), Edge::End);
        fixture.account(ms(5_000), counts);
        let judgement = Judgement::of(&fixture.read()).unwrap();
        (fixture, judgement)
    }

    fn whole() -> Accounting {
        Accounting {
            scheduled: 160,
            started: 160,
            ok: 160,
            ..Accounting::default()
        }
    }

    #[test]
    fn each_thing_that_could_be_broken_is_a_case_that_ci_understands() {
        let (fixture, _) = judged(whole(), OBJECTIVES);
        let written = xml(&fixture.read()).unwrap();
        let read = Report::deserialize_from_str(&written).unwrap();
        // Verdict, four objectives, books, doubts, and of the ledger its invariants and its evidence.
        assert_eq!(read.tests, 1 + 4 + 2 + Promise::ALL.len() + 1);
        // Of a run without history or final state nobody knows whether the service kept its promises.
        assert!(read.failures == 1 && read.errors > 2, "{written}");
        let invariants = written.find("<testsuite name=\"smoke: invariants\"").unwrap();
        let shown: Vec<&str> = written[..invariants]
            .lines()
            .filter(|line| !line.contains("<property "))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="soundcheck" tests="21" skipped="6" failures="1" errors="9" time="5.000">
            <testsuite name="smoke: verdict" tests="1" skipped="0" errors="1" failures="0" time="5.000" timestamp="2026-11-27T10:00:00Z">
                <properties>
                </properties>
                <testcase name="verdict" classname="soundcheck.smoke.verdict">
                    <error message="Whether every booking and every payment survived is unknown; see the badge." type="unknown">Whether every booking and every payment survived is unknown; see the badge.</error>
                </testcase>
            </testsuite>
            <testsuite name="smoke: objectives" tests="4" skipped="0" errors="1" failures="1" time="5.000" timestamp="2026-11-27T10:00:00Z">
                <properties>
                </properties>
                <testcase name="quick" classname="soundcheck.smoke.objectives">
                    <system-out>journeys p99 ≤ 250ms: 20.0 ms at the worst, from 0 s to 4 s (judged over the run)</system-out>
                </testcase>
                <testcase name="&lt;quicker&gt;" classname="soundcheck.smoke.objectives">
                    <failure message="journeys p50 ≤ 10ms: 20.0 ms at the worst, from 0 s to 2 s (judged over 2s)" type="missed">journeys p50 ≤ 10ms: 20.0 ms at the worst, from 0 s to 2 s (judged over 2s)</failure>
                </testcase>
                <testcase name="untested" classname="soundcheck.smoke.objectives">
                    <error message="less than 100 of cancel ended" type="unknown">less than 100 of cancel ended</error>
                </testcase>
                <testcase name="offered" classname="soundcheck.smoke.objectives">
                    <system-out>journeys offered ≥ 99%: 100 %</system-out>
                </testcase>
            </testsuite>
            <testsuite name="smoke: books" tests="2" skipped="0" errors="0" failures="0" time="5.000" timestamp="2026-11-27T10:00:00Z">
                <properties>
                </properties>
                <testcase name="every arrival is accounted for" classname="soundcheck.smoke.books.run">
                    <system-out>scheduled 160 = started 160 + dropped 0; started 160 = ok 160 + failed 0 + unfinished 0</system-out>
                </testcase>
                <testcase name="the numbers carry a claim" classname="soundcheck.smoke.books">
                    <system-out>the generator&apos;s lag has a p99 of n/a</system-out>
                </testcase>
            </testsuite>
        "#);
    }

    /// A miss that the generator may have made is nobody's failure, and no success.
    #[test]
    fn a_miss_that_the_generators_lateness_explains_is_unknown() {
        let late = Accounting {
            scheduled: 200,
            dropped: 40,
            late: 30,
            late_by_generator: 30,
            ..whole()
        };
        let objectives = "objectives:\n  - {name: few fail, failed: 1%}\n";
        let (_, mut judgement) = judged(late, objectives);
        let (objective, ruling) = judgement.judged[0].clone();
        let Ruling::Met(worst) = ruling else {
            panic!("{ruling:?}")
        };
        // Every fifth was dropped, which is all that failed.
        let missed = Ruling::Missed(crate::objectives::Worst { value: 20.0, ..worst });
        let case = objective_case(&judgement, &objective, &missed);
        assert!(
            matches!(&case.outcome, Outcome::Unknown(why) if why.contains("the generator's own lateness")),
            "{:?}",
            case.outcome
        );
        judgement.validity.is_generators_fault = false;
        let case = objective_case(&judgement, &objective, &missed);
        assert!(
            matches!(case.outcome, Outcome::Failure { kind: "missed", .. }),
            "{:?}",
            case.outcome
        );
        judgement.scenario.until_broken = true;
        let case = objective_case(&judgement, &objective, &missed);
        assert!(matches!(case.outcome, Outcome::Success(_)), "{:?}", case.outcome);
    }

    #[test]
    fn books_that_do_not_balance_fail_and_no_books_are_unknown() {
        let lost = Accounting {
            started: 159,
            ..whole()
        };
        let Outcome::Failure { kind, message, .. } = balance(Some(&lost)) else {
            panic!("{lost:?}")
        };
        assert_eq!(kind, "imbalance");
        assert!(
            message.starts_with("160 arrivals were scheduled, but 159 started"),
            "{message}"
        );
        assert!(matches!(balance(None), Outcome::Unknown(_)));
        assert!(matches!(balance(Some(&whole())), Outcome::Success(_)));
    }

    #[test]
    fn an_invariant_is_held_broken_with_its_witness_unknown_or_not_tried() {
        let finding = |invariant, verdict| Finding {
            invariant,
            verdict,
            basis: "12 holds of 8 seats".to_owned(),
        };
        let unknown = |exercised| Invariant::Unknown {
            reason: "no audit".to_owned(),
            exercised,
        };
        let broken = Invariant::Invalid {
            reason: "seat 3 was sold twice".to_owned(),
            witness: vec![
                Step {
                    during: Some((ms(1_000), ms(1_020))),
                    operation: Some(1),
                    text: "u1 pays".to_owned(),
                },
                Step {
                    during: None,
                    operation: None,
                    text: "u2 owns it".to_owned(),
                },
            ],
        };
        let variant = VariantLedger {
            variant: 0,
            name: "run".to_owned(),
            operations: 100,
            unsettled: 1,
            findings: vec![
                finding(Promise::Money, Invariant::Valid),
                finding(Promise::SeatSoldOnce, broken),
                finding(Promise::Events, unknown(true)),
                finding(Promise::Cache, unknown(false)),
            ],
            doubts: vec!["the history has a hole".to_owned()],
        };
        let outcomes: Vec<Outcome> = invariants_of(&variant).into_iter().map(|case| case.outcome).collect();
        let details = "seat 3 was sold twice\n1.000 s to 1.020 s: u1 pays\nin the end: u2 owns it".to_owned();
        assert_eq!(
            outcomes,
            [
                Outcome::Success("12 holds of 8 seats".to_owned()),
                Outcome::Failure {
                    kind: "broken",
                    message: "seat 3 was sold twice".to_owned(),
                    details
                },
                Outcome::Unknown("no audit".to_owned()),
                Outcome::Skipped("no audit".to_owned()),
                Outcome::Unknown("the history has a hole".to_owned()),
            ]
        );
    }
}
