//! Poison on a real broker: given up with its cause and source while the rest flows; replayed once.

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

    let letters = world.dlt("list").await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (letter["payload"].as_str(), letter["kind"].as_str()),
        (Some("poison"), Some("unparsable"))
    );
    let cause = letter["cause"].as_str().unwrap();
    assert!(cause.starts_with("the payload is not an event"), "{letter}");
    assert_eq!(letter["source"]["topic"], world.topics.main);

    // Poison stays poison: sent again, it comes back as another dead letter, and only the new one is sent the next time.
    assert_eq!(world.dlt("replay").await.len(), 1);
    world.until("it comes back", async || dead().await >= 2.0).await;
    let letters = world.dlt("list").await;
    assert_eq!(
        letters.iter().map(|letter| &letter["replayed"]).collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(world.dlt("replay").await.len(), 1);
    instance.app.stop().await;
}

/// Events that a defect of the handler made dead letters: when it is mended, the tool sends them again, and each ends in
/// its ticket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_mended_handler_is_sent_again_ends_in_tickets() {
    let Some(world) = World::new(&["events.retry_attempts=1"]).await else {
        return;
    };
    let defect = format!("{}/consumer-handler", world.namespace);
    fail::cfg(&defect, "return").unwrap();
    let instance = world.start().await;
    let dead = async || {
        let metric = instance.client.metric("booking_dead_letters_total", "handler").await;
        metric.unwrap_or_default()
    };
    let n_paid = world
        .book_while(std::slice::from_ref(&instance.client), async || dead().await < 10.0)
        .await;
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let all = n_paid as f64;
    world
        .until("every event is given up", async || dead().await >= all)
        .await;
    assert_eq!(world.n_tickets().await, 0);

    fail::cfg(&defect, "off").unwrap();
    assert_eq!(world.dlt("replay").await.len(), n_paid);
    world.until_drained().await;
    assert_eq!(world.assert_nothing_lost().await, n_paid);
    assert_eq!(world.dlt("replay").await.len(), 0);
    assert!(world.dlt("list").await.iter().all(|letter| letter["replayed"] == true));
    instance.app.stop().await;
}
