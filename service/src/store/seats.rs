//! Reading dates and seats.

use sqlx::Row as _;

use super::{Engine, Store, StoreError};
use crate::config::Mutant;
use crate::domain::{ConcertId, Money, ScheduleId, SeatId, Timestamp};

/// A date with what is left of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScheduleLine {
    /// The date.
    pub id: ScheduleId,
    /// When it starts.
    pub starts_at: Timestamp,
    /// Seats on sale now.
    pub seats_left: i64,
}

/// A seat on sale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeatLine {
    /// The seat.
    pub id: SeatId,
    /// Its number, from 1.
    pub number: i64,
    /// Its price.
    pub price: Money,
}

/// The executed statement of the seat map: reports tie its plan to its digest, so the text is one.
pub const SEAT_MAP: &str = "SELECT id, number, price FROM seats WHERE schedule_id = ? AND status = 0 ORDER BY number";
/// The same with a cast, which no index serves (mutant D13).
const SEAT_MAP_CAST: &str = "SELECT id, number, price FROM seats WHERE CAST(schedule_id AS CHAR) = CAST(? AS CHAR) AND status = 0 ORDER BY number";

/// The executed statement of a page of dates.
pub const SCHEDULES: &str = "SELECT s.id, s.starts_at_ms, \
     (SELECT COUNT(*) FROM seats x WHERE x.schedule_id = s.id AND x.status = 0) \
     FROM schedules s WHERE s.concert_id = ? AND (s.starts_at_ms > ? OR (s.starts_at_ms = ? AND s.id > ?)) \
     ORDER BY s.starts_at_ms, s.id LIMIT ?";

impl Store {
    /// The seats of a date that are on sale, by number; `None` when there is no such date.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn seat_map(&self, schedule: ScheduleId) -> Result<Option<Vec<SeatLine>>, StoreError> {
        let text = if self.mutants().has(Mutant::D13) {
            SEAT_MAP_CAST
        } else {
            SEAT_MAP
        };
        read_on!(self, "seat_map", |connection| {
            let rows = sqlx::query(text)
                .bind(schedule.raw())
                .fetch_all(&mut *connection)
                .await?;
            let mut seats = Vec::with_capacity(rows.len());
            for row in rows {
                seats.push(SeatLine {
                    id: SeatId::from_raw(row.try_get(0)?).ok_or(StoreError::Corrupt("seats"))?,
                    number: row.try_get(1)?,
                    price: Money::new(row.try_get(2)?).ok_or(StoreError::Corrupt("seats"))?,
                });
            }
            // Sold out and unknown look alike in `seats`; only then is the second question asked.
            if seats.is_empty() {
                let known = sqlx::query("SELECT 1 FROM schedules WHERE id = ?")
                    .bind(schedule.raw())
                    .fetch_optional(&mut *connection)
                    .await?;
                return Ok(known.map(|_| seats));
            }
            Ok(Some(seats))
        })
    }

    /// Dates of a concert after the cursor `(starts_at, id)`, at most `limit`; `None` when there is no such concert.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn schedules(
        &self,
        concert: ConcertId,
        after: Option<(Timestamp, ScheduleId)>,
        limit: u32,
    ) -> Result<Option<Vec<ScheduleLine>>, StoreError> {
        let (after_ms, after_id) = after.map_or((i64::MIN, -1), |(at, id)| (at.unix_ms(), id.raw()));
        read_on!(self, "schedules", |connection| {
            let rows = sqlx::query(SCHEDULES)
                .bind(concert.raw())
                .bind(after_ms)
                .bind(after_ms)
                .bind(after_id)
                .bind(limit)
                .fetch_all(&mut *connection)
                .await?;
            let mut lines = Vec::with_capacity(rows.len());
            for row in rows {
                lines.push(ScheduleLine {
                    id: ScheduleId::from_raw(row.try_get(0)?).ok_or(StoreError::Corrupt("schedules"))?,
                    starts_at: Timestamp::from_unix_ms(row.try_get(1)?),
                    seats_left: row.try_get(2)?,
                });
            }
            if lines.is_empty() {
                let known = sqlx::query("SELECT 1 FROM concerts WHERE id = ?")
                    .bind(concert.raw())
                    .fetch_optional(&mut *connection)
                    .await?;
                return Ok(known.map(|_| lines));
            }
            Ok(Some(lines))
        })
    }

    /// Whether there is such a seat, on sale or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn seat_exists(&self, seat: SeatId) -> Result<bool, StoreError> {
        read_on!(self, "seat_exists", |connection| {
            let found = sqlx::query("SELECT 1 FROM seats WHERE id = ?")
                .bind(seat.raw())
                .fetch_optional(connection)
                .await?;
            Ok(found.is_some())
        })
    }

    /// The date of a seat, for the mutant that changes the cache before it commits.
    pub(crate) async fn schedule_of(&self, seat: SeatId) -> Result<Option<ScheduleId>, StoreError> {
        read_on!(self, "schedule_of", |connection| {
            let found: Option<i64> = sqlx::query_scalar("SELECT schedule_id FROM seats WHERE id = ?")
                .bind(seat.raw())
                .fetch_optional(connection)
                .await?;
            Ok(found.and_then(ScheduleId::from_raw))
        })
    }

    /// Runs `work` while a connection is held, for the mutant whose checks borrow one that they do not need.
    pub(crate) async fn holding_a_connection<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        read_on!(self, "holding_a_connection", |connection| {
            sqlx::query("SELECT 1").execute(connection).await?;
            Ok(work.await)
        })
    }

    /// Whether the database answers, and takes changes: readers of an SQLite file go on while somebody else holds its only
    /// write lock.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let answered: Result<(), StoreError> = read_on!(self, "ping", |connection| {
            sqlx::query("SELECT 1").execute(connection).await?;
            Ok(())
        });
        answered?;
        if let Engine::Sqlite { writer, .. } = self.engine() {
            let mut acquired = self.acquire("writer", writer).await?;
            let call = self.begin("ping");
            let taken = async {
                let transaction = sqlx::Connection::begin_with(&mut *acquired, "BEGIN IMMEDIATE").await?;
                transaction.rollback().await?;
                Ok(())
            };
            return call.end(taken.await);
        }
        Ok(())
    }
}
