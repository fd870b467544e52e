//! What the judge says of seconds that were made up.

use std::time::Duration;

use super::judge::{Judge, Second};
use super::ruling::Ruling;
use super::{Limit, Objective, Subject};
use crate::config::{JourneyKind, ScenarioConfig, Stage};
use crate::recording::event::Accounting;
use crate::recording::{Clock, Endpoint, Outcome, Tag, empty_histogram};
use crate::units::{Nanos, Percent, RatePerSec, Ratio};

const SECOND: u64 = 1_000_000_000;
const ZERO: Nanos = Nanos(5 * SECOND);

/// Three seconds of warm-up and ten that count.
fn scenario() -> ScenarioConfig {
    let mut scenario = ScenarioConfig::constant(
        "s",
        RatePerSec(100.0),
        Duration::from_secs(10),
        &[(JourneyKind::Browse, Percent(100.0))],
    );
    let warm_up = Stage {
        name: "warm-up".to_owned(),
        length: Duration::from_secs(3),
        is_warm_up: true,
        ..scenario.stages[0].clone()
    };
    let cool_down = Stage {
        name: "cool-down".to_owned(),
        is_warm_up: false,
        is_cool_down: true,
        ..warm_up.clone()
    };
    scenario.stages.insert(0, warm_up);
    scenario.stages.push(cool_down);
    scenario
}

fn objective(limit: Limit, over: Option<u64>) -> Objective {
    Objective {
        name: "o".to_owned(),
        of: Subject::Journeys,
        stage: None,
        over: over.map(Duration::from_secs),
        limit,
        abort_after: None,
    }
}

const P99: Limit = Limit::Quantile {
    quantile: Ratio(0.99),
    most: Duration::from_millis(250),
};
const FAILED: Limit = Limit::Failed { most: Percent(1.0) };

/// Feeds seconds, each with the milliseconds that all of its journeys took, and how many failed in the end.
fn fed(objective: &Objective, seconds: &[(u64, u64, Outcome)]) -> Judge {
    let mut judge = Judge::new(objective, &scenario(), ZERO);
    feed(&mut judge, seconds);
    judge
}

fn feed(judge: &mut Judge, seconds: &[(u64, u64, Outcome)]) {
    feed_from(judge, 0, seconds);
}

fn feed_from(judge: &mut Judge, from: u64, seconds: &[(u64, u64, Outcome)]) {
    for (at, (ms, n_failed, how)) in (from..).zip(seconds) {
        let tag = |outcome| Tag {
            variant: "v".to_owned(),
            endpoint: Endpoint::JourneyBrowse,
            outcome,
            clock: Clock::Response,
        };
        let mut ok = empty_histogram();
        ok.record_n(ms * 1_000_000, 100 - n_failed).unwrap();
        let mut failed = ok.clone();
        failed.reset();
        failed.record_n(ms * 1_000_000, *n_failed).unwrap();
        let (ok_tag, failed_tag) = (tag(Outcome::Ok), tag(*how));
        judge.take(&Second {
            begin: ZERO.plus(Duration::from_secs(at)),
            length: Duration::from_secs(1),
            ended: &[(&ok_tag, &ok), (&failed_tag, &failed)],
        });
    }
}

fn ruling(objective: &Objective, seconds: &[(u64, u64, Outcome)]) -> Ruling {
    fed(objective, seconds).finish(&Accounting::default())
}

const GOOD: (u64, u64, Outcome) = (20, 0, Outcome::Error);
const SLOW: (u64, u64, Outcome) = (300, 0, Outcome::Error);
const FAILING: (u64, u64, Outcome) = (20, 10, Outcome::Error);
const LOST: (u64, u64, Outcome) = (20, 10, Outcome::Lost);
const SILENT: (u64, u64, Outcome) = (20, 10, Outcome::TimeOut);

