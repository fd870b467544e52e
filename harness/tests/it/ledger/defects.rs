//! The defects that break the books, each switched on alone in the service under test, and the invariant that notices.
//! Those that break no book show in what was read or counted: see `it_counters`.

use std::time::Duration;

use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use soundcheck::config::JourneyKind::{Abandon, Book, Browse, HoldCycle, Position};
use soundcheck::config::{JourneyKind, ScenarioConfig};
use soundcheck::recording::Operation;
use soundcheck::recording::event::What;
use soundcheck::recording::history::{Code, OpKind, Settled, State, Uid};
use soundcheck::verdict::ledger::Invariant;

use crate::rehearsal::{House, Rehearsal, broken};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_a_queue_that_admits_everybody() {
    let crowded = House {
        capacity: 3,
        ..house(&[("mutants", "D1")])
    };
    let rehearsal = Rehearsal::start(crowded).await;
    rehearsal.load(load(&[Browse], 60.0, 200), 1).await;
    is_caught(rehearsal, Invariant::Queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_a_token_that_never_expires() {
    let brief = House {
        active_ttl: Duration::from_secs(1),
        ..house(&[("mutants", "D2")])
    };
    let rehearsal = Rehearsal::start(brief).await;
    let mut scenario = load(&[Position], 5.0, 0);
    scenario.poll = Duration::from_secs(3);
    rehearsal.load(scenario, 1).await;
    is_caught(rehearsal, Invariant::Queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_a_seat_that_is_never_released() {
    let rehearsal = Rehearsal::start(house(&[("mutants", "D3")])).await;
    rehearsal.load(load(&[Abandon, HoldCycle], 30.0, 0), 1).await;
    is_caught(rehearsal, Invariant::NoOrphans).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_a_cancellation_that_completes_the_payment() {
    let rehearsal = Rehearsal::start(house(&[("mutants", "D4")])).await;
    rehearsal.load(load(&[HoldCycle], 30.0, 0), 1).await;
    is_caught(rehearsal, Invariant::Money).await;
}

/// One user who pays eight times at once, each time under a key of its own.
async fn pay_at_once(rehearsal: &Rehearsal) {
    let base = rehearsal.service.base_url();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d5_payments_at_once_that_all_debit() {
    let rehearsal = Rehearsal::start(house(&[("mutants", "D5")])).await;
    pay_at_once(&rehearsal).await;
    is_caught(rehearsal, Invariant::Money).await;

    let sound = Rehearsal::start(House::default()).await;
    pay_at_once(&sound).await;
    assert_eq!(broken(&sound.judge().await), [], "eight payments at once are no defect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d6_a_payment_that_races_the_expiry() {
    let roomy = House {
        capacity: 200,
        ..house(&[("mutants", "D6")])
    };
    let rehearsal = Rehearsal::start(roomy).await;
    rehearsal.load(load(&[Book], 40.0, 1_400), 1).await;
    is_caught(rehearsal, Invariant::Expiry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d11_a_queue_that_loses_people() {
    let crowded = House {
        capacity: 4,
        ..house(&[("mutants", "D11")])
    };
    let rehearsal = Rehearsal::start(crowded).await;
    rehearsal.load(load(&[Browse], 60.0, 50), 1).await;
    is_caught(rehearsal, Invariant::Queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d14_contention_that_becomes_a_server_error() {
    let contended = House {
        seats_per_schedule: 2,
        capacity: 100,
        ..house(&[("mutants", "D14"), ("locking", "optimistic")])
    };
    let rehearsal = Rehearsal::start(contended).await;
    rehearsal.load(load(&[HoldCycle], 150.0, 0), 1).await;
    is_caught(rehearsal, Invariant::Contention).await;
}

/// Five people, of whom one is let in, look at their places before and after a rolling restart.
async fn restarted(settings: &'static [(&'static str, &'static str)]) -> Rehearsal {
    let narrow = House {
        capacity: 1,
        ..house(settings)
    };
    let mut rehearsal = Rehearsal::start(narrow).await;
    let client = reqwest::Client::new();
    let mut tokens = Vec::new();
    for &user in &rehearsal.catalogue.whole().users[..5] {
        let url = format!("{}/v1/queue/tokens", rehearsal.service.base_url());
        let request = client.post(url).json(&json!({ "user_id": user }));
        let entered = ask(&rehearsal, OpKind::QueueEnter, &user.to_string(), None, request).await;
        tokens.push((user.to_string(), entered["token"].as_str().unwrap().to_owned()));
    }
    rehearsal.roll().await;
    for (user, token) in tokens {
        let url = format!("{}/v1/queue/token", rehearsal.service.base_url());
        let request = client.get(url).header("Queue-Token", &token);
        ask(&rehearsal, OpKind::QueuePosition, &user, Some(&token), request).await;
    }
    rehearsal
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d15_a_restart_that_wipes_the_queue() {
    let rehearsal = restarted(&[("mutants", "D15")]).await;
    is_caught(rehearsal, Invariant::Queue).await;

    let report = restarted(&[]).await.judge().await;
    assert_eq!(broken(&report), [], "a rolling restart is no defect: {report:#?}");
}

const POISON: &str = "no event at all";

/// A message that no consumer can read, among real ones.
async fn poisoned(settings: &'static [(&'static str, &'static str)]) -> Rehearsal {
    let rehearsal = Rehearsal::start(house(settings)).await;
    let broker = rehearsal.stack.mock_broker().unwrap();
    let mut config = rdkafka::ClientConfig::new();
    let producer: FutureProducer = config.set("bootstrap.servers", broker.brokers()).create().unwrap();
    let record = FutureRecord::to("rehearsal.payments").key("anything").payload(POISON);
    producer.send(record, Duration::from_secs(10)).await.unwrap();
    rehearsal.event(What::Planted {
        variant: 0,
        key: POISON.to_owned(),
    });
    rehearsal.load(load(&[Book], 30.0, 0), 1).await;
    rehearsal
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d16_a_consumer_that_swallows_errors() {
    let rehearsal = poisoned(&[("mutants", "D16")]).await;
    is_caught(rehearsal, Invariant::Outbox).await;

    let report = poisoned(&[]).await.judge().await;
    assert_eq!(
        broken(&report),
        [],
        "poison in the dead letters is no defect: {report:#?}"
    );
}
