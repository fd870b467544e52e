//! How long to wait before another attempt: growing, bounded, and spread by a seeded jitter.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The share of a wait by which the jitter may shorten or lengthen it.
const JITTER_RATIO: f64 = 0.2;

/// Doubling waits with a ceiling.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Before the first retry.
    pub first: Duration,
    /// Never longer than this, jitter included.
    pub ceiling: Duration,
    /// The same seed gives the same waits.
    pub seed: u64,
}

impl Backoff {
    /// The wait before retry number `retry` (from 1) of whatever `salt` identifies. Records that failed together do
    /// not come back together, and yet a run can be repeated.
    pub fn wait(&self, retry: u32, salt: u64) -> Duration {
        let doublings = retry.saturating_sub(1).min(32);
        let plain = self
            .first
            .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed ^ salt.rotate_left(17) ^ u64::from(retry));
        let factor = generator.random_range(1.0 - JITTER_RATIO..=1.0 + JITTER_RATIO);
        plain.min(self.ceiling).mul_f64(factor).min(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(200),
        ceiling: Duration::from_secs(10),
        seed: 42,
    };

    #[test]
    fn grows_to_the_ceiling() {
        #[track_caller]
        fn check(retry: u32, about_ms: u64) {
            let wait = BACKOFF.wait(retry, 7);
            let about = Duration::from_millis(about_ms);
            assert!(
                wait >= about.mul_f64(0.79) && wait <= about.mul_f64(1.21),
                "retry {retry}: {wait:?}"
            );
        }
        check(1, 200);
        check(2, 400);
        check(3, 800);
        check(6, 6_400);
        check(7, 10_000);
        check(u32::MAX, 10_000);
    }

    proptest! {
        #[test]
        fn repeats_by_seed_and_never_passes_the_ceiling(retry in 1_u32.., salt in any::<u64>(), seed in any::<u64>()) {
            let backoff = Backoff { seed, ..BACKOFF };
            prop_assert_eq!(backoff.wait(retry, salt), backoff.wait(retry, salt));
            prop_assert!(backoff.wait(retry, salt) <= backoff.ceiling);
        }
    }
}