#[test]
fn one_window_beyond_the_limit_is_a_miss_and_the_warm_up_does_not_count() {
    let p99 = objective(P99, Some(2));
    let met = ruling(&p99, &[SLOW, SLOW, SLOW, GOOD, GOOD, GOOD, GOOD]);
    assert!(
        matches!(met, Ruling::Met(worst) if (worst.value - 0.02).abs() < 0.001),
        "{met:?}"
    );
    let missed = ruling(&p99, &[GOOD, GOOD, GOOD, GOOD, GOOD, SLOW, GOOD, GOOD]);
    let Ruling::Missed(worst) = missed else {
        panic!("{missed:?}")
    };
    assert!((worst.value - 0.3).abs() < 0.001, "{worst:?}");
    assert_eq!((worst.from, worst.until), (Nanos(9 * SECOND), Nanos(11 * SECOND)));
}

#[test]
fn of_the_window_that_decides_it_is_known_how_late_the_generator_was_at_the_same_quantile() {
    let p99 = objective(P99, Some(1));
    let mut judge = Judge::new(&p99, &scenario(), ZERO);
    // Of a hundred journeys two are late in the fourth second, by 280 ms, and one in the fifth.
    for (at, ms, n_late) in [(3, 300, 2), (4, 20, 1)] {
        let tag = |clock| Tag {
            variant: "v".to_owned(),
            endpoint: Endpoint::JourneyBrowse,
            outcome: Outcome::Ok,
            clock,
        };
        let mut response = empty_histogram();
        let mut lag = response.clone();
        response.record_n(ms * 1_000_000, 100).unwrap();
        lag.record_n(50_000, 100 - n_late).unwrap();
        lag.record_n(280_000_000, n_late).unwrap();
        let (response_tag, lag_tag) = (tag(Clock::Response), tag(Clock::Lag));
        judge.take(&Second {
            begin: ZERO.plus(Duration::from_secs(at)),
            length: Duration::from_secs(1),
            ended: &[(&response_tag, &response), (&lag_tag, &lag)],
        });
    }
    let Ruling::Missed(worst) = judge.finish(&Accounting::default()) else {
        panic!("300 ms are beyond 250 ms")
    };
    // Of the 300 ms 280 may be its own; in the other second nobody waited for long.
    assert!((worst.without_own - 0.02).abs() < 0.001, "{worst:?}");
}

#[test]
fn who_gets_no_answer_waits_for_ever_and_who_gets_an_error_does_not() {
    let p99 = objective(P99, Some(1));
    for unanswered in [SILENT, LOST] {
        let seconds = [GOOD, GOOD, GOOD, GOOD, unanswered];
        assert!(matches!(ruling(&p99, &seconds), Ruling::Missed(worst) if worst.value.is_infinite()));
    }
    assert!(matches!(ruling(&p99, &[GOOD, GOOD, GOOD, FAILING]), Ruling::Met(_)));
    let failed = objective(FAILED, Some(1));
    for bad in [SILENT, LOST, FAILING] {
        let ruling = ruling(&failed, &[GOOD, GOOD, GOOD, GOOD, bad]);
        assert!(
            matches!(ruling, Ruling::Missed(worst) if (worst.value - 10.0).abs() < 1e-9),
            "{ruling:?}"
        );
    }
}

#[test]
fn without_a_window_the_whole_run_is_judged_at_once() {
    let failed = objective(FAILED, None);
    // 10 of 1,000: 1 % exactly.
    let mut seconds = vec![FAILING; 3];
    seconds.extend([GOOD; 9]);
    seconds.push(FAILING);
    assert!(matches!(ruling(&failed, &seconds), Ruling::Met(worst) if (worst.value - 1.0).abs() < 1e-9));
    seconds.truncate(12);
    seconds.push((20, 11, Outcome::Error));
    assert!(matches!(ruling(&failed, &seconds), Ruling::Missed(_)));
}

