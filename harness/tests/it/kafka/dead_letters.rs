//! Poison on a real broker: given up with its cause and source while the rest flows; replayed once.

use booking_service::messaging::dead_letter;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_given_up_and_replayed_while_the_rest_flows() {
    let Some(world) = World::new(&[]).await else { return };
    let instance = world.start().await;
    let clients = [instance.client.clone()];
    let dead = async || {
        let metric = instance.client.metric("booking_dead_letters_total", "").await;
        metric.unwrap_or_default()
    };
    world
        .book_while(&clients, async || {
            instance
                .client
                .metric("booking_outbox_published_total", "")
                .await
                .unwrap_or_default()
                < 10.0
        })
        .await;
    world.plant("some key", "poison").await;
    world.book_while(&clients, async || dead().await < 1.0).await;
    world.until_drained().await;
    world.assert_nothing_lost().await;

    let brokers = world.brokers();
    let letters = dead_letter::list(&brokers, &world.topics).await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (letter.payload.as_str(), letter.kind.as_deref()),
        ("poison", Some("unparsable"))
    );
    assert!(
        letter
            .cause
            .as_deref()
            .unwrap()
            .starts_with("the payload is not an event"),
        "{letter:?}"
    );
    assert_eq!(letter.source.as_ref().unwrap().topic, world.topics.main);

    // Poison stays poison: sent again, it comes back as another dead letter, and only the new one is sent the next time.
    assert_eq!(dead_letter::replay(&brokers, &world.topics).await.unwrap().len(), 1);
    world.until("it comes back", async || dead().await >= 2.0).await;
    let letters = dead_letter::list(&brokers, &world.topics).await.unwrap();
    assert_eq!(
        letters.iter().map(|letter| letter.replayed).collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(dead_letter::replay(&brokers, &world.topics).await.unwrap().len(), 1);
    instance.app.stop().await;
}
