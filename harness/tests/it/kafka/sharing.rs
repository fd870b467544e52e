//! Two instances over one outbox and one group: they share the work, and either carries on alone.

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_shards_and_partitions_and_one_carries_on() {
    let Some(world) = World::new(&[]).await else { return };
    let (first, second) = (world.start().await, world.start().await);
    let clients = [first.client.clone(), second.client.clone()];
    let metric = async |client: &crate::scenarios::Client, name: &str, with: &str| {
        client.metric(name, with).await.unwrap_or_default()
    };
    let mut n_paid = world
        .book_while(&clients, async || {
            let mut both_work = true;
            for client in &clients {
                both_work &= metric(client, "booking_outbox_leases", "").await == 4.0
                    && metric(client, "booking_outbox_published_total", "").await > 20.0
                    && metric(client, "booking_consumer_messages_total", "applied").await > 20.0;
            }
            !both_work
        })
        .await;
    first.app.stop().await;
    n_paid += world
        .book_while(&clients[1..], async || {
            metric(&clients[1], "booking_outbox_leases", "").await < 8.0
        })
        .await;
    world.until_drained().await;
    assert_eq!(world.assert_nothing_lost().await, n_paid);
    second.app.stop().await;
}
