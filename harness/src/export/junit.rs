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

use quick_junit::{Property, Report, TestCase, TestSuite};

use super::ExportError;
use super::cases::{Case, Outcome, books, invariants, objective_case, verdict_case};
use crate::plan::scenario::KIND as RUN;
use crate::recording::{Event, Manifest, Recording};
use crate::report::kinds::judgement::Judgement;
use crate::report::{Verdict, kinds};
use crate::units::Nanos;
use crate::verdict::{ledger, validity};

/// The name of every report, by which an earlier export is known.
pub const NAME: &str = "soundcheck";

/// The verdict over a recording and everything that it rests on.
///
/// # Errors
/// When the recording cannot be read or judged.
pub fn xml(recording: &Recording) -> Result<String, ExportError> {
    let report = match recording.manifest().kind.as_str() {
        RUN => return xml_of_run(recording.manifest(), &Judgement::of(recording)?),
        "overview" => return Err(ExportError::Overview(recording.dir().to_owned())),
        _ => of_other(recording)?,
    };
    report.to_string().map_err(|error| ExportError::Format(error.into()))
}

/// The same of a run that was judged already.
///
/// # Errors
/// Never in practice: every case has a text.
pub fn xml_of_run(manifest: &Manifest, judgement: &Judgement) -> Result<String, ExportError> {
    let report = of_run(manifest, judgement).to_string();
    report.map_err(|error| ExportError::Format(error.into()))
}

fn of_run(manifest: &Manifest, judgement: &Judgement) -> Report {
    let name = &judgement.scenario.name;
    let (verdict, sentence) = judgement.verdict();
    let mut suites = Suites::new(manifest, name, &judgement.events);
    suites.add("verdict", vec![verdict_case(verdict, &sentence.to_plain())]);
    let objectives = judgement.judged.iter();
    let objectives = objectives.map(|(objective, ruling)| objective_case(judgement, objective, ruling));
    let groups = [
        ("objectives", objectives.collect()),
        ("books", books(manifest, &judgement.events, &judgement.validity)),
        ("invariants", invariants(&judgement.ledger)),
    ];
    for (group, mut cases) in groups {
        if verdict == Verdict::Pass {
            cases = cases.into_iter().map(Case::in_a_run_that_passed).collect();
        }
        suites.add(group, cases);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::kinds::fixture::{judged, whole};
    use crate::verdict::ledger::Invariant as Promise;

    const OBJECTIVES: &str = "objectives:\n  \
        - {name: quick, p99: 250ms}\n  - {name: <quicker>, p50: 10ms, over: 2s}\n  \
        - {name: untested, of: cancel, p99: 1s}\n  - {name: offered, offered: 99%}\n";

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
                    <system-out>how late journeys began, p99: n/a</system-out>
                </testcase>
            </testsuite>
        "#);
    }
}
