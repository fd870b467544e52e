//! Maps by id, where millions are looked up: the ids are random enough that hashing them well would be a waste.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use crate::recording::history::Uid;

/// A map whose keys are ids.
pub(super) type UidMap<V> = HashMap<Uid, V, BuildHasherDefault<UidHasher>>;

/// A set of ids.
pub(super) type UidSet = HashSet<Uid, BuildHasherDefault<UidHasher>>;

/// Multiplies and rotates, which is enough to spread ids over buckets; nobody attacks a ledger with chosen ids.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct UidHasher(u64);

impl Hasher for UidHasher {
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.wrapping_add(word).wrapping_mul(0xf135_7aea_2e62_a9c5);
    }
}
