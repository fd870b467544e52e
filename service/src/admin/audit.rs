//! `service audit`: the state of all tables as NDJSON, from one snapshot, for the ledger check.
//!
//! Seats that are on sale are left out: there may be millions, and nothing is to be said of them.

use std::io::Write;
use std::sync::Arc;

use futures::TryStreamExt as _;
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::config::Config;
use crate::domain::{EventId, PaymentId, ReservationId, ReservationStatus, ScheduleId, SeatId, Timestamp, UserId};
use crate::metrics::Metrics;
use crate::store::{Engine, Store, StoreError};

/// Why the audit is not whole.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database did not answer, or holds what no code of ours writes.
    #[error("cannot read the final state")]
    Store(#[from] StoreError),
    /// The reader of our output has gone.
    #[error("cannot write the audit")]
    Write(#[from] std::io::Error),
}

impl From<sqlx::Error> for AuditError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Writes the audit of the configured database.
///
/// # Errors
/// When the database is away, or the output cannot be written.
pub async fn run(config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let store = Store::connect(config, Arc::new(Metrics::new()?)).await?;
    store.check_schema().await?;
    write(&store, out).await?;
    store.close().await;
    Ok(())
}

fn uuid<T: serde::Serialize>(raw: Option<i64>, from_raw: impl FnOnce(i64) -> Option<T>) -> Value {
    raw.and_then(from_raw).map_or(Value::Null, |id| json!(id))
}

fn moment(ms: Option<i64>) -> Value {
    ms.map_or(Value::Null, |ms| json!(Timestamp::from_unix_ms(ms)))
}

fn named(names: &[&'static str], raw: i64) -> Result<Value, StoreError> {
    let name = usize::try_from(raw)
        .ok()
        .and_then(|at| names.get(at))
        .ok_or(StoreError::Corrupt("status"))?;
    Ok(json!(name))
}

/// Streams the rows of a query, renders each, and counts.
macro_rules! section {
    ($connection:expr, $out:expr, $text:literal, |$row:ident| $render:expr) => {{
        let mut n_rows: u64 = 0;
        let mut rows = sqlx::query($text).fetch(&mut *$connection);
        while let Some($row) = rows.try_next().await? {
            serde_json::to_writer(&mut *$out, &$render).map_err(std::io::Error::from)?;
            $out.write_all(b"\n")?;
            n_rows += 1;
        }
        n_rows
    }};
}

/// All sections, for the types of either engine.
macro_rules! sections {
    ($connection:ident, $out:ident) => {{
        let users = section!($connection, $out,
            "SELECT id, initial_balance, balance FROM users ORDER BY id", |row| json!({
                "kind": "user",
                "user_id": uuid(row.try_get(0)?, UserId::from_raw),
                "initial": row.try_get::<i64, _>(1)?,
                "balance": row.try_get::<i64, _>(2)?,
            }));
        let ledger = section!($connection, $out,
            "SELECT user_id, entry, amount, balance_after, reservation_id, idem_key, created_at_ms \
             FROM balance_ledger ORDER BY id", |row| json!({
                "kind": "ledger",
                "user_id": uuid(row.try_get(0)?, UserId::from_raw),
                "entry": named(&["none", "charge", "payment"], row.try_get(1)?)?,
                "amount": row.try_get::<i64, _>(2)?,
                "balance_after": row.try_get::<i64, _>(3)?,
                "reservation_id": uuid(row.try_get(4)?, ReservationId::from_raw),
                "idem_key": row.try_get::<Option<String>, _>(5)?,
                "created_at": moment(row.try_get(6)?),
            }));
        let seats = section!($connection, $out,
            "SELECT id, schedule_id, number, price, status, reservation_id, held_until_ms FROM seats \
             WHERE status <> 0 ORDER BY id", |row| json!({
                "kind": "seat",
                "seat_id": uuid(row.try_get(0)?, SeatId::from_raw),
                "schedule_id": uuid(row.try_get(1)?, ScheduleId::from_raw),
                "number": row.try_get::<i64, _>(2)?,
                "price": row.try_get::<i64, _>(3)?,
                "status": named(&["available", "held", "sold"], row.try_get(4)?)?,
                "reservation_id": uuid(row.try_get(5)?, ReservationId::from_raw),
                "held_until": moment(row.try_get(6)?),
            }));
        let reservations = section!($connection, $out,
            "SELECT id, user_id, seat_id, schedule_id, status, amount, created_at_ms, expires_at_ms, idem_key \
             FROM reservations ORDER BY id", |row| json!({
                "kind": "reservation",
                "reservation_id": uuid(row.try_get(0)?, ReservationId::from_raw),
                "user_id": uuid(row.try_get(1)?, UserId::from_raw),
                "seat_id": uuid(row.try_get(2)?, SeatId::from_raw),
                "schedule_id": uuid(row.try_get(3)?, ScheduleId::from_raw),
                "status": ReservationStatus::from_raw(row.try_get(4)?).map(ReservationStatus::name),
                "amount": row.try_get::<i64, _>(5)?,
                "created_at": moment(row.try_get(6)?),
                "expires_at": moment(row.try_get(7)?),
                "idem_key": row.try_get::<String, _>(8)?,
            }));
        let payments = section!($connection, $out,
            "SELECT id, reservation_id, user_id, status, amount, completed_at_ms, idem_key FROM payments ORDER BY id",
            |row| json!({
                "kind": "payment",
                "payment_id": uuid(row.try_get(0)?, PaymentId::from_raw),
                "reservation_id": uuid(row.try_get(1)?, ReservationId::from_raw),
                "user_id": uuid(row.try_get(2)?, UserId::from_raw),
                "status": named(&["pending", "completed", "cancelled"], row.try_get(3)?)?,
                "amount": row.try_get::<i64, _>(4)?,
                "completed_at": moment(row.try_get(5)?),
                "idem_key": row.try_get::<Option<String>, _>(6)?,
            }));
        let outbox = section!($connection, $out,
            "SELECT o.event_id, o.shard, o.seq, o.schedule_id, o.reservation_id, \
             CASE WHEN o.seq <= COALESCE(l.published_seq, 0) THEN 1 ELSE 0 END, o.created_at_ms \
             FROM outbox o LEFT JOIN outbox_lease l ON l.shard = o.shard ORDER BY o.shard, o.seq", |row| json!({
                "kind": "outbox",
                "event_id": uuid(row.try_get(0)?, EventId::from_raw),
                "shard": row.try_get::<i64, _>(1)?,
                "seq": row.try_get::<i64, _>(2)?,
                "schedule_id": uuid(row.try_get(3)?, ScheduleId::from_raw),
                "reservation_id": uuid(row.try_get(4)?, ReservationId::from_raw),
                "published": row.try_get::<i64, _>(5)? == 1,
                "created_at": moment(row.try_get(6)?),
            }));
        let processed = section!($connection, $out,
            "SELECT event_id, processed_at_ms FROM processed_events ORDER BY event_id", |row| json!({
                "kind": "processed",
                "event_id": uuid(row.try_get(0)?, EventId::from_raw),
                "processed_at": moment(row.try_get(1)?),
            }));
        let tickets = section!($connection, $out,
            "SELECT reservation_id, event_id, created_at_ms FROM tickets ORDER BY reservation_id", |row| json!({
                "kind": "ticket",
                "reservation_id": uuid(row.try_get(0)?, ReservationId::from_raw),
                "event_id": uuid(row.try_get(1)?, EventId::from_raw),
                "created_at": moment(row.try_get(2)?),
            }));
        let summary = json!({
            "kind": "summary",
            "users": users,
            "ledger": ledger,
            "seats": seats,
            "reservations": reservations,
            "payments": payments,
            "outbox": outbox,
            "processed": processed,
            "tickets": tickets,
        });
        serde_json::to_writer(&mut *$out, &summary).map_err(std::io::Error::from)?;
        $out.write_all(b"\n")?;
    }};
}

/// Writes the audit of an open store.
///
/// # Errors
/// When the database is away, or the output cannot be written.
pub async fn write(store: &Store, out: &mut impl Write) -> Result<(), AuditError> {
    let out = &mut std::io::BufWriter::new(out);
    // One snapshot: a service that still runs must not show a payment without its event.
    match store.engine() {
        Engine::Sqlite { reader, .. } => {
            let mut connection = store.acquire("reader", reader).await?;
            let mut snapshot = sqlx::Connection::begin(&mut *connection).await?;
            sections!(snapshot, out);
        }
        Engine::MySql(pool) => {
            let mut connection = store.acquire("main", pool).await?;
            sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                .execute(&mut *connection)
                .await?;
            let mut snapshot = sqlx::Connection::begin_with(
                &mut *connection,
                "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            )
            .await?;
            sections!(snapshot, out);
        }
    }
    out.flush()?;
    Ok(())
}
