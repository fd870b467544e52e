//! Each part away and back: the failure shows, and afterwards nothing is missing.

use std::time::Instant;

use super::world::{PATIENCE, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_delays_events_and_loses_none() {
    let world = World::new("fault_broker").await;
    let instance = world.start(&[]).await;
    let mut events = world.pay_many(&instance, 20, 4).await;
    world.until_drained(20).await;

    world.broker_down();
    events.extend(world.pay_many(&instance, 60, 4).await);
    until("the backlog shows", async || {
        instance.metrics.outbox_pending.get() == 60 && instance.metrics.outbox_oldest_age.get() > 0.0
    })
    .await;
    assert_eq!(world.n_tickets().await, 20);

    world.cluster.broker_up(-1).unwrap();
    world.until_drained(80).await;
    world.assert_exactly_once(&events).await;
    world.assert_order_within_keys(&events).await;
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_starts_while_the_broker_is_away() {
    let world = World::new("fault_broker_start").await;
    world.broker_down();
    let instance = world.start(&[]).await;
    let events = world.pay_many(&instance, 5, 2).await;
    assert_eq!(world.n_unpublished().await, 5);
    world.cluster.broker_up(-1).unwrap();
    world.until_drained(5).await;
    world.assert_exactly_once(&events).await;
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_produce_and_mark_is_absorbed() {
    let world = World::new("fault_crash").await;
    fail::cfg("fault_crash/relay-after-produce", "1*return->off").unwrap();
    let crashing = world.start(&[]).await;
    let mut events = vec![world.pay(&crashing, 1).await];
    until("the event is applied", async || world.n_tickets().await == 1).await;
    assert_eq!(world.n_unpublished().await, 1, "it is published but not marked");

    // The relay of the first instance is dead with its leases; another one takes over when they have lapsed.
    let other = world.start(&[]).await;
    events.extend(world.pay_many(&other, 10, 3).await);
    world.until_drained(11).await;
    until("the repeat is absorbed", async || {
        crashing.handled("duplicate") + other.handled("duplicate") >= 1
    })
    .await;
    world.assert_exactly_once(&events).await;
    assert_eq!(world.assert_order_within_keys(&events).await, 1);
    crashing.stop().await;
    other.stop().await;
}

/// A single record that its handler does not let go of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_stuck_shows_as_lag() {
    let world = World::new("fault_stuck").await;
    let instance = world.start(&[]).await;
    let lag = || instance.metrics.consumer_lag_seconds.with_label_values(&["main"]).get();
    fail::cfg("fault_stuck/consumer-handler", "1*sleep(6000)").unwrap();
    let event = world.pay(&instance, 1).await;
    until("its age shows while it is handled", async || lag() >= 1.5).await;
    assert_eq!(world.n_tickets().await, 0, "it is being handled");
    world.until_drained(1).await;
    until("the lag is over", async || lag() == 0.0).await;
    world.assert_exactly_once(&[event]).await;
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_costs_no_attempts() {
    let world = World::new("fault_database").await;
    let short = ["resilience.request_timeout=200ms"];
    // Paid without a broker, so that the events can be brought in while the database is locked.
    let silent = world.start_without_broker().await;
    let events = world.pay_many(&silent, 12, 3).await;
    silent.stop().await;
    let instance = world.start(&short).await;
    world.until_drained(12).await;

    let mut lock = world.sql.acquire().await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut *lock).await.unwrap();
    for event in &events {
        world.plant(&event.schedule.to_string(), &event.to_json()).await;
    }
    let errors = &instance.metrics.consumer_errors;
    until("the consumer meets the lock again and again", async || {
        errors.with_label_values(&["database"]).get() >= 20
    })
    .await;
    assert_eq!(instance.handled("duplicate"), 0);
    sqlx::query("COMMIT").execute(&mut *lock).await.unwrap();

    until("the repeats are absorbed", async || instance.handled("duplicate") == 12).await;
    world.assert_exactly_once(&events).await;
    assert_eq!(instance.handled("retried"), 0);
    assert_eq!(instance.handled("dead_lettered"), 0);
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_the_broker_is_away_ends_in_time_and_loses_nothing() {
    let world = World::new("fault_stop").await;
    let instance = world.start(&[]).await;
    let mut events = world.pay_many(&instance, 10, 3).await;
    world.until_drained(10).await;
    world.broker_down();
    events.extend(world.pay_many(&instance, 10, 3).await);
    let began = Instant::now();
    instance.stop().await;
    assert!(began.elapsed() < PATIENCE * 5, "it took {:?}", began.elapsed());
    assert_eq!(world.n_unpublished().await, 10);

    world.cluster.broker_up(-1).unwrap();
    let instance = world.start(&[]).await;
    world.until_drained(20).await;
    world.assert_exactly_once(&events).await;
    world.assert_order_within_keys(&events).await;
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_events_are_kept_and_the_backlog_shows() {
    let world = World::new("fault_kept").await;
    let kept = world.start_without_broker().await;
    let events = world.pay_many(&kept, 4, 2).await;
    until("the backlog shows", async || {
        kept.metrics.outbox_pending.get() == 4 && kept.metrics.outbox_oldest_age.get() > 0.0
    })
    .await;
    kept.stop().await;
    let instance = world.start(&[]).await;
    world.until_drained(4).await;
    world.assert_exactly_once(&events).await;
    instance.stop().await;
}