#[test]
fn too_little_is_unknown() {
    let p999 = Limit::Quantile {
        quantile: Ratio(0.999),
        most: Duration::from_secs(1),
    };
    assert_eq!(
        (P99.least_ended(), p999.least_ended(), FAILED.least_ended()),
        (100, 1_000, 100)
    );
    let unknown = ruling(&objective(p999, Some(2)), &[GOOD; 13]);
    assert_eq!(unknown, Ruling::Unknown("no 2s had 1000 journeys".to_owned()));
    let of_seats = Objective {
        of: Subject::Endpoint(Endpoint::Seats),
        ..objective(P99, None)
    };
    let unknown = ruling(&of_seats, &[GOOD; 13]);
    assert_eq!(unknown, Ruling::Unknown("less than 100 of seats ended".to_owned()));
}

#[test]
fn a_miss_that_no_number_of_good_ones_could_mend_waits_for_none() {
    let p999 = Limit::Quantile {
        quantile: Ratio(0.999),
        most: Duration::from_secs(1),
    };
    let never = Limit::Failed { most: Percent(0.0) };
    for (limit, bad) in [(p999, LOST), (p999, SILENT), (never, FAILING), (never, LOST)] {
        let objective = objective(limit, Some(2));
        let unknown = ruling(&objective, &[GOOD; 13]);
        assert!(matches!(unknown, Ruling::Unknown(_)), "200 say nothing: {unknown:?}");
        let mut seconds = vec![GOOD; 5];
        seconds.push(bad);
        let missed = ruling(&objective, &seconds);
        assert!(
            matches!(missed, Ruling::Missed(_)),
            "ten of 1000 are too many: {missed:?}"
        );
    }
    // One among a thousand is what the limit allows.
    let mut seconds = vec![GOOD; 5];
    seconds.push((20, 1, Outcome::Lost));
    let unknown = ruling(&objective(p999, Some(2)), &seconds);
    assert!(matches!(unknown, Ruling::Unknown(_)), "{unknown:?}");
}

#[test]
fn what_ends_after_the_load_was_given_up_mends_nothing() {
    let mut failed = objective(FAILED, Some(2));
    failed.abort_after = Some(Duration::from_secs(3));
    let broken = [vec![GOOD; 5], vec![FAILING; 4]].concat();
    let mut judge = fed(&failed, &broken);
    assert!(judge.is_hopeless());
    judge.give_up();
    feed_from(&mut judge, broken.len() as u64, &[GOOD; 4]);
    let worst = judge.finish(&Accounting::default()).worst().unwrap();
    assert_eq!(worst.broken_for_good, Some(Nanos(9 * SECOND)));
}

#[test]
fn a_second_that_took_three_is_judged_all_the_same() {
    let p99 = objective(P99, Some(1));
    let mut judge = Judge::new(&p99, &scenario(), ZERO);
    let tag = Tag {
        variant: "v".to_owned(),
        endpoint: Endpoint::JourneyBrowse,
        outcome: Outcome::Ok,
        clock: Clock::Response,
    };
    let mut slow = empty_histogram();
    slow.record_n(300_000_000, 100).unwrap();
    judge.take(&Second {
        begin: ZERO.plus(Duration::from_secs(4)),
        length: Duration::from_secs(3),
        ended: &[(&tag, &slow)],
    });
    let ruling = judge.finish(&Accounting::default());
    assert!(matches!(ruling, Ruling::Missed(_)), "{ruling:?}");
}

#[test]
fn a_limit_that_stays_exceeded_ends_the_run() {
    let mut failed = objective(FAILED, Some(2));
    failed.abort_after = Some(Duration::from_secs(3));
    let mut seconds = vec![GOOD; 5];
    seconds.extend([FAILING; 3]);
    assert!(
        !fed(&failed, &seconds).is_hopeless(),
        "the first window beyond it was seen two seconds ago"
    );
    seconds.push(FAILING);
    let hopeless = fed(&failed, &seconds);
    assert!(hopeless.is_hopeless());
    // The window of the fifth and the sixth second is the first with failures.
    let worst = hopeless.finish(&Accounting::default()).worst().unwrap();
    assert_eq!(worst.broken_for_good, Some(Nanos(9 * SECOND)));
    let mut with_a_break = vec![GOOD; 5];
    with_a_break.extend([FAILING, FAILING, GOOD, GOOD, FAILING, FAILING, FAILING]);
    assert!(!fed(&failed, &with_a_break).is_hopeless());
    // Of silence nobody knows whether it was broken meanwhile.
    let mut judge = fed(&failed, &[vec![GOOD; 5], vec![FAILING; 2]].concat());
    for at in 7..11 {
        judge.take(&Second {
            begin: ZERO.plus(Duration::from_secs(at)),
            length: Duration::from_secs(1),
            ended: &[],
        });
    }
    feed_from(&mut judge, 11, &[FAILING]);
    assert!(!judge.is_hopeless());
    let worst = judge.finish(&Accounting::default()).worst().unwrap();
    assert_eq!(
        worst.broken_for_good,
        Some(Nanos(15 * SECOND)),
        "of the window that began in the tenth second"
    );
    let mut mended = vec![GOOD; 5];
    mended.extend([FAILING, FAILING, GOOD, GOOD]);
    let worst = ruling(&failed, &mended).worst().unwrap();
    assert_eq!(worst.broken_for_good, None);
}

