//! The waiting room: in order, never too many, nobody lost.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use tokio::sync::Semaphore;

use super::client::Client;
use super::lcg::Lcg;

/// Requests at once: many, and fewer than a service sheds.
const AT_ONCE: usize = 64;
const WITHIN: Duration = Duration::from_secs(240);

/// Somebody with a place.
struct Visitor {
    /// Of the instance that it speaks to.
    client: Client,
    token: String,
    /// Before the request for the place was sent.
    asked: Instant,
    /// After it was answered.
    acknowledged: Instant,
}

/// What a visitor saw of its admission.
struct Stay {
    /// Before the last request that was answered with `waiting` was sent: until then, at least, it waited.
    waited: Option<Instant>,
    /// After the first answer that said `active`: from then on, at the latest, it was in.
    admitted: Instant,
    /// Before it asked to leave: until then, at least, it was in.
    left: Instant,
}

/// Users arrive many at once, each at any of `clients` (instances of one service), and leave soon after they are let
/// in. By what tokens themselves answer, never more than `capacity` are active at a time; who was acknowledged before
/// another asked is in before it; and everybody gets in.
pub async fn in_order_and_never_too_many(clients: &[Client], users: &[String], capacity: usize) {
    let course = async {
        let visitors = arrive(clients, users).await;
        let (inside, line) = look_at_all(visitors, capacity).await;
        pass_through(inside, line, capacity).await;
    };
    tokio::time::timeout(WITHIN, course)
        .await
        .expect("not everybody got in in time");
}

async fn arrive(clients: &[Client], users: &[String]) -> Vec<Visitor> {
    let arrivals = users.iter().enumerate().map(|(n, user)| async move {
        let client = clients[n % clients.len()].clone();
        let asked = Instant::now();
        let token = client.enter(user).await.expect(201, "").text("token");
        Visitor {
            client,
            token,
            asked,
            acknowledged: Instant::now(),
        }
    });
    let visitors: Vec<Visitor> = stream::iter(arrivals).buffer_unordered(AT_ONCE).collect().await;
    let tokens: HashSet<&String> = visitors.iter().map(|visitor| &visitor.token).collect();
    assert_eq!(tokens.len(), users.len(), "a token each");
    visitors
}

/// While nobody leaves, everybody looks where it stands. Returns who is in, and who waits in the order of the line.
async fn look_at_all(visitors: Vec<Visitor>, capacity: usize) -> (Vec<Visitor>, Vec<Visitor>) {
    let looks = visitors.into_iter().map(|visitor| async {
        let place = visitor.client.place(&visitor.token).await.expect(200, "");
        let ahead = (place.text("state") != "active").then(|| place.number("position"));
        (ahead, visitor)
    });
    let mut places: Vec<(Option<i64>, Visitor)> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
    places.sort_by_key(|(position, _)| *position);
    let n_inside = places.iter().filter(|(position, _)| position.is_none()).count();
    assert_eq!(
        n_inside,
        capacity.min(places.len()),
        "as many as there are places, from the first moment"
    );
    let positions: Vec<i64> = places.iter().filter_map(|(position, _)| *position).collect();
    let expected: Vec<i64> = (1..).take(positions.len()).collect();
    assert_eq!(positions, expected, "one position each, and none left out");
    // From the end of the line: nobody stands behind somebody who asked only after it had been acknowledged.
    let mut behind: Option<Instant> = None;
    for places in places.chunk_by(|a, b| a.0 == b.0).rev() {
        for (position, visitor) in places {
            assert!(
                behind.is_none_or(|acknowledged| acknowledged >= visitor.asked),
                "somebody at {position:?} asked after one behind it had been acknowledged"
            );
        }
        let earliest = places.iter().map(|(_, visitor)| visitor.acknowledged).min();
        behind = behind.into_iter().chain(earliest).min();
    }
    let line = places.split_off(n_inside);
    let people = |places: Vec<(Option<i64>, Visitor)>| places.into_iter().map(|(_, visitor)| visitor).collect();
    (people(places), people(line))
}

/// Everybody waits, gets in, and leaves after a few more looks.
async fn pass_through(inside: Vec<Visitor>, line: Vec<Visitor>, capacity: usize) {
    let n_inside = inside.len();
    let at_once = Semaphore::new(AT_ONCE);
    // All who are in look once more before the first one leaves: so the most that are in at a time can be seen.
    let everybody_looked = tokio::sync::Barrier::new(n_inside);
    let visits = inside.into_iter().chain(line).enumerate().map(|(n, visitor)| {
        let (at_once, everybody_looked) = (&at_once, &everybody_looked);
        async move {
            let (waited, admitted) = wait(&visitor, at_once).await;
            if n < n_inside {
                everybody_looked.wait().await;
            }
            for _ in 0..Lcg(n as u64).below(4) {
                let (_, position) = look(&visitor, at_once).await;
                assert_eq!(position, None, "active, and then waiting again");
            }
            let _turn = at_once.acquire().await.unwrap();
            let left = Instant::now();
            visitor.client.leave(&visitor.token).await.expect(204, "");
            Stay { waited, admitted, left }
        }
    });
    let stays = join_all(visits).await;

    let mut edges: Vec<(Instant, bool)> = Vec::new();
    for stay in &stays {
        edges.extend([(stay.admitted, true), (stay.left, false)]);
    }
    // Of two edges at one moment the end comes first: a tie accuses nobody.
    edges.sort_unstable();
    let (mut n_active, mut most) = (0, 0);
    for (_, begins) in edges {
        n_active = if begins { n_active + 1 } else { n_active - 1 };
        most = most.max(n_active);
    }
    assert_eq!(most, capacity, "the most that were active at a time");

    // Nobody waited when one behind it was in already.
    let mut latest_ahead: Option<Instant> = None;
    for (n, stay) in stays.iter().enumerate() {
        assert!(
            latest_ahead.is_none_or(|waited| waited <= stay.admitted),
            "number {n} was let in while one before it still waited"
        );
        latest_ahead = latest_ahead.max(stay.waited);
    }
}

/// Looks, at first seldom and at the end often, until it is in. Returns when it was last sent to wait, and when it was
/// in.
async fn wait(visitor: &Visitor, at_once: &Semaphore) -> (Option<Instant>, Instant) {
    let mut waited = None;
    loop {
        let (asked, position) = look(visitor, at_once).await;
        let Some(position) = position else {
            return (waited, Instant::now());
        };
        waited = Some(asked);
        let pause = Duration::from_millis(6) * u32::try_from(position).unwrap();
        tokio::time::sleep(pause.min(Duration::from_secs(2))).await;
    }
}

/// The moment before the request was sent, and the position; `None` for who is in.
async fn look(visitor: &Visitor, at_once: &Semaphore) -> (Instant, Option<i64>) {
    let _turn = at_once.acquire().await.unwrap();
    let asked = Instant::now();
    let place = visitor.client.place(&visitor.token).await.expect(200, "");
    let position = (place.text("state") != "active").then(|| place.number("position"));
    (asked, position)
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
