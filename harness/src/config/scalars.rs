//! Scalars of configuration files, each with its unit in the text: `20s`, `300/s`, `70%`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::units::{Percent, RatePerSec};

/// A length of time, written as in `1m 30s`, `20s` or `250ms`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span(pub Duration);

/// Arrivals a second, written as in `300/s` or `90/min`.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Rate(pub RatePerSec);

/// A share of a whole, written as in `70%`.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Share(pub Percent);

/// How late an arrival may start before it is dropped: a length of time, or `never` dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lateness(pub Option<Duration>);

impl Span {
    const FORM: &'static str = "a length of time such as `20s`, `250ms` or `1m 30s`";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse_as(text, Self::FORM)
    }

    /// Of something that may be said in the words of `form`.
    fn parse_as(text: &str, form: &str) -> Result<Self, String> {
        if text.trim().parse::<f64>().is_ok() && text.trim() != "0" {
            return Err(no_unit(text, &format!("`{}s`", text.trim()), form));
        }
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|error| format!("`{text}` is not {form}: {error}"))
    }
}

impl Rate {
    const FORM: &'static str = "a rate such as `300/s` or `90/min`";

    fn parse(text: &str) -> Result<Self, String> {
        let Some((number, unit)) = text.split_once('/') else {
            return Err(match text.trim().parse::<f64>() {
                Ok(_) => no_unit(text, &format!("`{}/s`", text.trim()), Self::FORM),
                Err(_) => format!("`{text}` is not {}", Self::FORM),
            });
        };
        let seconds = match unit.trim() {
            "s" => 1.0,
            "min" => 60.0,
            other => return Err(format!("`{text}` is not {}: unknown unit `/{other}`", Self::FORM)),
        };
        match number.trim().parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(Self(RatePerSec(number / seconds))),
            _ => Err(format!("`{text}` is not {}: the number must be 0 or more", Self::FORM)),
        }
    }
}

impl Share {
    const FORM: &'static str = "a share such as `70%`";

    fn parse(text: &str) -> Result<Self, String> {
        let Some(number) = text.trim().strip_suffix('%') else {
            return Err(match text.trim().parse::<f64>() {
                Ok(_) => no_unit(text, &format!("`{}%`", text.trim()), Self::FORM),
                Err(_) => format!("`{text}` is not {}", Self::FORM),
            });
        };
        match number.trim().parse::<f64>() {
            Ok(number) if (0.0..=100.0).contains(&number) => Ok(Self(Percent(number))),
            _ => Err(format!(
                "`{text}` is not {}: it must lie between 0% and 100%",
                Self::FORM
            )),
        }
    }
}

impl Lateness {
    const FORM: &'static str = "`never`, or a length of time such as `250ms`";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        Span::parse_as(text, Self::FORM).map(|span| Self(Some(span.0)))
    }
}

fn no_unit(text: &str, suggestion: &str, form: &str) -> String {
    format!("`{text}` has no unit; write {suggestion} if that is meant: {form} is expected")
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0.0)
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(duration) => Span(duration).fmt(f),
            None => f.write_str("never"),
        }
    }
}

macro_rules! as_text {
    ($($type:ident),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($type::FORM)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        $type::parse(text).map_err(E::custom)
                    }

                    // YAML reads a bare number as a number; the text says better what is missing.
                    fn visit_u64<E: Error>(self, number: u64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_i64<E: Error>(self, number: i64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_f64<E: Error>(self, number: f64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
    )+};
}

as_text!(Span, Rate, Share, Lateness);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused<T: serde::de::DeserializeOwned + fmt::Debug>(yaml: &str, part: &str) {
        let error = serde_yaml::from_str::<T>(yaml)
            .expect_err("should be refused")
            .to_string();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn a_missing_or_wrong_unit_is_named_with_the_expected_form() {
        refused::<Rate>("300", "`300` has no unit; write `300/s`");
        refused::<Rate>("300/d", "unknown unit `/d`");
        refused::<Rate>("-3/s", "0 or more");
        refused::<Rate>("20s", "a rate such as `300/s`");
        refused::<Span>("20", "`20` has no unit; write `20s`");
        refused::<Span>("2 fortnights", "a length of time such as");
        refused::<Span>("[1]", "a length of time such as");
        refused::<Share>("70", "write `70%`");
        refused::<Share>("170%", "between 0% and 100%");
        refused::<Lateness>("250", "write `250s`");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["20s", "1m 30s", "250ms", "0s"] {
            let span: Span = serde_yaml::from_str(text).unwrap();
            assert_eq!(span.to_string(), text);
        }
        let rate: Rate = serde_yaml::from_str("90/min").unwrap();
        assert_eq!(rate.to_string(), "1.5/s");
        let lateness: Lateness = serde_yaml::from_str("never").unwrap();
        assert_eq!((lateness.0, lateness.to_string().as_str()), (None, "never"));
    }
}
