//! Dates of a concert, page by page.

use super::{Booking, Failure};
use crate::domain::{ConcertId, ScheduleId, Timestamp};
use crate::store::seats::ScheduleLine;

/// The last line of the page before.
pub type Cursor = (Timestamp, ScheduleId);

/// A page of dates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The dates.
    pub schedules: Vec<ScheduleLine>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<Cursor>,
}

impl Booking {
    /// Dates of `concert` after `cursor`, at most `limit`.
    ///
    /// # Errors
    /// When there is no such concert, or the database is away.
    pub async fn schedules(&self, concert: ConcertId, cursor: Option<Cursor>, limit: u32) -> Result<Page, Failure> {
        // One more than asked for tells whether there is a next page.
        let found = self.seen("schedules", self.store.schedules(concert, cursor, limit + 1).await)?;
        let mut schedules = found.ok_or(Failure::NotFound("concert"))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let next = (schedules.len() > limit)
            .then(|| schedules.get(limit - 1).map(|last| (last.starts_at, last.id)))
            .flatten();
        schedules.truncate(limit);
        Ok(Page { schedules, next })
    }
}
