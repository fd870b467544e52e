//! MySQL's statistics and plans, from a real server.

use std::time::Duration;

use soundcheck::analysis::digest::costs;
use soundcheck::scrape::mysql::MySqlSource;
use soundcheck::scrape::mysql_plan::{Executed, MySqlPlans};
use soundcheck::scrape::poll::Schedule;
use soundcheck::scrape::{Poller, Sample, Source};
use sqlx::{Connection as _, Executor as _, MySqlConnection};

use crate::recorded::Recorded;
use crate::support::mysql_server::MySqlServer;

const SEAT_MAP: &str = "SELECT id, price FROM seats WHERE schedule_id = ? AND status = 0 ORDER BY price";

/// 50 schedules of 20 seats, half of them free, without an index.
async fn with_seats(connection: &mut MySqlConnection) {
    let statements = "CREATE TABLE seats (id BIGINT PRIMARY KEY AUTO_INCREMENT, schedule_id BIGINT NOT NULL, \
         status TINYINT NOT NULL, price BIGINT NOT NULL); \
         INSERT INTO seats (schedule_id, status, price) \
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
         SELECT i DIV 20, i % 2, i FROM n; ANALYZE TABLE seats";
    connection.execute(sqlx::raw_sql(statements)).await.unwrap();
}

async fn read_seats(connection: &mut MySqlConnection, times: u32) {
    for schedule in 0..times {
        let rows = sqlx::query(SEAT_MAP)
            .bind(schedule % 50)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        assert_eq!(rows.len(), 10);
    }
    // A statement is counted when it has ended, which is after its rows have been read; the next one waits for that.
    connection.execute("DO 0").await.unwrap();
}

fn value(samples: &[Sample], name: &str) -> f64 {
    samples
        .iter()
        .find(|s| s.name == name)
        .unwrap_or_else(|| panic!("no {name}"))
        .value
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_digests_and_plans() {
    let Some(server) = MySqlServer::start().await else {
        return;
    };
    let mut connection = MySqlConnection::connect(&server.url()).await.unwrap();
    connection.execute("CREATE DATABASE booking").await.unwrap();
    connection.execute("USE booking").await.unwrap();
    with_seats(&mut connection).await;
    status_is_read(&server, &mut connection).await;
    rows_read_for_each_row_returned(&server, &mut connection).await;
    plans_are_of_executed_statements(&server, &mut connection).await;
}

async fn status_is_read(server: &MySqlServer, connection: &mut MySqlConnection) {
    let mut source = MySqlSource::new(&server.url(), &["booking"]).unwrap();
    let before = source.scrape().await.unwrap();
    assert_eq!(value(&before, "mysql_up"), 1.0);
    assert!(value(&before, "mysql_global_status_threads_connected") >= 2.0);
    assert_eq!(value(&before, "mysql_global_variables_max_connections"), 151.0);
    let command = |samples: &[Sample], command: &str| {
        let of = |s: &&Sample| s.name == "mysql_global_status_commands_total" && s.labels["command"] == command;
        samples.iter().find(of).unwrap().value
    };
    read_seats(connection, 25).await;
    let after = source.scrape().await.unwrap();
    assert!(command(&after, "stmt_execute") - command(&before, "stmt_execute") >= 25.0);

    // A connection that was lost is opened again.
    let own = "SELECT CONCAT('KILL ', PROCESSLIST_ID) FROM performance_schema.threads \
        WHERE PROCESSLIST_USER = 'root' AND PROCESSLIST_ID <> CONNECTION_ID()";
    let kills: Vec<String> = sqlx::query_scalar(own).fetch_all(&mut *connection).await.unwrap();
    for kill in kills {
        connection
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(kill)))
            .await
            .unwrap();
    }
    assert!(source.scrape().await.is_err());
    assert_eq!(value(&source.scrape().await.unwrap(), "mysql_up"), 1.0);
}

