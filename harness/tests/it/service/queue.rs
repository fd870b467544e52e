//! The waiting room in Redis, through the service.

use booking_service::admin::dataset::Shape;

use crate::app::TestApp;
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
    for mode in ["queue.mode=zset", "queue.mode=list"] {
        let Some(app) = TestApp::with(LINE, &["queue.capacity=30", mode]).await else {
            return;
        };
        queue::in_order_and_never_too_many(std::slice::from_ref(&app.client), &app.users, 30).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_admit_as_one() {
    for mode in ["queue.mode=zset", "queue.mode=list"] {
        let Some(app) = TestApp::with(LINE, &["queue.capacity=30", mode]).await else {
            return;
        };
        let (other, client) = app.second().await;
        queue::in_order_and_never_too_many(&[app.client.clone(), client], &app.users, 30).await;
        let admitted = || async { app.client.metric("booking_queue_admitted_total", "").await == Some(1_000.0) };
        app.client.until("the total shows every admission", admitted).await;
        other.stop().await;
    }
}
