//! The same data set and the same indexes on MySQL.

use booking_service::admin::dataset::Shape;
use booking_service::admin::index::{self, SeatIndex};
use booking_service::store::Engine;

use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn each_index_replaces_the_one_before() {
    let shape = Shape {
        seed: 5,
        n_users: 1,
        n_concerts: 1,
        n_schedules: 2,
        n_seats: 50,
        skew: 0.0,
    };
    let Some(app) = TestApp::with(shape, &["cache.mode=off"]).await else {
        return;
    };
    let store = app.store().await;
    let Engine::MySql(pool) = store.engine() else {
        panic!("the store of these tests is MySQL");
    };
    let expected = app.seats(1).await;
    for (index, names) in [
        (SeatIndex::None, vec![]),
        (SeatIndex::StatusSchedule, vec!["seats_by_status_schedule"]),
        (SeatIndex::Covering, vec!["seats_covering"]),
        (SeatIndex::ScheduleStatus, vec!["seats_by_schedule_status"]),
    ] {
        index::apply(&store, index).await.unwrap();
        let present: Vec<(String,)> = sqlx::query_as(
            "SELECT DISTINCT CONVERT(index_name USING utf8mb4) FROM information_schema.statistics \
             WHERE table_schema = DATABASE() AND table_name = 'seats' AND index_name <> 'PRIMARY'",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        let present: Vec<&str> = present.iter().map(|(name,)| name.as_str()).collect();
        assert_eq!(present, names);
        assert_eq!(app.seats(1).await, expected, "the same seats whatever the index");
    }
    store.close().await;
}
