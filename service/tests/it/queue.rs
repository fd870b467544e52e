//! The waiting room in SQLite.

use std::time::Duration;

use booking_service::admin::dataset::Shape;

use crate::app::TestApp;
use crate::scenarios::client::fresh_key;
use crate::scenarios::queue;

const LINE: Shape = Shape {
    seed: 4,
    n_users: 1_000,
    n_concerts: 1,
    n_schedules: 1,
    n_seats: 5,
    skew: 0.0,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_arrivals_are_admitted_in_order_thirty_at_a_time() {
    let app = TestApp::with(LINE, &["queue.capacity=30"]).await;
    let clients = [app.client.clone()];
    queue::in_order_and_never_too_many(&clients, &app.users, 30).await;
    assert_eq!(app.client.metric("booking_queue_capacity", "").await, Some(30.0));
    let admitted = || async { app.client.metric("booking_queue_admitted_total", "").await == Some(1_000.0) };
    app.client.until("the total shows every admission", admitted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_admit_as_one() {
    let app = TestApp::with(LINE, &["queue.capacity=30"]).await;
    let (other, client) = app.second().await;
    queue::in_order_and_never_too_many(&[app.client.clone(), client], &app.users, 30).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn places_end_by_themselves() {
    // Long beside a stall of the machine, in which nobody looks at the place that is to be kept.
    let ttl = ["queue.capacity=1", "queue.active_ttl=4s", "queue.waiting_ttl=2s"];
    let app = TestApp::small(&ttl).await;
    let users = [app.users[0].as_str(), app.users[1].as_str(), app.users[2].as_str()];
    queue::places_end(&app.client, users, Duration::from_secs(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_may_look_at_nothing() {
    let app = TestApp::small(&["queue.capacity=1"]).await;
    let seat = app.seats(0).await.remove(0);
    let (client, users) = (&app.client, &app.users);
    client.enter(&users[0]).await.expect(201, "");
    let waiting = client.enter(&users[1]).await.expect(201, "");
    assert_eq!(
        (waiting.text("state").as_str(), waiting.number("position")),
        ("waiting", 1)
    );
    let token = waiting.text("token");
    client
        .seats(&token, &app.schedules[0])
        .await
        .expect(403, "not-admitted");
    client
        .schedules(&token, &app.concerts[0], "")
        .await
        .expect(403, "not-admitted");
    client
        .hold(&token, &seat, &fresh_key())
        .await
        .expect(403, "not-admitted");
    client.pay(&token, &seat, &fresh_key()).await.expect(404, "not-found");
    client.leave(&token).await.expect(204, "");
    client.leave(&token).await.expect(204, "");
    client.place(&token).await.expect(401, "token-gone");
    client.hold(&token, &seat, &fresh_key()).await.expect(401, "token-gone");
}
