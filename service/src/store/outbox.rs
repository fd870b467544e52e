//! The relay's side of the outbox: leases of shards, reading in order, marking what is published.
//!
//! The row itself is written by the payment's own transaction. No statement here differs between the engines, and
//! none asks the database for the time.

use sqlx::Row as _;

use super::{Store, StoreError};
use crate::domain::{EventId, ScheduleId, Timestamp};

/// Which relay publishes a shard, and how far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardLease {
    /// Which part of the key space.
    pub shard: u32,
    /// Who publishes it; nobody at first, and after a release.
    pub owner: Option<String>,
    /// Raised with every change of hands.
    pub fence: i64,
    /// When the lease lapses.
    pub until: Timestamp,
    /// Everything up to this number is published.
    pub published_seq: i64,
}

impl ShardLease {
    /// Whether anyone may take it at `now`.
    pub fn is_free(&self, now: Timestamp) -> bool {
        self.owner.is_none() || self.until <= now
    }
}

/// The right to publish a shard: what a relay proves with every mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tenure {
    /// Which part of the key space.
    pub shard: u32,
    /// Who holds it.
    pub owner: String,
    /// Under which fence.
    pub fence: i64,
}

/// How far a shard is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShardHead {
    /// Which part of the key space.
    pub shard: u32,
    /// The number of the last committed event.
    pub last_seq: i64,
    /// Everything up to this number is published.
    pub published_seq: i64,
}

/// A committed event as it waits to be published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxRow {
    /// Its place in the shard.
    pub seq: i64,
    /// Its id.
    pub event: EventId,
    /// The key of the record.
    pub schedule: ScheduleId,
    /// The record's text.
    pub payload: String,
    /// The trace of the request that paid.
    pub trace_parent: Option<String>,
    /// When the payment was made.
    pub created_at: Timestamp,
}

fn malformed(column: &'static str) -> StoreError {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: "out of range".into(),
    }
    .into()
}

impl Store {
    /// Says that `owner` lives until `until`: extends its leases, and its place among the living, so that others leave
    /// it its share of the shards. A newcomer forgets the dead.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox_beat(&self, owner: &str, now: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        write_on!(self, "outbox_beat", |transaction| {
            let updated = sqlx::query("UPDATE outbox_member SET until_ms = ? WHERE owner = ?")
                .bind(until.unix_ms())
                .bind(owner)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            if updated == 0 {
                sqlx::query("DELETE FROM outbox_member WHERE until_ms <= ?")
                    .bind(now.unix_ms())
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query("INSERT INTO outbox_member (owner, until_ms) VALUES (?, ?)")
                    .bind(owner)
                    .bind(until.unix_ms())
                    .execute(&mut *transaction)
                    .await?;
            }
            sqlx::query("UPDATE outbox_lease SET until_ms = ? WHERE owner = ?")
                .bind(until.unix_ms())
                .bind(owner)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    /// Takes `owner` off the list of the living, at its own wish.
    ///
    /// # Errors
    /// When the database does not answer; the entry lapses by itself then.
    pub async fn outbox_leave(&self, owner: &str) -> Result<(), StoreError> {
        write_on!(self, "outbox_leave", |transaction| {
            sqlx::query("DELETE FROM outbox_member WHERE owner = ?")
                .bind(owner)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    /// The relays that live at `now`, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox_members(&self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        read_on!(self, "outbox_members", |connection| {
            let members = sqlx::query_scalar("SELECT owner FROM outbox_member WHERE until_ms > ?");
            Ok(members.bind(now.unix_ms()).fetch_all(connection).await?)
        })
    }

