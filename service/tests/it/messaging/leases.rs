//! Two relays over one outbox: fair shares, takeover, and a fence against the one that was thought dead.

use std::sync::Arc;
use std::time::Duration;

use booking_service::domain::Timestamp;
use booking_service::metrics::Metrics;
use booking_service::store::Store;

use super::world::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_share_the_shards_and_keep_the_order() {
    let world = World::new("lease_share").await;
    let first = world.start(&[]).await;
    until("the first holds all shards", async || {
        first.metrics.outbox_leases.get() == 8
    })
    .await;
    let second = world.start(&[]).await;
    let mut events = Vec::new();
    until("both hold half, and payments go on meanwhile", async || {
        events.push(world.pay(&first, 1 + i64::try_from(events.len() % 16).unwrap()).await);
        first.metrics.outbox_leases.get() == 4 && second.metrics.outbox_leases.get() == 4
    })
    .await;
    events.extend(world.pay_many(&first, 80, 16).await);
    world.until_drained(i64::try_from(events.len()).unwrap()).await;
    assert!(first.metrics.outbox_published.get() > 0);
    assert!(second.metrics.outbox_published.get() > 0);
    first.stop().await;
    until("the second holds all shards", async || {
        second.metrics.outbox_leases.get() == 8
    })
    .await;
    events.extend(world.pay_many(&second, 32, 16).await);
    world.until_drained(i64::try_from(events.len()).unwrap()).await;
    world.assert_exactly_once(&events).await;
    world.assert_order_within_keys(&events).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lapsed_lease_is_taken_over_and_the_old_owner_s_mark_is_refused() {
    let world = World::new("lease_fence").await;
    let store = Store::connect(&world.config(&[]), Arc::new(Metrics::new().unwrap()))
        .await
        .unwrap();
    let at = |seconds| Timestamp::from_unix_ms(1_800_000_000_000).plus(Duration::from_secs(seconds));
    let (old, published) = store.outbox_take(3, 0, "old", at(0), at(5)).await.unwrap().unwrap();
    assert_eq!((old.fence, published), (1, 0));
    assert!(store.outbox_mark(&old, 10).await.unwrap());

    // Held, then seen under an outdated fence: neither can be taken.
    assert_eq!(store.outbox_take(3, 1, "new", at(4), at(9)).await.unwrap(), None);
    assert_eq!(store.outbox_take(3, 0, "new", at(5), at(9)).await.unwrap(), None);
    let (new, published) = store.outbox_take(3, 1, "new", at(5), at(9)).await.unwrap().unwrap();
    assert_eq!((new.fence, published), (2, 10));

    assert!(!store.outbox_mark(&old, 11).await.unwrap());
    assert!(!store.outbox_release(&old).await.unwrap());
    store.outbox_beat("old", at(6), at(60)).await.unwrap();
    let lease = store.outbox_leases().await.unwrap().swap_remove(3);
    assert_eq!(
        (lease.owner.as_deref(), lease.until, lease.published_seq),
        (Some("new"), at(9), 10)
    );
    assert!(store.outbox_mark(&new, 11).await.unwrap());
    // The same name after a release is another tenure.
    assert!(store.outbox_release(&new).await.unwrap());
    let (again, _) = store.outbox_take(3, 2, "new", at(6), at(9)).await.unwrap().unwrap();
    assert!(!store.outbox_mark(&new, 12).await.unwrap());
    assert!(store.outbox_mark(&again, 12).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_lapse_like_leases() {
    let world = World::new("lease_members").await;
    let store = Store::connect(&world.config(&[]), Arc::new(Metrics::new().unwrap()))
        .await
        .unwrap();
    let at = |seconds| Timestamp::from_unix_ms(1_800_000_000_000).plus(Duration::from_secs(seconds));
    store.outbox_beat("a", at(0), at(5)).await.unwrap();
    store.outbox_beat("b", at(3), at(8)).await.unwrap();
    assert_eq!(store.outbox_members(at(4)).await.unwrap(), ["a", "b"]);
    assert_eq!(store.outbox_members(at(5)).await.unwrap(), ["b"]);
    store.outbox_beat("a", at(6), at(11)).await.unwrap();
    assert_eq!(store.outbox_members(at(7)).await.unwrap(), ["a", "b"]);
    store.outbox_leave("a").await.unwrap();
    assert_eq!(store.outbox_members(at(7)).await.unwrap(), ["b"]);
}