async fn rows_read_for_each_row_returned(server: &MySqlServer, connection: &mut MySqlConnection) {
    let recorded = Recorded::new();
    let seldom = Schedule {
        period: Duration::from_secs(3_600),
        deadline: Duration::from_secs(5),
    };
    let mut poller = Poller::new(recorded.writer.clone(), recorded.clock, seldom);
    poller.watch("mysql", MySqlSource::new(&server.url(), &["booking"]).unwrap());
    poller.scrape_now().await.unwrap();
    let from = recorded.clock.now();
    read_seats(connection, 40).await;
    poller.scrape_now().await.unwrap();
    let until = recorded.clock.now();
    poller.stop().await.unwrap();

    let found = costs(&recorded.series(), "booking", from, until, Duration::from_secs(60));
    let seats = found
        .iter()
        .find(|cost| cost.text.contains("FROM `seats`") && cost.rows_sent > Some(0.0))
        .unwrap();
    assert_eq!(seats.executions, Some(40.0), "{found:?}");
    assert_eq!(seats.rows_sent, Some(400.0));
    // Without an index every seat is read, and the sort reads the ten that are left again.
    assert!(
        seats
            .examined_per_sent()
            .is_some_and(|rows| (100.0..=102.0).contains(&rows)),
        "{seats:?}"
    );
    assert_eq!(seats.no_index_used, Some(40.0));
    assert!(
        found.iter().all(|cost| !cost.text.contains("events_statements")),
        "own questions are counted: {found:?}"
    );
}

async fn plans_are_of_executed_statements(server: &MySqlServer, connection: &mut MySqlConnection) {
    let plans = MySqlPlans::new(&server.url(), "booking").unwrap();
    let scanned = explained_seat_map(&plans, connection).await;
    assert!(
        scanned.statement.contains("WHERE schedule_id = "),
        "{}",
        scanned.statement
    );
    assert!(!scanned.statement.contains('?'), "{}", scanned.statement);
    assert!(scanned.is_executed_digest && scanned.is_measured);
    assert_eq!(scanned.plan.indexes(), Vec::<&str>::new());
    assert_eq!(scanned.plan.rows_read(), Some(1_000.0));

    connection
        .execute("CREATE INDEX by_schedule ON seats (schedule_id, status)")
        .await
        .unwrap();
    let indexed = explained_seat_map(&plans, connection).await;
    assert_eq!(indexed.plan.indexes(), ["by_schedule"]);
    assert_eq!(indexed.plan.rows_read(), Some(10.0));
    assert!(!indexed.plan.is_folded());

    // A statement that nobody executed is not taken for the service's.
    let other = Executed {
        statement: "SELECT id FROM seats WHERE id = -1".to_owned(),
        digest_text: "SELECT `id` FROM `seats` WHERE `id` = - ?".to_owned(),
        seen: 0,
    };
    let other = plans.explain(&other).await.unwrap();
    assert!(!other.is_executed_digest && other.plan.is_folded(), "{other:?}");

    // One that changes rows is planned and not run.
    sqlx::query("UPDATE seats SET price = 0 WHERE id = ?")
        .bind(1)
        .execute(&mut *connection)
        .await
        .unwrap();
    let update = Executed {
        statement: "UPDATE seats SET price = 7 WHERE id = 1".to_owned(),
        digest_text: "UPDATE `seats` SET `price` = ? WHERE `id` = ?".to_owned(),
        seen: 1,
    };
    let update = plans.explain(&update).await.unwrap();
    assert_eq!((update.is_executed_digest, update.is_measured), (true, false));
    assert_eq!(update.plan.indexes(), ["PRIMARY"]);
    let price: i64 = sqlx::query_scalar("SELECT price FROM seats WHERE id = 1")
        .fetch_one(connection)
        .await
        .unwrap();
    assert_eq!(price, 0);
}

/// The plan of the seat map, captured while it is asked for; the server's log is as it was afterwards.
async fn explained_seat_map(
    plans: &MySqlPlans,
    connection: &mut MySqlConnection,
) -> soundcheck::scrape::mysql_plan::Explained {
    let log = "SELECT CONCAT(@@GLOBAL.general_log, ' ', @@GLOBAL.log_output)";
    let before: String = sqlx::query_scalar(log).fetch_one(&mut *connection).await.unwrap();
    let capture = plans.capture(Duration::from_millis(600));
    let load = async {
        let until = std::time::Instant::now() + Duration::from_millis(700);
        while std::time::Instant::now() < until {
            read_seats(connection, 5).await;
        }
    };
    let (captured, ()) = tokio::join!(capture, load);
    let captured = captured.unwrap();
    let after: String = sqlx::query_scalar(log).fetch_one(&mut *connection).await.unwrap();
    assert_eq!(before, after);
    let seat_map = captured
        .iter()
        .find(|executed| executed.digest_text.contains("FROM `seats`"))
        .unwrap();
    assert!(seat_map.seen > 1, "{captured:?}");
    plans.explain(seat_map).await.unwrap()
}
