//! What there is to ask for: users, concerts and their dates, as the service's seeding wrote them down.
//!
//! Variants of an experiment get disjoint parts where state is used up, so that one does not sell the other's seats.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

/// The file that seeding writes.
#[derive(Clone, Debug, Deserialize)]
pub struct Catalogue {
    pub seed: u64,
    pub users: Vec<Uuid>,
    pub concerts: Vec<Concert>,
    /// Digest of the data that was written.
    pub data_hash: String,
}

/// A concert and its dates.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Concert {
    pub concert_id: Uuid,
    pub schedules: Vec<ConcertDate>,
}

/// One date of a concert.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct ConcertDate {
    pub schedule_id: Uuid,
    /// How many seats were made.
    pub seats: u64,
}

/// The users and concerts that one target's load may use.
#[derive(Clone, Debug)]
pub struct CataloguePart {
    pub users: Arc<[Uuid]>,
    pub concerts: Arc<[Concert]>,
}

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file cannot be read.
    #[error("cannot read the catalogue {path}; `service seed --catalogue` writes it")]
    Read { path: String, source: std::io::Error },
    /// It is not what seeding writes.
    #[error("{path} is not a catalogue as `service seed` writes it")]
    Parse { path: String, source: serde_json::Error },
}

impl Catalogue {
    /// Reads the file that seeding wrote.
    ///
    /// # Errors
    /// When it is missing or not a catalogue.
    pub fn load(path: &Path) -> Result<Self, CatalogueError> {
        let name = || path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| CatalogueError::Read { path: name(), source })?;
        serde_json::from_slice(&bytes).map_err(|source| CatalogueError::Parse { path: name(), source })
    }

    /// All of it.
    pub fn whole(&self) -> CataloguePart {
        self.part(0, 1)
    }

    /// Every `of`-th user and concert from `n`: as many popular ones as any other part.
    pub fn part(&self, n: usize, of: usize) -> CataloguePart {
        let of = of.max(1);
        CataloguePart {
            users: self.users.iter().skip(n).step_by(of).copied().collect(),
            concerts: self.concerts.iter().skip(n).step_by(of).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_leave_nothing_out() {
        let text = r#"{"seed": 7, "data_hash": "sha256:0", "totals": {"users": 5},
            "users": ["01890a5d-ac96-774b-bcce-b302099a8001","01890a5d-ac96-774b-bcce-b302099a8002","01890a5d-ac96-774b-bcce-b302099a8003"],
            "concerts": [{"concert_id": "01890a5d-ac96-774b-bcce-b302099a8004",
                          "schedules": [{"schedule_id": "01890a5d-ac96-774b-bcce-b302099a8005", "seats": 50}]}]}"#;
        let catalogue: Catalogue = serde_json::from_str(text).unwrap();
        let (one, two) = (catalogue.part(0, 2), catalogue.part(1, 2));
        assert_eq!((one.users.len(), two.users.len()), (2, 1));
        assert!(one.users.iter().all(|user| !two.users.contains(user)));
        assert_eq!((one.concerts.len(), two.concerts.len()), (1, 0));
        assert_eq!(catalogue.whole().users.len(), 3);
    }

    #[test]
    fn a_missing_and_a_wrong_file_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        assert!(Catalogue::load(&path).unwrap_err().to_string().contains("c.json"));
        std::fs::write(&path, "{}").unwrap();
        assert!(
            Catalogue::load(&path)
                .unwrap_err()
                .to_string()
                .contains("not a catalogue")
        );
    }
}
