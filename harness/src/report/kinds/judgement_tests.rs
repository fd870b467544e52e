//! The verdicts over runs that were made up: whose a miss is, and what a doubt takes away.

use std::time::Duration;

use super::judgement::Judgement;
use crate::config::{JourneyKind, ScenarioConfig, Stage};
use crate::objectives::Ruling;
use crate::recording::event::{Accounting, Edge};
use crate::recording::{Clock, Endpoint, Outcome, What};
use crate::report::kinds::fixture::{Fixture, ms, valid_ledger, whole};
use crate::report::{Inline, Verdict};
use crate::units::{Percent, RatePerSec};
use crate::verdict::ledger;

const QUICK: &str = "objectives:\n  - {name: quick, p99: 250ms, over: 2s, abort-after: 2s}\n";

/// A run of six seconds with a hundred journeys in each, which took and were begun late as long as these say, by a service
/// that kept its promises.
fn judged(until_broken: bool, took_ms: [u64; 6], lag_ms: [u64; 6], counts: Accounting) -> Judgement {
    let mix = [(JourneyKind::Book, Percent(100.0))];
    let constant = ScenarioConfig::constant("s", RatePerSec(10.0), Duration::from_secs(6), &mix);
    let rise = Stage {
        to: RatePerSec(70.0),
        ..constant.stages[0].clone()
    };
    let scenario = ScenarioConfig {
        stages: vec![rise],
        until_broken,
        ..constant
    };
    let fixture = Fixture::of(&scenario, Some(QUICK));
    fixture.phase("s", ms(1_000), Edge::Begin);
    for (second, (took, lag)) in (1..).zip(took_ms.into_iter().zip(lag_ms)) {
        let clocks = [(Clock::Response, took), (Clock::Service, took - lag), (Clock::Lag, lag)];
        for (clock, ms_of_it) in clocks {
            fixture.second(
                ms(second * 1_000),
                Endpoint::JourneyBook,
                Outcome::Won,
                clock,
                100,
                ms_of_it,
            );
        }
    }
    if until_broken && took_ms[5] > 250 {
        let reason = "the objective `quick` was missed for 2s without a break".to_owned();
        fixture.writer.event(ms(7_000), What::EndedEarly { reason }).unwrap();
        // Whoever was on the way is served soon, now that nobody comes any more.
        for second in 7..10 {
            let (at, book) = (ms(second * 1_000), Endpoint::JourneyBook);
            fixture.second(at, book, Outcome::Won, Clock::Response, 100, 20);
        }
    }
    fixture.account(ms(10_000), counts);
    let mut judgement = Judgement::of(&fixture.read()).unwrap();
    judgement.ledger = valid_ledger();
    judgement
}

#[track_caller]
fn check(judgement: &Judgement, expected: Verdict, part: &str) {
    let (verdict, sentence) = judgement.verdict();
    let sentence = sentence.to_plain().replace('\u{a0}', " ");
    assert!(
        verdict == expected && sentence.contains(part),
        "{verdict:?}: {sentence}"
    );
}

const GOOD: [u64; 6] = [20; 6];
const IN_TIME: [u64; 6] = [0; 6];
/// Beyond the limit from the fourth second on.
const SLOW: [u64; 6] = [20, 20, 20, 300, 300, 300];

#[test]
fn a_miss_is_the_services_unless_the_generator_may_have_made_it() {
    check(
        &judged(false, GOOD, IN_TIME, whole()),
        Verdict::Pass,
        "its objective is met",
    );
    check(
        &judged(false, SLOW, IN_TIME, whole()),
        Verdict::Fail,
        "“quick” was missed: journeys p99 ≤ 250ms, and 300 ms",
    );
    // Of the 300 ms the generator overslept 280.
    let late = [0, 0, 0, 280, 280, 280];
    let generators = judged(false, SLOW, late, whole());
    check(&generators, Verdict::Unknown, "the generator's own fault");
    let (objective, ruling) = &generators.judged[0];
    assert!(matches!(ruling, Ruling::Missed(_)) && !generators.is_the_services(objective, ruling));
    // It overslept 5 ms of them, which is no excuse.
    let hardly = [0, 0, 0, 16, 16, 16];
    let services = judged(false, SLOW, hardly, whole());
    assert!(services.validity.is_generators_fault, "{:?}", services.validity);
    check(&services, Verdict::Fail, "“quick” was missed");
}

#[test]
fn a_doubt_takes_away_a_pass_and_no_miss() {
    let dropped = Accounting {
        scheduled: 200,
        dropped: 40,
        ..whole()
    };
    let doubt = "40 of 200 arrivals were dropped, since every user was busy";
    check(&judged(false, GOOD, IN_TIME, dropped), Verdict::Unknown, doubt);
    check(&judged(false, SLOW, IN_TIME, dropped), Verdict::Fail, "missed");
}

#[test]
fn what_broke_is_found_and_passes_only_where_nothing_but_the_load_can_have_broken_it() {
    // Of 160 arrivals a fifth came to no free user, which is how a service gives way.
    let overload = Accounting {
        scheduled: 200,
        dropped: 40,
        ..whole()
    };
    for counts in [whole(), overload] {
        // The first window beyond the limit is that of the third and the fourth second.
        check(
            &judged(true, SLOW, IN_TIME, counts),
            Verdict::Pass,
            "Up to 30.0/s planned, no objective was missed for good",
        );
    }
    let overslept = Accounting {
        late: 40,
        late_by_generator: 40,
        ..whole()
    };
    check(
        &judged(true, SLOW, IN_TIME, overslept),
        Verdict::Unknown,
        "started late, through the generator's own fault",
    );
    let unbalanced = Accounting { ok: 150, ..whole() };
    check(
        &judged(true, SLOW, IN_TIME, unbalanced),
        Verdict::Unknown,
        "160 arrivals started, but 150 ended well",
    );
    check(
        &judged(true, GOOD, IN_TIME, whole()),
        Verdict::Unknown,
        "No objective was broken for good up to 70.0/s",
    );
    let mut unknown = judged(true, SLOW, IN_TIME, whole());
    unknown.ledger.variants[0]
        .doubts
        .push("a reader was refused".to_owned());
    check(&unknown, Verdict::Unknown, "is unknown; see the badge");
}

#[test]
fn what_a_doubt_says_is_to_be_typed_is_shown_as_such() {
    let mut doubted = judged(false, GOOD, IN_TIME, whole());
    doubted.validity.doubts = vec!["no socket was left; raise `ulimit -n`".to_owned()];
    let (_, sentence) = doubted.verdict();
    assert!(
        sentence.0.contains(&Inline::Code("ulimit -n".to_owned())),
        "{sentence:?}"
    );
    check(&doubted, Verdict::Unknown, "no socket was left; raise");
}

#[test]
fn a_broken_invariant_comes_before_everything() {
    let mut broken = judged(false, SLOW, IN_TIME, whole());
    broken.ledger.variants[0].findings[0].verdict = ledger::Verdict::Invalid {
        reason: "sold twice".to_owned(),
        witness: Vec::new(),
    };
    check(&broken, Verdict::Broken, "a seat is sold once");
}
