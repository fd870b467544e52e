//! Plans and steps of SQLite, from a file.

use soundcheck::scrape::sqlite_plan::{Parameter, SqlitePlans};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};

const SEAT_MAP: &str = "SELECT id, price FROM seats WHERE schedule_id = ? AND status = 0 ORDER BY price";

#[tokio::test]
async fn an_index_changes_the_plan_and_saves_steps() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("booking.db");
    let mut service = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    let seats = "CREATE TABLE seats (id INTEGER PRIMARY KEY, schedule_id INTEGER, status INTEGER, price INTEGER); \
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
         INSERT INTO seats (schedule_id, status, price) SELECT i / 20, i % 2, i FROM n";
    service.execute(sqlx::raw_sql(seats)).await.unwrap();

    let mut plans = SqlitePlans::open(&file).await.unwrap();
    let scanned = plans.explain(SEAT_MAP, &[Parameter::Integer(3)]).await.unwrap();
    assert_eq!((scanned.rows_returned, scanned.plan.indexes()), (10, Vec::new()));
    service
        .execute("CREATE INDEX by_schedule ON seats (schedule_id, status)")
        .await
        .unwrap();
    let indexed = plans.explain(SEAT_MAP, &[Parameter::Integer(3)]).await.unwrap();
    assert_eq!(
        (indexed.rows_returned, indexed.plan.indexes()),
        (10, vec!["by_schedule"])
    );
    assert!(
        indexed.vm_steps * 5 < scanned.vm_steps,
        "{} {}",
        indexed.vm_steps,
        scanned.vm_steps
    );
    // Free of noise: the same work takes the same steps.
    assert_eq!(
        plans.explain(SEAT_MAP, &[Parameter::Integer(3)]).await.unwrap(),
        indexed
    );

    // What writes is refused, whether or not it has a plan.
    for statement in ["DELETE FROM seats", "DELETE FROM seats WHERE id = 1"] {
        plans.explain(statement, &[]).await.unwrap_err();
    }
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM seats")
        .fetch_one(&mut service)
        .await
        .unwrap();
    assert_eq!(left, 1_000);
}
