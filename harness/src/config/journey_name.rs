//! A journey's name in YAML, as the key of a map or in a list.

use std::fmt;

use serde::de::{Deserializer, Error, IntoDeserializer as _, Visitor};
use serde::{Deserialize, Serialize};

use super::scenario::JourneyKind;

/// A journey by its name. It is read as text: of a key that is read as an enum, nobody learns its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct JourneyName(pub(super) JourneyKind);

impl<'de> Deserialize<'de> for JourneyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = JourneyName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a journey")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<JourneyName, E> {
                JourneyKind::deserialize(name.into_deserializer()).map(JourneyName)
            }
        }
        deserializer.deserialize_str(Name)
    }
}
