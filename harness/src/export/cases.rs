//! The test cases of a JUnit report: what could have been broken, and what came of it.

use quick_junit::{NonSuccessKind, TestCaseStatus};

use crate::format::{self, Unit};
use crate::objectives::{Limit, Objective, Ruling};
use crate::recording::event::{Accounting, What};
use crate::recording::{Event, Manifest};
use crate::report::Verdict;
use crate::report::kinds::judgement::{Judgement, value_of, window_of};
use crate::units::Nanos;
use crate::verdict::ledger::{LedgerReport, Step, VariantLedger, Verdict as Invariant};
use crate::verdict::validity::Validity;

/// One thing that could have been broken.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) variant: Option<String>,
    pub(super) outcome: Outcome,
}

/// What came of it, and the words for it.
#[derive(PartialEq, Debug)]
pub(super) enum Outcome {
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
    pub(super) fn status(&self) -> TestCaseStatus {
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

impl Case {
    /// In a run that passed, what is unknown was not needed: a scenario that goes on until an objective is broken ends with
    /// every user busy.
    pub(super) fn in_a_run_that_passed(mut self) -> Self {
        if let Outcome::Unknown(why) = self.outcome {
            self.outcome = Outcome::Success(format!("not known, and not needed: {why}"));
        }
        self
    }
}

pub(super) fn verdict_case(verdict: Verdict, sentence: &str) -> Case {
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

pub(super) fn objective_case(judgement: &Judgement, objective: &Objective, ruling: &Ruling) -> Case {
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
pub(super) fn books(manifest: &Manifest, events: &[Event], validity: &Validity) -> Vec<Case> {
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
                "how late journeys began, p99: {}",
                format::quantity(Unit::Seconds, validity.late_p99.map(Nanos::as_secs_f64))
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

pub(super) fn invariants(ledger: &LedgerReport) -> Vec<Case> {
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
    use crate::report::kinds::fixture::{judged, ms, whole};
    use crate::verdict::ledger::{Finding, Invariant as Promise};

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