    /// Every shard's lease.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox_leases(&self) -> Result<Vec<ShardLease>, StoreError> {
        read_on!(self, "outbox_leases", |connection| {
            sqlx::query("SELECT shard, owner, fence, until_ms, published_seq FROM outbox_lease ORDER BY shard")
                .fetch_all(connection)
                .await?
                .into_iter()
                .map(|row| {
                    Ok(ShardLease {
                        shard: u32::try_from(row.try_get::<i32, _>(0)?).map_err(|_| malformed("shard"))?,
                        owner: row.try_get(1)?,
                        fence: row.try_get(2)?,
                        until: Timestamp::from_unix_ms(row.try_get(3)?),
                        published_seq: row.try_get(4)?,
                    })
                })
                .collect()
        })
    }

    /// Takes a free shard that was last seen under `fence`, and tells up to which number it is published; `None` when
    /// somebody was quicker.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox_take(
        &self,
        shard: u32,
        fence: i64,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<(Tenure, i64)>, StoreError> {
        let published: Option<i64> = write_on!(self, "outbox_take", |transaction| {
            let taken = sqlx::query(
                "UPDATE outbox_lease SET owner = ?, fence = fence + 1, until_ms = ? \
                 WHERE shard = ? AND fence = ? AND (owner IS NULL OR until_ms <= ?)",
            )
            .bind(owner)
            .bind(until.unix_ms())
            .bind(shard)
            .bind(fence)
            .bind(now.unix_ms())
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            // Read under the row's lock: the predecessor may have marked between our look and our take.
            let published = match taken {
                0 => None,
                _ => Some(
                    sqlx::query_scalar("SELECT published_seq FROM outbox_lease WHERE shard = ?")
                        .bind(shard)
                        .fetch_one(&mut *transaction)
                        .await?,
                ),
            };
            transaction.commit().await?;
            Ok(published)
        })?;
        Ok(published.map(|seq| {
            let owner = owner.to_owned();
            let fence = fence + 1;
            (Tenure { shard, owner, fence }, seq)
        }))
    }

    /// Gives a shard back; false when it had passed to somebody else already.
    ///
    /// # Errors
    /// When the database does not answer; the lease lapses by itself then.
    pub async fn outbox_release(&self, tenure: &Tenure) -> Result<bool, StoreError> {
        write_on!(self, "outbox_release", |transaction| {
            let released = sqlx::query(
                "UPDATE outbox_lease SET owner = NULL, until_ms = 0 WHERE shard = ? AND owner = ? AND fence = ?",
            )
            .bind(tenure.shard)
            .bind(&tenure.owner)
            .bind(tenure.fence)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            transaction.commit().await?;
            Ok(released == 1)
        })
    }

    /// How far every shard is: one small query that finds all new work.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox_heads(&self) -> Result<Vec<ShardHead>, StoreError> {
        read_on!(self, "outbox_heads", |connection| {
            sqlx::query(
                "SELECT s.shard, s.last, l.published_seq FROM outbox_sequence s \
                 JOIN outbox_lease l ON l.shard = s.shard ORDER BY s.shard",
            )
            .fetch_all(connection)
            .await?
            .into_iter()
            .map(|row| {
                Ok(ShardHead {
                    shard: u32::try_from(row.try_get::<i32, _>(0)?).map_err(|_| malformed("shard"))?,
                    last_seq: row.try_get(1)?,
                    published_seq: row.try_get(2)?,
                })
            })
            .collect()
        })
    }

    /// When the oldest event that is not published was committed; `None` when all are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox_oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        read_on!(self, "outbox_oldest", |connection| {
            let oldest: Option<i64> = sqlx::query_scalar(
                "SELECT MIN(o.created_at_ms) FROM outbox_lease l \
                 JOIN outbox o ON o.shard = l.shard AND o.seq = l.published_seq + 1",
            )
            .fetch_one(connection)
            .await?;
            Ok(oldest.map(Timestamp::from_unix_ms))
        })
    }

    /// The next committed events of a shard after `after_seq`, in order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox_batch(&self, shard: u32, after_seq: i64, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        read_on!(self, "outbox_batch", |connection| {
            sqlx::query(
                "SELECT seq, event_id, schedule_id, payload, trace_parent, created_at_ms FROM outbox \
                 WHERE shard = ? AND seq > ? ORDER BY seq LIMIT ?",
            )
            .bind(shard)
            .bind(after_seq)
            .bind(limit)
            .fetch_all(connection)
            .await?
            .into_iter()
            .map(|row| {
                Ok(OutboxRow {
                    seq: row.try_get(0)?,
                    event: EventId::from_raw(row.try_get(1)?).ok_or_else(|| malformed("event_id"))?,
                    schedule: ScheduleId::from_raw(row.try_get(2)?).ok_or_else(|| malformed("schedule_id"))?,
                    payload: row.try_get(3)?,
                    trace_parent: row.try_get(4)?,
                    created_at: Timestamp::from_unix_ms(row.try_get(5)?),
                })
            })
            .collect()
        })
    }

    /// Marks everything up to `seq` as published; false when the shard has passed to somebody else, whose mark it is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox_mark(&self, tenure: &Tenure, seq: i64) -> Result<bool, StoreError> {
        write_on!(self, "outbox_mark", |transaction| {
            let marked = sqlx::query(
                "UPDATE outbox_lease SET published_seq = ? \
                 WHERE shard = ? AND owner = ? AND fence = ? AND published_seq <= ?",
            )
            .bind(seq)
            .bind(tenure.shard)
            .bind(&tenure.owner)
            .bind(tenure.fence)
            .bind(seq)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            transaction.commit().await?;
            Ok(marked == 1)
        })
    }
}
