//! The data of a run in its manifest, and that variants which are compared were given the same.

use super::error::RunError;
use crate::plan::spec::Dataset;
use crate::recording::model::DataFacts;

/// What a dataset is in the manifest.
pub(super) fn data_facts(data: &Dataset, variants: Vec<u16>, hash: &str) -> DataFacts {
    DataFacts {
        variants,
        seed: data.seed,
        users: data.users.into(),
        concerts: data.concerts.into(),
        schedules: u64::from(data.concerts) * u64::from(data.schedules_per_concert),
        seats: data.seats(),
        hash: hash.to_owned(),
    }
}

/// The hash that all variants' data have; `None` without variants.
pub(super) fn one_hash<'a>(mut hashes: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Option<&'a str>, RunError> {
    let Some((one, one_hash)) = hashes.next() else {
        return Ok(None);
    };
    match hashes.find(|(_, hash)| *hash != one_hash) {
        None => Ok(Some(one_hash)),
        Some((other, other_hash)) => Err(RunError::UnequalData {
            one: one.to_owned(),
            one_hash: one_hash.to_owned(),
            other: other.to_owned(),
            other_hash: other_hash.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_with_different_data_are_not_compared() {
        let hash = |hashes: &[(&'static str, &'static str)]| one_hash(hashes.iter().copied());
        assert_eq!(hash(&[]).unwrap(), None);
        assert_eq!(hash(&[("off", "a"), ("redis", "a")]).unwrap(), Some("a"));
        let refused = hash(&[("off", "a"), ("redis", "a"), ("tiered", "b")]).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("variants `off` and `tiered` were seeded alike and hold different data (a and b)"),
            "{refused}"
        );
    }
}
