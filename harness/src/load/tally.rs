//! The books of a run: what became of every arrival, apart by slice and variant.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::arrivals::{Arrival, Blame, LATE};
use super::selector::Slice;
use crate::recording::{Accounting, Lateness, Outcome};

/// Which books an arrival stands in: number of the slice, index of the variant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Account {
    /// 0 outside any slice, and for the whole of a run that is no experiment.
    pub slice: u32,
    pub variant: u16,
}

/// Books that some of the users share.
type Share = Mutex<BTreeMap<Account, Accounting>>;

/// Shared by all users. Each writes twice an arrival, into books that it shares with few others, lest they wait for each
/// other.
#[derive(Debug)]
pub(crate) struct Tally {
    shares: [Share; 16],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            shares: std::array::from_fn(|_| Share::default()),
        }
    }
}

impl From<Slice> for Account {
    fn from(slice: Slice) -> Self {
        Self {
            slice: slice.number,
            variant: slice.variant,
        }
    }
}

impl Tally {
    pub(crate) fn dropped(&self, user: usize, slice: Slice, arrival: &Arrival) {
        self.with(user, slice, |book| {
            book.scheduled += 1;
            book.dropped += 1;
            book.dropped_by_generator += u64::from(arrival.blame == Blame::Generator);
        });
    }

    pub(crate) fn started(&self, user: usize, slice: Slice, arrival: &Arrival) {
        let is_visit = arrival.blame == Blame::Visit;
        let is_overslept = is_visit && arrival.taken.since(arrival.due) > LATE;
        self.with(user, slice, |book| {
            book.scheduled += 1;
            book.started += 1;
            book.visits += u64::from(is_visit);
            book.late_visits += u64::from(is_overslept);
        });
    }

    /// `late` is whose doing it was that it began late, known only now: it may have waited for a connection. An outcome of
    /// `None` is a journey that was cut off.
    pub(crate) fn ended(&self, user: usize, slice: Slice, late: Option<Lateness>, outcome: Option<Outcome>) {
        self.with(user, slice, |book| {
            match outcome {
                Some(outcome) if outcome.is_served() => book.ok += 1,
                Some(_) => book.failed += 1,
                None => book.unfinished += 1,
            }
            match late {
                Some(Lateness::Generator) => book.late_by_generator += 1,
                Some(Lateness::BusyUsers) => book.late_by_busy_users += 1,
                // A visit keeps no arrival waiting.
                Some(Lateness::Untimed) | None => return,
            }
            book.late += 1;
        });
    }

    /// What all users wrote, added up.
    pub(crate) fn books(&self) -> BTreeMap<Account, Accounting> {
        let mut books = BTreeMap::<Account, Accounting>::new();
        for share in &self.shares {
            for (account, book) in &*lock(share) {
                books.entry(*account).or_default().add(book);
            }
        }
        books
    }

    fn with(&self, user: usize, slice: Slice, change: impl FnOnce(&mut Accounting)) {
        let mut books = lock(&self.shares[user % self.shares.len()]);
        change(books.entry(slice.into()).or_default());
    }
}

fn lock(share: &Share) -> MutexGuard<'_, BTreeMap<Account, Accounting>> {
    share.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All books added up.
pub fn total(books: &BTreeMap<Account, Accounting>) -> Accounting {
    let mut total = Accounting::default();
    for book in books.values() {
        total.add(book);
    }
    total
}
