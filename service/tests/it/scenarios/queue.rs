//! The waiting room: in order, never too many, nobody lost.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::client::Client;

/// Every user arrives, one after the other at any of `clients` (instances of one service); each visit ends as soon as
/// it is admitted. Active never exceeds `capacity`, admission follows arrival, and everybody gets in.
pub async fn in_order_and_never_too_many(clients: &[Client], users: &[String], capacity: usize) {
    let mut waiting: Vec<(usize, String)> = Vec::with_capacity(users.len());
    let mut active: Vec<(usize, String)> = Vec::new();
    for (n, user) in users.iter().enumerate() {
        let place = clients[n % clients.len()].enter(user).await.expect(201, "");
        let token = place.text("token");
        if place.text("state") == "active" {
            active.push((n, token));
        } else {
            let position = usize::try_from(place.number("position")).unwrap();
            assert_eq!(position, waiting.len() + 1, "behind everybody who came before");
            waiting.push((n, token));
        }
    }
    assert_eq!(
        active.len(),
        capacity.min(users.len()),
        "as many as there are places, from the first moment"
    );
    let tokens: HashSet<&String> = waiting.iter().chain(&active).map(|(_, token)| token).collect();
    assert_eq!(tokens.len(), users.len(), "a token each");

    let done = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn(watch_active(clients[0].clone(), capacity, done.clone()));
    let mut admitted: Vec<usize> = active.iter().map(|(n, _)| *n).collect();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !active.is_empty() || !waiting.is_empty() {
        assert!(
            Instant::now() < deadline,
            "{} still wait, {} are active",
            waiting.len(),
            active.len()
        );
        let leaving = join_all(active.drain(..).enumerate().map(|(n, (_, token))| {
            let client = &clients[n % clients.len()];
            async move { client.leave(&token).await.expect(204, "") }
        }));
        leaving.await;
        // Whoever is first in line must be in; the first one who is not ends the round.
        let mut n_in = 0;
        for (n, token) in &waiting {
            let place = clients[n % clients.len()].place(token).await.expect(200, "");
            if place.text("state") != "active" {
                break;
            }
            n_in += 1;
        }
        assert!(n_in <= capacity, "{n_in} admitted at once");
        for (n, token) in waiting.drain(..n_in) {
            admitted.push(n);
            active.push((n, token));
        }
        // Nobody behind the first one who waits may be in.
        if let Some((n, token)) = waiting.last() {
            let last = clients[n % clients.len()].place(token).await.expect(200, "");
            assert_eq!(
                last.text("state"),
                "waiting",
                "the last in line overtook {} others",
                waiting.len()
            );
            assert_eq!(usize::try_from(last.number("position")).unwrap(), waiting.len());
        }
    }
    done.store(true, Ordering::SeqCst);
    watch.await.unwrap();
    assert!(admitted.is_sorted(), "admitted in order of arrival");
    assert_eq!(admitted.len(), users.len(), "nobody is lost");
}

/// The gauge, read all the while.
async fn watch_active(client: Client, capacity: usize, done: Arc<AtomicBool>) {
    while !done.load(Ordering::SeqCst) {
        if let Some(active) = client.metric("booking_queue_active", "").await {
            #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
            let most = capacity as f64;
            assert!(active <= most, "{active} active of {capacity}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A place that nobody asks for is given up, one that is asked for is kept, and an admission ends by itself.
pub async fn places_end(client: &Client, users: [&str; 3], ttl: Duration) {
    let first = client.enter(users[0]).await.expect(201, "");
    assert_eq!(first.text("state"), "active");
    let kept = client.enter(users[1]).await.expect(201, "").text("token");
    let forgotten = client.enter(users[2]).await.expect(201, "").text("token");
    let deadline = Instant::now() + ttl * 20;
    let mut is_in = false;
    while !is_in {
        assert!(Instant::now() < deadline, "never admitted");
        tokio::time::sleep(ttl / 10).await;
        let place = client.place(&kept).await;
        is_in = place.expect(200, "").text("state") == "active";
    }
    client.place(&first.text("token")).await.expect(401, "token-gone");
    client.place(&forgotten).await.expect(401, "token-gone");
}
