//! Which variant is asked now. An experiment's interleaver switches it; every journey looks once, at its start.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::units::Nanos;

/// One stretch of an experiment in which one variant is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    /// From 1; 0 is outside any slice, and stands for the whole of a run that is no experiment.
    pub number: u32,
    /// Index of the variant.
    pub variant: u16,
    /// When the slice began.
    pub start: Nanos,
}

/// Holds the current slice for all users at once, without a lock.
#[derive(Debug)]
pub struct Selector {
    /// Number and variant; [`SWITCHING`] while the start is being exchanged.
    word: AtomicU64,
    start: AtomicU64,
}

const SWITCHING: u64 = u64::MAX;

impl Selector {
    /// Asks `variant`, in slice 0, until it is switched.
    pub const fn new(variant: u16) -> Self {
        Self {
            word: AtomicU64::new(variant as u64),
            start: AtomicU64::new(0),
        }
    }

    /// Begins a slice. One task alone may switch.
    pub fn switch(&self, slice: Slice) {
        self.word.store(SWITCHING, Ordering::SeqCst);
        self.start.store(slice.start.0, Ordering::SeqCst);
        self.word.store(
            u64::from(slice.number) << 16 | u64::from(slice.variant),
            Ordering::SeqCst,
        );
    }

    /// The current slice.
    pub fn current(&self) -> Slice {
        loop {
            let word = self.word.load(Ordering::SeqCst);
            let start = self.start.load(Ordering::SeqCst);
            // The same word before and after means that the start between them is its own.
            if word != SWITCHING && word == self.word.load(Ordering::SeqCst) {
                let (number, variant) = ((word >> 16) as u32, (word & 0xffff) as u16);
                return Slice {
                    number,
                    variant,
                    start: Nanos(start),
                };
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_sees_a_slice_with_the_start_of_another() {
        let selector = Selector::new(3);
        assert_eq!(
            selector.current(),
            Slice {
                number: 0,
                variant: 3,
                start: Nanos(0)
            }
        );
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut last = 0;
                        while last < 20_000 {
                            let slice = selector.current();
                            assert_eq!(slice.start.0, u64::from(slice.number) * 10);
                            assert_eq!(
                                u32::from(slice.variant),
                                if slice.number == 0 { 3 } else { slice.number % 7 }
                            );
                            assert!(slice.number >= last);
                            last = slice.number;
                        }
                    })
                })
                .collect();
            for number in 1..=20_000 {
                selector.switch(Slice {
                    number,
                    variant: (number % 7) as u16,
                    start: Nanos(u64::from(number) * 10),
                });
            }
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
    }
}
