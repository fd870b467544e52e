//! The broker stopped under load, and started again.

use std::time::{Duration, Instant};

use crate::world::World;

const OUTAGE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_payment_has_its_ticket_after_ten_seconds_without_kafka() {
    let Some(world) = World::new(&[]).await else { return };
    let instance = world.start().await;
    let clients = [instance.client.clone()];
    let metric = async |name| instance.client.metric(name, "").await.unwrap_or_default();

    let n_before = world
        .book_while(&clients, async || metric("booking_outbox_published_total").await < 50.0)
        .await;
    world.stop_kafka().await;
    let stopped = Instant::now();
    let n_during = world.book_while(&clients, async || stopped.elapsed() < OUTAGE).await;
    assert!(n_during > 50, "bookings go on without Kafka: {n_during}");
    world
        .until("the backlog shows", async || {
            metric("booking_outbox_pending").await > 0.0 && metric("booking_outbox_oldest_age_seconds").await > 5.0
        })
        .await;

    world.start_kafka().await;
    let started = Instant::now();
    let n_after = world
        .book_while(&clients, async || {
            metric("booking_outbox_oldest_age_seconds").await > 1.0
        })
        .await;
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "the backlog drained late: {:?}",
        started.elapsed()
    );
    world.until_drained().await;
    assert_eq!(world.assert_nothing_lost().await, n_before + n_during + n_after);
    assert_eq!(world.records(&world.topics.dead).await.len(), 0);
    instance.app.stop().await;
}
