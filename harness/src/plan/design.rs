//! The order of an experiment: which variant runs in which slice. Pure, seeded, written down before anything starts.
//!
//! A block holds one slice of each variant in a random order of its own, so that what disturbs the machine for longer
//! than a slice meets every variant alike. A fixed order would not do: a disturbance with the period of a block would
//! always meet the same variant. After every few blocks all variants are launched again, since two launches of one
//! build differ by more than two slices of one launch.

use std::time::Duration;

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The fewest blocks that an effect may rest on: the exact signed-rank test reaches p = 1/4096 with 12.
pub const MIN_BLOCKS: u32 = 12;
/// The fewest launches that an effect may rest on.
pub const MIN_LAUNCHES: u32 = 3;
/// The start of a slice that no figure uses: connections and caches of the processor change hands in it.
pub const SETTLE: Duration = Duration::from_millis(250);

/// How an experiment is laid out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Design {
    /// Names of the variants; the first is the baseline.
    pub variants: Vec<String>,
    /// How many slices each variant gets.
    pub blocks: u32,
    /// How many times every variant is launched afresh.
    pub launches: u32,
    /// Length of a slice, its settling time included.
    pub slice_ms: u64,
    /// Decides the order in each block.
    pub seed: u64,
}

/// One slice to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlannedSlice {
    /// From 0.
    pub launch: u32,
    /// From 0.
    pub block: u32,
    /// From 1, over the whole experiment; 0 stands for work outside any slice.
    pub number: u32,
    /// Index into [`Design::variants`].
    pub variant: usize,
}

/// Why a design cannot carry a claim.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesignError {
    /// Nothing to compare.
    #[error("an experiment needs at least two variants, and {0} given")]
    TooFewVariants(usize),
    /// Fewer than [`MIN_BLOCKS`].
    #[error("an experiment needs at least {MIN_BLOCKS} blocks, and {0} are planned")]
    TooFewBlocks(u32),
    /// Fewer than [`MIN_LAUNCHES`], or more than there are blocks.
    #[error(
        "an experiment needs {MIN_LAUNCHES} launches or more and no more than its {blocks} blocks, and {launches} are planned"
    )]
    Launches {
        /// Planned launches.
        launches: u32,
        /// Planned blocks.
        blocks: u32,
    },
    /// Nothing would be left of a slice.
    #[error("a slice of {0} ms leaves too little after its first 250 ms; take 750 ms or more")]
    SliceTooShort(u64),
}

impl Design {
    /// Checks that effects may be claimed from this design.
    ///
    /// # Errors
    /// When it has too few variants, blocks or launches, or slices too short.
    pub fn check(&self) -> Result<(), DesignError> {
        if self.variants.len() < 2 {
            return Err(DesignError::TooFewVariants(self.variants.len()));
        }
        if self.blocks < MIN_BLOCKS {
            return Err(DesignError::TooFewBlocks(self.blocks));
        }
        if self.launches < MIN_LAUNCHES || self.launches > self.blocks {
            return Err(DesignError::Launches {
                launches: self.launches,
                blocks: self.blocks,
            });
        }
        if self.slice_ms < 750 {
            return Err(DesignError::SliceTooShort(self.slice_ms));
        }
        Ok(())
    }

    /// Length of a slice.
    pub const fn slice(&self) -> Duration {
        Duration::from_millis(self.slice_ms)
    }

    /// Every slice in the order in which it runs. Blocks are spread over the launches as evenly as they divide.
    pub fn slices(&self) -> Vec<PlannedSlice> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut planned = Vec::new();
        let mut number = 0;
        for block in 0..self.blocks {
            let launch = u32::try_from(u64::from(block) * u64::from(self.launches) / u64::from(self.blocks.max(1)))
                .unwrap_or(u32::MAX);
            let mut order: Vec<usize> = (0..self.variants.len()).collect();
            order.shuffle(&mut random);
            for variant in order {
                number += 1;
                planned.push(PlannedSlice {
                    launch,
                    block,
                    number,
                    variant,
                });
            }
        }
        planned
    }

    /// How long the slices take, launches not counted.
    pub fn measured_time(&self) -> Duration {
        self.slice() * self.blocks * u32::try_from(self.variants.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn design(variants: usize, blocks: u32, launches: u32, seed: u64) -> Design {
        Design {
            variants: (0..variants).map(|n| format!("v{n}")).collect(),
            blocks,
            launches,
            slice_ms: 1_000,
            seed,
        }
    }

    #[test]
    fn every_block_holds_every_variant_once_and_launches_are_even() {
        let slices = design(4, 12, 3, 7).slices();
        let mut by_block: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
        for slice in &slices {
            assert!(by_block.entry(slice.block).or_default().insert(slice.variant));
        }
        assert_eq!(by_block.len(), 12);
        assert!(by_block.values().all(|variants| variants.len() == 4));
        for launch in 0..3 {
            assert_eq!(slices.iter().filter(|slice| slice.launch == launch).count(), 16);
        }
        assert!(
            slices
                .windows(2)
                .all(|pair| pair[0].launch <= pair[1].launch && pair[0].number + 1 == pair[1].number)
        );
    }

    #[test]
    fn the_seed_decides_the_order_and_nothing_else_does() {
        assert_eq!(design(3, 12, 3, 1).slices(), design(3, 12, 3, 1).slices());
        assert_ne!(design(3, 12, 3, 1).slices(), design(3, 12, 3, 2).slices());
    }

    #[test]
    fn each_variant_leads_about_as_often() {
        let slices = design(2, 1_000, 3, 11).slices();
        let first_leads = slices.iter().step_by(2).filter(|slice| slice.variant == 0).count();
        // Binomial(1000, 1/2): six standard deviations are 95.
        assert!((405..=595).contains(&first_leads), "{first_leads}");
    }

    #[test]
    fn designs_that_cannot_carry_a_claim_are_refused() {
        assert_eq!(design(1, 12, 3, 0).check(), Err(DesignError::TooFewVariants(1)));
        assert_eq!(design(2, 11, 3, 0).check(), Err(DesignError::TooFewBlocks(11)));
        assert_eq!(
            design(2, 12, 2, 0).check(),
            Err(DesignError::Launches {
                launches: 2,
                blocks: 12
            })
        );
        assert_eq!(design(2, 12, 3, 0).check(), Ok(()));
    }
}
