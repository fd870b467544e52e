//! Records that cannot be applied: given up with their cause, while the rest flows on; listed and sent again.

use std::collections::BTreeSet;

use booking_service::domain::{EventId, PaymentCompleted, ReservationId};
use booking_service::messaging::dead_letter;
use rdkafka::Message as _;
use serde_json::Value;

use super::world::{World, until};

/// An event of no payment: well-formed, and refused by the handler.
fn ghost(of: PaymentCompleted, number: i64) -> PaymentCompleted {
    PaymentCompleted {
        event: EventId::from_raw(of.event.raw() + 1_000_000 + number).unwrap(),
        reservation: ReservationId::from_raw(77_000 + number).unwrap(),
        ..of
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_given_up_at_once_and_the_rest_flows() {
    let world = World::new("dead_poison").await;
    let instance = world.start(&[]).await;
    let mut events = world.pay_many(&instance, 10, 2).await;
    let key = events[0].schedule.to_string();
    for poison in [
        "",
        "not json",
        r#"{"version":1}"#,
        &events[0].to_json().replace(r#""version":1"#, r#""version":9"#),
    ] {
        world.plant(&key, poison).await;
        events.extend(world.pay_many(&instance, 5, 2).await);
    }
    world.until_drained(30).await;
    until("the poison is given up", async || {
        instance.handled("dead_lettered") == 4
    })
    .await;
    world.assert_exactly_once(&events).await;
    assert_eq!(instance.handled("retried"), 0);
    assert_eq!(
        instance.metrics.dead_letters.with_label_values(&["unparsable"]).get(),
        4
    );

    let letters = dead_letter::list(&world.cluster.bootstrap_servers(), &world.topics)
        .await
        .unwrap();
    let main = world.records(&world.topics.main).await;
    assert_eq!(letters.len(), 4);
    for letter in &letters {
        assert_eq!(letter.kind.as_deref(), Some("unparsable"));
        assert_eq!(letter.attempts, 0);
        let source = letter.source.as_ref().unwrap();
        assert_eq!(source.topic, world.topics.main);
        let original = main
            .iter()
            .find(|record| (record.partition(), record.offset()) == (source.partition, source.offset));
        let payload = original.unwrap().payload().unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(payload), letter.payload);
    }
    let causes: Vec<&str> = letters.iter().filter_map(|letter| letter.cause.as_deref()).collect();
    assert!(
        causes.contains(&"the payload is not an event: eof error at line 1 column 0"),
        "{causes:?}"
    );
    assert!(
        causes.contains(&"the payload is `payment-completed` version 9, expected `payment-completed` version 1"),
        "{causes:?}"
    );
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_event_is_retried_then_given_up() {
    let world = World::new("dead_refused").await;
    let instance = world.start(&["events.retry_attempts=2"]).await;
    let mut events = world.pay_many(&instance, 5, 1).await;
    world
        .plant(&events[0].schedule.to_string(), &ghost(events[0], 0).to_json())
        .await;
    events.extend(world.pay_many(&instance, 20, 1).await);
    world.until_drained(25).await;
    until("the event is given up", async || instance.handled("dead_lettered") == 1).await;
    world.assert_exactly_once(&events).await;
    assert_eq!(instance.handled("retried"), 2);
    assert_eq!(world.records(&world.topics.retry).await.len(), 2);

    let letters = dead_letter::list(&world.cluster.bootstrap_servers(), &world.topics)
        .await
        .unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].kind.as_deref(), Some("handler"));
    assert_eq!(letters[0].cause.as_deref(), Some("no paid reservation has this id"));
    assert_eq!(letters[0].attempts, 3);
    assert_eq!(letters[0].source.as_ref().unwrap().topic, world.topics.main);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passing_failure_of_the_handler_is_healed_by_a_retry() {
    let world = World::new("dead_passing").await;
    fail::cfg("dead_passing/consumer-handler", "2*return->off").unwrap();
    let instance = world.start(&[]).await;
    let events = world.pay_many(&instance, 10, 2).await;
    world.until_drained(10).await;
    world.assert_exactly_once(&events).await;
    assert_eq!(instance.handled("retried"), 2);
    assert_eq!(instance.handled("dead_lettered"), 0);
    instance.stop().await;
}

/// Through the real executable, as a person at a terminal would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_replayed_once_and_end_in_tickets() {
    let world = World::new("dead_replay").await;
    fail::cfg("dead_replay/consumer-handler", "return").unwrap();
    let instance = world.start(&["events.retry_attempts=1"]).await;
    let events = world.pay_many(&instance, 6, 2).await;
    until("all are given up", async || instance.handled("dead_lettered") == 6).await;
    assert_eq!(world.n_tickets().await, 0);

    fail::cfg("dead_replay/consumer-handler", "off").unwrap();
    let sent = world.dlt("replay").await;
    let told = |letters: &[Value]| -> BTreeSet<String> {
        let ids = letters
            .iter()
            .map(|letter| letter["event_id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    assert_eq!(
        told(&sent),
        events.iter().map(|event| event.event.to_string()).collect()
    );
    world.until_drained(6).await;
    world.assert_exactly_once(&events).await;

    assert_eq!(world.dlt("replay").await, [] as [Value; 0]);
    let letters = world.dlt("list").await;
    assert_eq!(told(&letters), told(&sent));
    assert!(letters.iter().all(|letter| letter["replayed"] == true));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_without_dead_letters_lists_none() {
    let world = World::new("dead_none").await;
    let brokers = world.cluster.bootstrap_servers();
    assert_eq!(dead_letter::list(&brokers, &world.topics).await.unwrap().len(), 0);
    assert_eq!(dead_letter::replay(&brokers, &world.topics).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutant_d16_loses_what_the_handler_could_not_do() {
    let world = World::new("dead_d16").await;
    fail::cfg("dead_d16/consumer-handler", "1*return->off").unwrap();
    let instance = world.start(&["mutants=D16"]).await;
    let events = world.pay_many(&instance, 10, 2).await;
    until("all events were looked at", async || {
        instance.handled("applied") == 9 && instance.handled("swallowed") == 1
    })
    .await;
    // What the ledger sees: a payment without effect and without dead letter, and no lag that would explain it.
    assert_eq!(world.n_tickets().await, i64::try_from(events.len()).unwrap() - 1);
    assert_eq!(instance.handled("retried") + instance.handled("dead_lettered"), 0);
    instance.stop().await;
}
