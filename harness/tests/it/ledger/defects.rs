//! The defects that break the books, each switched on alone in the service under test, and the invariant that notices,
//! on either stack. Those that break no book show in what was read or counted: see `it_counters`.

use std::time::Duration;

use serde_json::{Value, json};
use soundcheck::config::JourneyKind::{Abandon, Book, Browse, HoldCycle, Position};
use soundcheck::config::{JourneyKind, ScenarioConfig};
use soundcheck::load::LoadHandle;
use soundcheck::recording::Operation;
use soundcheck::recording::history::{Code, OpKind, Settled, State, Uid};
use soundcheck::stack::StackChoice;
use soundcheck::verdict::ledger::Invariant;

use crate::support::rehearsal::{House, Rehearsal, broken};

fn load(kinds: &[JourneyKind], rate: f64, think_ms: u64) -> ScenarioConfig {
    let mut scenario = Rehearsal::scenario(kinds, rate, Duration::from_millis(1_500));
    scenario.admitted = if scenario.needs_admitted() { 8 } else { 0 };
    scenario.think.to = Duration::from_millis(think_ms);
    scenario
}

/// A house with one defect.
fn house(mutants: &'static [(&'static str, &'static str)]) -> House<'static> {
    House {
        settings: mutants,
        ..House::default()
    }
}

/// Judges, and expects that this invariant, at least, is found broken.
async fn is_caught(rehearsal: Rehearsal, expected: Invariant) {
    let report = rehearsal.judge().await;
    let found = broken(&report);
    assert!(
        found.iter().any(|(which, _)| *which == expected),
        "{found:#?}\n{report:#?}"
    );
}

/// This house under this load breaks this invariant.
async fn is_caught_under(stack: StackChoice, house: House<'static>, load: ScenarioConfig, expected: Invariant) {
    if let Some(rehearsal) = Rehearsal::start(stack, house).await {
        rehearsal.load(load, 1, LoadHandle::new()).await;
        is_caught(rehearsal, expected).await;
    }
}

/// Each defect on each stack.
macro_rules! on_each_stack {
    ($($defect:ident),+ $(,)?) => {
        mod embedded {
            use soundcheck::stack::StackChoice::Embedded;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $defect() {
                super::$defect(Embedded).await;
            })+
        }

        mod on_containers {
            use soundcheck::stack::StackChoice::Containers;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $defect() {
                super::$defect(Containers).await;
            })+
        }
    };
}

on_each_stack!(
    d1_a_queue_that_admits_everybody,
    d2_a_token_that_never_expires,
    d3_a_seat_that_is_never_released,
    d4_a_cancellation_that_completes_the_payment,
    d5_payments_at_once_that_all_debit,
    d6_a_payment_that_races_the_expiry,
    d11_a_queue_that_loses_people,
    d14_contention_that_becomes_a_server_error,
    d15_a_restart_that_wipes_the_queue,
    d16_a_consumer_that_swallows_errors,
);

async fn d1_a_queue_that_admits_everybody(stack: StackChoice) {
    let crowded = House {
        capacity: 3,
        ..house(&[("mutants", "D1")])
    };
    is_caught_under(stack, crowded, load(&[Browse], 60.0, 200), Invariant::Queue).await;
}

async fn d2_a_token_that_never_expires(stack: StackChoice) {
    let brief = House {
        active_ttl: Duration::from_secs(1),
        ..house(&[("mutants", "D2")])
    };
    let patient = ScenarioConfig {
        poll: Duration::from_secs(3),
        ..load(&[Position], 5.0, 0)
    };
    is_caught_under(stack, brief, patient, Invariant::Queue).await;
}

async fn d3_a_seat_that_is_never_released(stack: StackChoice) {
    let load = load(&[Abandon, HoldCycle], 30.0, 0);
    is_caught_under(stack, house(&[("mutants", "D3")]), load, Invariant::NoOrphans).await;
}

async fn d4_a_cancellation_that_completes_the_payment(stack: StackChoice) {
    let load = load(&[HoldCycle], 30.0, 0);
    is_caught_under(stack, house(&[("mutants", "D4")]), load, Invariant::Money).await;
}

/// Eight payments that wait for each other take their time on a busy machine.
const PATIENT: (&str, &str) = ("resilience.request_timeout", "20s");

/// One user who pays eight times at once, each time under a key of its own.
async fn pay_at_once(rehearsal: &Rehearsal) {
    let base = rehearsal.base_url();
    let client = reqwest::Client::new();
    let answer = async |request: reqwest::RequestBuilder| -> Value {
        let response = request.send().await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    };
    let part = rehearsal.catalogue.whole();
    let user = part.users[0];
    let charge = client.post(format!("{base}/v1/users/{user}/balance/charges"));
    answer(
        charge
            .header("Idempotency-Key", "charge")
            .json(&json!({ "amount": 10_000_000 })),
    )
    .await;
    let entered = answer(
        client
            .post(format!("{base}/v1/queue/tokens"))
            .json(&json!({ "user_id": user })),
    )
    .await;
    let token = entered["token"].as_str().unwrap().to_owned();
    let schedule = part.concerts[0].schedules[0].schedule_id;
    let seats = client
        .get(format!("{base}/v1/schedules/{schedule}/seats"))
        .header("Queue-Token", &token);
    let seat = answer(seats).await["seats"][0]["seat_id"].clone();
    let hold = client
        .post(format!("{base}/v1/reservations"))
        .header("Queue-Token", &token);
    let held = answer(hold.header("Idempotency-Key", "hold").json(&json!({ "seat_id": seat }))).await;
    let pays = (0..8).map(|number| {
        let pay = client.post(format!("{base}/v1/payments")).header("Queue-Token", &token);
        let pay = pay.header("Idempotency-Key", format!("pay-{number}"));
        answer(pay.json(&json!({ "reservation_id": held["reservation_id"] })))
    });
    let answers = futures::future::join_all(pays).await;
    assert!(
        answers.iter().any(|answer| answer["paid_at"].is_string()),
        "{answers:#?}"
    );
}