#[test]
fn a_stage_alone_can_be_meant() {
    let warm_up = Objective {
        stage: Some("warm-up".to_owned()),
        ..objective(P99, Some(2))
    };
    assert!(matches!(
        ruling(&warm_up, &[SLOW, SLOW, SLOW, GOOD, GOOD]),
        Ruling::Missed(_)
    ));
    assert!(matches!(
        ruling(&warm_up, &[GOOD, GOOD, GOOD, SLOW, SLOW]),
        Ruling::Met(_)
    ));
}

/// Feeds seconds of a scenario whose last stage counts, from the fourth second on.
fn fed_to_the_end(objective: &Objective, seconds: &[(u64, u64, Outcome)]) -> Judge {
    let mut scenario = scenario();
    scenario.stages.pop();
    let mut judge = Judge::new(objective, &scenario, ZERO);
    feed(&mut judge, seconds);
    judge
}

#[test]
fn who_came_in_the_last_stage_and_waited_beyond_it_counts() {
    let failed = objective(FAILED, Some(2));
    let mut seconds = vec![GOOD; 14];
    seconds.push(SILENT);
    let judge = fed_to_the_end(&failed, &seconds);
    assert!(matches!(judge.finish(&Accounting::default()), Ruling::Missed(_)));
    // A cool-down takes it in, and is not judged.
    assert!(matches!(ruling(&failed, &seconds), Ruling::Met(_)));
}

#[test]
fn a_run_without_a_window_is_one_sum_however_long_it_is() {
    for limit in [FAILED, Limit::Offered { least: Percent(99.0) }] {
        let judge = fed_to_the_end(&objective(limit, None), &[GOOD; 500]);
        assert!(
            judge.window.n_seconds() == 0,
            "{} seconds are kept",
            judge.window.n_seconds()
        );
    }
}

#[test]
fn stages_that_do_not_touch_have_no_window_in_common() {
    let mut scenario = scenario();
    let mut again = scenario.stages[1].clone();
    again.name = "again".to_owned();
    scenario.stages.push(again);
    let failed = objective(FAILED, Some(2));
    let mut judge = Judge::new(&failed, &scenario, ZERO);
    // The second before the cool-down and the first one after it: neither stretch has two seconds.
    let mut seconds = vec![GOOD; 12];
    seconds.push(FAILING);
    seconds.extend([GOOD; 3]);
    seconds.push(GOOD);
    feed(&mut judge, &seconds);
    assert_eq!(judge.window.n_seconds(), 1);
    assert_eq!(judge.broken_since, None);
}

