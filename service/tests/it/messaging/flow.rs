//! Events that arrive: once, in order, whoever publishes and consumes them.

use booking_service::adapters::clock::SystemClock;
use booking_service::ports::Clock as _;

use super::world::{Instance, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_committed_payment_is_applied_exactly_once_and_in_order() {
    let world = World::new("flow_once").await;
    let began = SystemClock.now().unix_seconds();
    let instance = world.start(&[]).await;
    let last = |instance: &Instance| {
        let metrics = &instance.metrics;
        [&metrics.outbox_published_timestamp, &metrics.consumer_settled_timestamp].map(|gauge| gauge.get())
    };
    assert_eq!(last(&instance), [0.0, 0.0]);
    let events = world.pay_many(&instance, 120, 7).await;
    world.until_drained(120).await;
    world.assert_exactly_once(&events).await;
    assert_eq!(world.assert_order_within_keys(&events).await, 0);
    until("the gauges say that nothing is left", async || {
        instance.metrics.outbox_pending.get() == 0
            && instance.metrics.outbox_oldest_age.get() == 0.0
            && instance
                .metrics
                .consumer_lag_messages
                .with_label_values(&["main"])
                .get()
                == 0
    })
    .await;
    assert_eq!(instance.handled("applied"), 120);
    assert_eq!(instance.metrics.outbox_published.get(), 120);
    assert_eq!(instance.metrics.publish_lag.get_sample_count(), 120);
    assert_eq!(instance.metrics.effect_lag.get_sample_count(), 120);
    let now = SystemClock.now().unix_seconds();
    let [published, settled] = last(&instance);
    assert!(began <= published && published <= now, "{began} {published} {now}");
    assert!(began <= settled && settled <= now, "{began} {settled} {now}");
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trace_of_the_request_travels_with_its_event() {
    let world = World::new("flow_trace").await;
    let instance = world.start(&[]).await;
    let event = world.pay(&instance, 1).await;
    world.until_drained(1).await;
    let records = world.records(&world.topics.main).await;
    let header = |name| booking_service::messaging::record::header(&records[0], name);
    assert_eq!(
        header("traceparent"),
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    );
    assert_eq!(header("event-id"), Some(event.event.to_string().as_str()));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_published_twice_are_applied_once() {
    let world = World::new("flow_twice").await;
    let instance = world.start(&[]).await;
    let events = world.pay_many(&instance, 30, 3).await;
    world.until_drained(30).await;
    instance.stop().await;

    // A mark that was lost with a crash, as far back as it can be.
    sqlx::query("UPDATE outbox_lease SET published_seq = 0")
        .execute(&world.sql)
        .await
        .unwrap();
    let again = SystemClock.now().unix_seconds();
    let instance = world.start(&[]).await;
    until("all repeats are absorbed", async || instance.handled("duplicate") == 30).await;
    let seen = instance.metrics.consumer_settled_timestamp.get();
    assert!(seen >= again, "the consumer works: {seen}, {again}");
    world.assert_exactly_once(&events).await;
    assert_eq!(world.assert_order_within_keys(&events).await, 30);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_publishes_what_is_committed_and_gives_the_shards_back() {
    let world = World::new("flow_stop").await;
    let instance = world.start(&[]).await;
    let mut events = world.pay_many(&instance, 5, 2).await;
    world.until_drained(5).await;
    events.extend(world.pay_many(&instance, 40, 5).await);
    instance.stop().await;
    assert_eq!(world.n_unpublished().await, 0);
    assert_eq!(
        world
            .count("SELECT COUNT(*) FROM outbox_lease WHERE owner IS NOT NULL")
            .await,
        0
    );
    assert_eq!(world.count("SELECT COUNT(*) FROM outbox_member").await, 0);

    let other = world.start(&[]).await;
    world.until_drained(45).await;
    world.assert_exactly_once(&events).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_change_hands_and_nothing_is_lost() {
    let world = World::new("flow_rebalance").await;
    let first = world.start(&[]).await;
    let mut events = world.pay_many(&first, 40, 8).await;
    let second = world.start(&[]).await;
    events.extend(world.pay_many(&second, 40, 8).await);
    until("both consume", async || {
        events.extend(world.pay_many(&first, 8, 8).await);
        first.handled("applied") > 0 && second.handled("applied") > 0
    })
    .await;
    first.stop().await;
    events.extend(world.pay_many(&second, 40, 8).await);
    world.until_drained(i64::try_from(events.len()).unwrap()).await;
    world.assert_exactly_once(&events).await;
    world.assert_order_within_keys(&events).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_mode_delivers_and_loses_what_a_crash_cuts_off() {
    let world = World::new("flow_direct").await;
    let instance = world.start(&["events.mode=direct"]).await;
    let began = SystemClock.now().unix_seconds();
    let mut events = world.pay_many(&instance, 10, 3).await;
    until("the events are applied", async || instance.handled("applied") == 10).await;
    until("its last publishing is told", async || {
        instance.metrics.outbox_published_timestamp.get() >= began
    })
    .await;

    fail::cfg("flow_direct/direct-before-produce", "1*return->off").unwrap();
    world.pay(&instance, 1).await;
    events.push(world.pay(&instance, 1).await);
    until("the next event is applied", async || instance.handled("applied") == 11).await;
    instance.stop().await;
    world.assert_exactly_once(&events).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM payments WHERE status = 1").await, 12);
    assert_eq!(world.count("SELECT COUNT(*) FROM outbox").await, 0);
}