async fn d5_payments_at_once_that_all_debit(stack: StackChoice) {
    let Some(rehearsal) = Rehearsal::start(stack, house(&[("mutants", "D5"), PATIENT])).await else {
        return;
    };
    pay_at_once(&rehearsal).await;
    is_caught(rehearsal, Invariant::Money).await;

    let sound = Rehearsal::start(stack, house(&[PATIENT])).await.unwrap();
    pay_at_once(&sound).await;
    assert_eq!(broken(&sound.judge().await), [], "eight payments at once are no defect");
}

async fn d6_a_payment_that_races_the_expiry(stack: StackChoice) {
    let roomy = House {
        capacity: 200,
        ..house(&[("mutants", "D6")])
    };
    is_caught_under(stack, roomy, load(&[Book], 40.0, 1_400), Invariant::Expiry).await;
}

async fn d11_a_queue_that_loses_people(stack: StackChoice) {
    let crowded = House {
        capacity: 4,
        ..house(&[("mutants", "D11")])
    };
    // Four who think for a tenth of a second each let at most 40 a second in: there is a line on any machine.
    is_caught_under(stack, crowded, load(&[Browse], 60.0, 200), Invariant::Queue).await;
}

async fn d14_contention_that_becomes_a_server_error(stack: StackChoice) {
    let contended = House {
        n_schedules: 1,
        seats_per_schedule: 1,
        capacity: 100,
        ..house(&[("mutants", "D14"), ("locking", "optimistic")])
    };
    // Caught only where two look at the seat before the first of them has it: the quicker the machine, the rarer.
    let mut crowd = load(&[HoldCycle], 150.0, 0);
    crowd.stages[0].length = Duration::from_secs(3);
    is_caught_under(stack, contended, crowd, Invariant::Contention).await;
}

/// Five people, of whom one is let in, look at their places before and after a rolling restart.
async fn restarted(stack: StackChoice, settings: &'static [(&'static str, &'static str)]) -> Option<Rehearsal> {
    let narrow = House {
        capacity: 1,
        ..house(settings)
    };
    let mut rehearsal = Rehearsal::start(stack, narrow).await?;
    let client = reqwest::Client::new();
    let mut tokens = Vec::new();
    for &user in &rehearsal.catalogue.whole().users[..5] {
        let url = format!("{}/v1/queue/tokens", rehearsal.base_url());
        let request = client.post(url).json(&json!({ "user_id": user }));
        let entered = ask(&rehearsal, OpKind::QueueEnter, &user.to_string(), None, request).await;
        tokens.push((user.to_string(), entered["token"].as_str().unwrap().to_owned()));
    }
    rehearsal.roll().await;
    for (user, token) in tokens {
        let url = format!("{}/v1/queue/token", rehearsal.base_url());
        let request = client.get(url).header("Queue-Token", &token);
        ask(&rehearsal, OpKind::QueuePosition, &user, Some(&token), request).await;
    }
    Some(rehearsal)
}

/// Sends one request about the queue and writes it into the history, as the load engine does.
async fn ask(
    rehearsal: &Rehearsal,
    kind: OpKind,
    user: &str,
    token: Option<&str>,
    request: reqwest::RequestBuilder,
) -> Value {
    let invoked = rehearsal.clock.now();
    let response = request.send().await.unwrap();
    let status = response.status();
    let answer: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    let settled = if status.is_success() {
        Settled::Ok
    } else {
        Settled::Fail
    };
    let history = rehearsal.recording.history();
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    let expires: Option<jiff::Timestamp> = text("expires_at").parse().ok();
    history.record(&Operation {
        user: history.name(user),
        status: status.as_u16(),
        object: Uid::of(token.unwrap_or(text("token"))),
        state: State::of(text("state")),
        code: if status.is_success() {
            Code::None
        } else {
            Code::of(text("code"))
        },
        extra: expires.map(jiff::Timestamp::as_millisecond),
        ..Operation::new(kind, 1, invoked, rehearsal.clock.now(), settled)
    });
    answer
}

async fn d15_a_restart_that_wipes_the_queue(stack: StackChoice) {
    let Some(rehearsal) = restarted(stack, &[("mutants", "D15")]).await else {
        return;
    };
    is_caught(rehearsal, Invariant::Queue).await;

    let report = restarted(stack, &[]).await.unwrap().judge().await;
    assert_eq!(broken(&report), [], "a rolling restart is no defect: {report:#?}");
}

/// A message that no consumer can read, among real ones.
async fn poisoned(stack: StackChoice, house: House<'static>) -> Option<Rehearsal> {
    let rehearsal = Rehearsal::start(stack, house).await?;
    rehearsal.plant("no event at all").await;
    rehearsal.load(load(&[Book], 30.0, 0), 1, LoadHandle::new()).await;
    Some(rehearsal)
}

async fn d16_a_consumer_that_swallows_errors(stack: StackChoice) {
    let swallowing = House {
        // What was swallowed never comes.
        drain_within: Duration::from_secs(15),
        ..house(&[("mutants", "D16")])
    };
    let Some(rehearsal) = poisoned(stack, swallowing).await else {
        return;
    };
    is_caught(rehearsal, Invariant::Outbox).await;

    let report = poisoned(stack, house(&[])).await.unwrap().judge().await;
    assert_eq!(
        broken(&report),
        [],
        "poison in the dead letters is no defect: {report:#?}"
    );
}
