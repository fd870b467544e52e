//! The books of a run: what became of every arrival, apart by slice and variant.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::arrivals::{Arrival, Blame, LATE};
use super::selector::Slice;
use crate::recording::{Accounting, Outcome};

/// Which books an arrival stands in: number of the slice, index of the variant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Account {
    /// 0 outside any slice, and for the whole of a run that is no experiment.
    pub slice: u32,
    pub variant: u16,
}

/// Shared by all users. One short lock an arrival, at its start and at its end.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    books: Mutex<BTreeMap<Account, Accounting>>,
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
    pub(crate) fn dropped(&self, slice: Slice) {
        self.with(slice, |book| {
            book.scheduled += 1;
            book.dropped += 1;
        });
    }

    pub(crate) fn started(&self, slice: Slice, arrival: &Arrival) {
        let is_late = arrival.taken.since(arrival.due) > LATE;
        self.with(slice, |book| {
            book.scheduled += 1;
            book.started += 1;
            if is_late {
                book.late += 1;
                match arrival.blame {
                    Blame::Generator => book.late_by_generator += 1,
                    Blame::UsersExhausted => book.late_by_busy_users += 1,
                }
            }
        });
    }

    /// `None` is a journey that was cut off.
    pub(crate) fn ended(&self, slice: Slice, outcome: Option<Outcome>) {
        self.with(slice, |book| match outcome {
            Some(outcome) if outcome.is_served() => book.ok += 1,
            Some(_) => book.failed += 1,
            None => book.unfinished += 1,
        });
    }

    pub(crate) fn books(&self) -> BTreeMap<Account, Accounting> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with(&self, slice: Slice, change: impl FnOnce(&mut Accounting)) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        change(books.entry(slice.into()).or_default());
    }
}

/// All books added up.
pub fn total(books: &BTreeMap<Account, Accounting>) -> Accounting {
    let mut total = Accounting::default();
    for book in books.values() {
        total.add(book);
    }
    total
}
