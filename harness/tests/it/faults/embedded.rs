//! Faults that need nothing installed.

use soundcheck::fault::Fault;
use soundcheck::fault::broker::MockBrokerDown;
use soundcheck::fault::sqlite::SqliteLock;
use soundcheck::stack::{self, Component, StackChoice, probe};
use soundcheck::watchdog::Watchdog;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::{SHORTLY, check, options, tool};

/// A database with one table, and a connection that does not wait for locks.
async fn database() -> (tempfile::TempDir, SqliteLock, SqliteConnection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut connection = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(std::time::Duration::ZERO)
        .connect()
        .await
        .unwrap();
    sqlx::query("CREATE TABLE t (x)")
        .execute(&mut connection)
        .await
        .unwrap();
    (
        folder,
        SqliteLock {
            url: format!("sqlite://{}", path.display()),
        },
        connection,
    )
}

async fn can_write(connection: &mut SqliteConnection) -> bool {
    sqlx::query("INSERT INTO t VALUES (1)")
        .execute(connection)
        .await
        .is_ok()
}

#[tokio::test]
async fn a_held_lock_stops_writers_and_no_readers() {
    let (_folder, fault, mut connection) = database().await;
    check(&fault, async || {
        let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM t")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(rows, 0);
        !can_write(&mut connection).await
    })
    .await;
    assert!(can_write(&mut connection).await);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_held_lock_that_is_dropped_falls() {
    let (_folder, fault, mut connection) = database().await;
    let watchdog = Watchdog::start(tool()).unwrap();
    drop(fault.inject(&watchdog).await.unwrap());
    fault.verify().await.unwrap();
    assert!(can_write(&mut connection).await);
}

#[tokio::test]
async fn the_mock_broker_is_away_and_back() {
    let stack = stack::open(&options(StackChoice::Embedded, &Component::ALL))
        .await
        .unwrap();
    let broker = stack.mock_broker().unwrap();
    let fault = MockBrokerDown { broker: broker.clone() };
    let is_away = async || probe::probe(Component::Kafka, broker.brokers(), SHORTLY).await.is_err();
    check(&fault, is_away).await;

    let watchdog = Watchdog::start(tool()).unwrap();
    let injected = fault.inject(&watchdog).await.unwrap();
    assert!(is_away().await);
    drop(injected);
    fault.verify().await.unwrap();
    stack.close().await.unwrap();
}