#[test]
fn what_the_generator_itself_dropped_is_not_the_services() {
    let mut judge = Judge::new(&objective(FAILED, Some(1)), &scenario(), ZERO);
    let tag = |outcome, clock| Tag {
        variant: "v".to_owned(),
        endpoint: Endpoint::JourneyBrowse,
        outcome,
        clock,
    };
    let of = |n: u64| {
        let mut histogram = empty_histogram();
        histogram.record_n(20_000_000, n).unwrap();
        histogram
    };
    let (ok, failed, dropped) = (of(60), of(10), of(30));
    judge.take(&Second {
        begin: ZERO.plus(Duration::from_secs(4)),
        length: Duration::from_secs(1),
        ended: &[
            (&tag(Outcome::Ok, Clock::Response), &ok),
            (&tag(Outcome::Error, Clock::Response), &failed),
            (&tag(Outcome::Dropped, Clock::Response), &dropped),
            (&tag(Outcome::Dropped, Clock::Lag), &dropped),
        ],
    });
    let worst = judge.finish(&Accounting::default()).worst().unwrap();
    assert!(
        (worst.value - 40.0).abs() < 1e-9 && (worst.without_own - 10.0).abs() < 1e-9,
        "{worst:?}"
    );
}

#[test]
fn of_an_endpoint_the_time_from_the_send_counts() {
    let of_seats = Objective {
        of: Subject::Endpoint(Endpoint::Seats),
        ..objective(P99, Some(1))
    };
    let mut judge = Judge::new(&of_seats, &scenario(), ZERO);
    let tag = |clock| Tag {
        variant: "v".to_owned(),
        endpoint: Endpoint::Seats,
        outcome: Outcome::Ok,
        clock,
    };
    let of = |ms: u64| {
        let mut histogram = empty_histogram();
        histogram.record_n(ms * 1_000_000, 100).unwrap();
        histogram
    };
    // Sent 400 ms late and answered within 100 ms; then answered after 300 ms.
    for (at, lag, service, expected) in [(4, 400, 100, None), (5, 0, 300, Some(0.3))] {
        let (lag, service, response) = (of(lag), of(service), of(lag + service));
        judge.take(&Second {
            begin: ZERO.plus(Duration::from_secs(at)),
            length: Duration::from_secs(1),
            ended: &[
                (&tag(Clock::Response), &response),
                (&tag(Clock::Service), &service),
                (&tag(Clock::Lag), &lag),
            ],
        });
        let ruling = judge.clone().finish(&Accounting::default());
        match expected {
            None => assert!(matches!(ruling, Ruling::Met(_)), "{ruling:?}"),
            Some(value) => {
                let worst = ruling.worst().unwrap();
                assert!(matches!(ruling, Ruling::Missed(_)), "{ruling:?}");
                // Nothing of it is the generator's: it was in no hurry before the send.
                assert!(
                    (worst.value - value).abs() < 0.001 && worst.value == worst.without_own,
                    "{worst:?}"
                );
            }
        }
    }
}

#[test]
fn what_started_late_or_never_was_not_offered() {
    let limit = Limit::Offered { least: Percent(99.0) };
    let books = |dropped: u64, late: u64| Accounting {
        scheduled: 1_000,
        started: 1_000 - dropped,
        dropped,
        late,
        ..Accounting::default()
    };
    let judge = |books: Accounting| fed(&objective(limit, None), &[GOOD; 13]).finish(&books);
    // Beside ten times as many visits of virtual users, late arrivals are as late.
    let among_visits = |late: u64| Accounting {
        scheduled: 11_000,
        started: 11_000,
        visits: 10_000,
        late,
        ..Accounting::default()
    };
    assert!(matches!(judge(among_visits(10)), Ruling::Met(_)));
    assert!(matches!(judge(among_visits(11)), Ruling::Missed(_)));
    let visits_alone = Accounting {
        scheduled: 100,
        started: 100,
        visits: 100,
        ..Accounting::default()
    };
    assert!(matches!(judge(visits_alone), Ruling::Unknown(_)));
    assert!(matches!(judge(books(5, 5)), Ruling::Met(worst) if (worst.value - 99.0).abs() < 1e-9));
    assert!(matches!(judge(books(5, 6)), Ruling::Missed(_)));
    assert!(matches!(judge(Accounting::default()), Ruling::Unknown(_)));
    // What was due until then was offered, and the rest of the plan was not.
    let mut given_up = fed(&objective(limit, None), &[GOOD; 5]);
    given_up.give_up();
    assert!(matches!(given_up.finish(&books(0, 0)), Ruling::Unknown(_)));
}
