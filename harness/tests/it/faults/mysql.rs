//! Rows that somebody else holds.

use soundcheck::fault::mysql::MySqlRowLock;
use soundcheck::fault::{Fault, FaultError};
use soundcheck::stack::Stack;
use soundcheck::watchdog::Watchdog;
use sqlx::{Connection, MySqlConnection};

use crate::{WITHIN, check, tool};

pub(crate) async fn rows_are_locked_and_freed(stack: &dyn Stack) {
    let url = stack.direct_endpoints("locks").database_url;
    let mut connection = MySqlConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "CREATE DATABASE locks; CREATE TABLE locks.seats (id INT PRIMARY KEY, status INT); \
         INSERT INTO locks.seats VALUES (1, 0), (2, 0), (3, 0); SET innodb_lock_wait_timeout = 1",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let fault = MySqlRowLock::new(&url, "locks", "seats", 2).unwrap();
    check(&fault, async || {
        assert!(
            update(&mut connection, 3).await.is_ok(),
            "a row that nobody holds is free"
        );
        let waiting = update(&mut connection, 1);
        let (timed_out, seen) = tokio::join!(waiting, somebody_waits(&fault));
        assert!(seen, "the server does not show the wait");
        // 1205: lock wait timeout exceeded.
        timed_out.unwrap_err().to_string().contains("1205")
    })
    .await;
    update(&mut connection, 1).await.unwrap();

    let too_many = MySqlRowLock::new(&url, "locks", "seats", 4).unwrap();
    let watchdog = Watchdog::start(tool()).unwrap();
    let refused = too_many.inject(&watchdog).await.unwrap_err();
    assert!(
        matches!(
            refused,
            FaultError::TooFewRows {
                found: 3,
                wanted: 4,
                ..
            }
        ),
        "{refused:?}"
    );
    too_many.verify().await.unwrap();
    connection.close().await.unwrap();
}

async fn update(connection: &mut MySqlConnection, id: i32) -> sqlx::Result<()> {
    let statement = "UPDATE locks.seats SET status = status + 1 WHERE id = ?";
    sqlx::query(statement).bind(id).execute(connection).await.map(drop)
}

async fn somebody_waits(fault: &MySqlRowLock) -> bool {
    let deadline = tokio::time::Instant::now() + WITHIN;
    while tokio::time::Instant::now() < deadline {
        if fault.n_waiting().await.unwrap() > 0 {
            return true;
        }
    }
    false
}
