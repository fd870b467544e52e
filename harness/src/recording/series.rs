//! `series.ndjson`: everything that was scraped. A series is defined once; a scrape then names only what has changed.
//! A failed scrape is a gap, and a series that a source no longer shows is absent: neither is ever a zero.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::appender::Appender;
use super::error::RecordError;
use crate::units::Nanos;

/// The number of a series within its recording.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesId(pub u32);

/// What a series' numbers mean, as in the Prometheus text format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeriesKind {
    Counter,
    Gauge,
    /// A bucket, sum or count of a histogram: cumulative, like a counter.
    Histogram,
    Summary,
    Untyped,
}

/// A series as it is told apart from all others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeriesDef {
    pub id: SeriesId,
    /// What was asked: `service:redis` (with the variant's name), `mysql`, `redis`, `kafka`, `process:…`.
    pub source: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub kind: SeriesKind,
}

/// One line of the file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    Define {
        series: SeriesDef,
    },
    /// A scrape that succeeded: series whose value is another than at the scrape before.
    Scrape {
        t: Nanos,
        source: String,
        changed: Vec<(SeriesId, Number)>,
    },
    Gap {
        t: Nanos,
        source: String,
        reason: String,
    },
}

/// JSON knows no infinities; Prometheus does, and their names stand in strings. `None` is "no longer shown".
#[derive(Clone, Copy)]
struct Number(Option<f64>);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_unit(),
            Some(value) if value.is_finite() => serializer.serialize_f64(value),
            Some(value) if value.is_nan() => serializer.serialize_str("NaN"),
            Some(value) => serializer.serialize_str(if value > 0.0 { "+Inf" } else { "-Inf" }),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl de::Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number, null, \"NaN\", \"+Inf\" or \"-Inf\"")
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        Ok(Number(Some(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number(Some(value as f64)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(Number(Some(value as f64)))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Number, E> {
        match name {
            "NaN" => Ok(Number(Some(f64::NAN))),
            "+Inf" => Ok(Number(Some(f64::INFINITY))),
            "-Inf" => Ok(Number(Some(f64::NEG_INFINITY))),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }
}

/// Writes the file. Reached through [`super::RecordingWriter::series`].
#[derive(Debug)]
pub struct SeriesWriter {
    file: Appender,
    ids: HashMap<(String, String, BTreeMap<String, String>), SeriesId>,
    /// By source: the last value of each series it showed, and the number of the scrape that showed it.
    shown: HashMap<String, Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    scrape: u64,
    last: BTreeMap<SeriesId, (f64, u64)>,
}

impl SeriesWriter {
    pub(crate) fn new(file: Appender) -> Self {
        Self {
            file,
            ids: HashMap::new(),
            shown: HashMap::new(),
        }
    }

    /// The number of a series; defines it on first use.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn define(
        &mut self,
        source: &str,
        name: &str,
        labels: &BTreeMap<String, String>,
        kind: SeriesKind,
    ) -> Result<SeriesId, RecordError> {
        let key = (source.to_owned(), name.to_owned(), labels.clone());
        if let Some(&id) = self.ids.get(&key) {
            return Ok(id);
        }
        let id = SeriesId(u32::try_from(self.ids.len()).unwrap_or(u32::MAX));
        let series = SeriesDef {
            id,
            source: source.to_owned(),
            name: name.to_owned(),
            labels: labels.clone(),
            kind,
        };
        self.file.append_line(&Line::Define { series })?;
        self.ids.insert(key, id);
        Ok(id)
    }

    /// A scrape that succeeded, with *every* series that the source showed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn sample(&mut self, t: Nanos, source: &str, values: &[(SeriesId, f64)]) -> Result<(), RecordError> {
        let shown = self.shown.entry(source.to_owned()).or_default();
        shown.scrape += 1;
        let mut changed = Vec::new();
        for &(id, value) in values {
            let before = shown.last.insert(id, (value, shown.scrape));
            // Compared by bits: NaN equals itself, and -0 is another number than 0.
            if before.is_none_or(|(before, _)| before.to_bits() != value.to_bits()) {
                changed.push((id, Number(Some(value))));
            }
        }
        let this_scrape = shown.scrape;
        shown.last.retain(|&id, &mut (_, seen)| {
            let still_there = seen == this_scrape;
            if !still_there {
                changed.push((id, Number(None)));
            }
            still_there
        });
        self.file.append_line(&Line::Scrape {
            t,
            source: source.to_owned(),
            changed,
        })
    }

    /// A scrape that failed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn gap(&mut self, t: Nanos, source: &str, reason: &str) -> Result<(), RecordError> {
        self.file.append_line(&Line::Gap {
            t,
            source: source.to_owned(),
            reason: reason.to_owned(),
        })
    }

    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        self.file.flush()
    }

    pub(crate) fn sync(&mut self) -> Result<(), RecordError> {
        self.file.sync()
    }
}

/// What was scraped, read back.
#[derive(Clone, Debug, Default)]
pub struct SeriesSet {
    sources: BTreeMap<String, Source>,
    series: Vec<Series>,
    by_name: HashMap<String, Vec<usize>>,
}

/// One thing that was scraped.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Moments of successful scrapes, in order.
    pub scrapes: Vec<Nanos>,
    /// Moments of failed ones, with the reason.
    pub gaps: Vec<(Nanos, String)>,
}

/// One series with its values.
#[derive(Clone, Debug)]
pub struct Series {
    pub def: SeriesDef,
    /// Index of a scrape of the source, and the value from there on; `None` where it vanished.
    changes: Vec<(u32, Option<f64>)>,
}

impl SeriesSet {
    /// Reads the lines of a file, all of them whole.
    pub(crate) fn parse(path: &std::path::Path, bytes: &[u8]) -> Result<Self, RecordError> {
        let mut set = Self::default();
        let mut places: HashMap<SeriesId, usize> = HashMap::new();
        for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let malformed = |reason: String| RecordError::malformed(path, number + 1, reason);
            match serde_json::from_slice(line).map_err(|error| malformed(error.to_string()))? {
                Line::Define { series: def } => {
                    places.insert(def.id, set.series.len());
                    set.by_name.entry(def.name.clone()).or_default().push(set.series.len());
                    set.sources.entry(def.source.clone()).or_default();
                    set.series.push(Series {
                        def,
                        changes: Vec::new(),
                    });
                }
                Line::Scrape { t, source, changed } => {
                    let source = set.sources.entry(source).or_default();
                    let scrape = u32::try_from(source.scrapes.len()).map_err(|error| malformed(error.to_string()))?;
                    source.scrapes.push(t);
                    for (id, Number(value)) in changed {
                        let place = places
                            .get(&id)
                            .ok_or_else(|| malformed(format!("series {} is undefined", id.0)))?;
                        set.series[*place].changes.push((scrape, value));
                    }
                }
                Line::Gap { t, source, reason } => set.sources.entry(source).or_default().gaps.push((t, reason)),
            }
        }
        Ok(set)
    }

    /// Everything that was scraped, by name.
    pub fn sources(&self) -> &BTreeMap<String, Source> {
        &self.sources
    }

    /// Every series, in the order of definition.
    pub fn iter(&self) -> impl Iterator<Item = &Series> {
        self.series.iter()
    }

    /// The series with this name, whatever their source and labels, in the order of definition.
    pub fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Series> {
        self.by_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|&place| &self.series[place])
    }

    /// A series' values: one for each successful scrape of its source that showed it.
    pub fn points<'a>(&'a self, series: &'a Series) -> impl Iterator<Item = (Nanos, f64)> + 'a {
        let scrapes = self
            .sources
            .get(&series.def.source)
            .map_or(&[][..], |source| &source.scrapes);
        series.changes.iter().enumerate().flat_map(move |(at, &(from, value))| {
            let until = series
                .changes
                .get(at + 1)
                .map_or(scrapes.len(), |&(next, _)| next as usize);
            let during = scrapes.get(from as usize..until).unwrap_or_default();
            during.iter().filter_map(move |&t| value.map(|value| (t, value)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn written(write: impl FnOnce(&mut SeriesWriter)) -> SeriesSet {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("series.ndjson");
        let mut writer = SeriesWriter::new(Appender::create(path.clone()).unwrap());
        write(&mut writer);
        writer.flush().unwrap();
        SeriesSet::parse(&path, &std::fs::read(&path).unwrap()).unwrap()
    }

    fn points(set: &SeriesSet, name: &str) -> Vec<(u64, f64)> {
        let series = set.named(name).next().unwrap();
        set.points(series).map(|(t, value)| (t.0, value)).collect()
    }

    #[test]
    fn unchanged_values_are_stored_once_and_read_back_at_every_scrape() {
        let set = written(|writer| {
            let up = writer
                .define("service:a", "up", &labels(&[]), SeriesKind::Gauge)
                .unwrap();
            let total = writer
                .define("service:a", "total", &labels(&[("code", "200")]), SeriesKind::Counter)
                .unwrap();
            assert_eq!(
                writer
                    .define("service:a", "up", &labels(&[]), SeriesKind::Gauge)
                    .unwrap(),
                up
            );
            for (t, value) in [(1, 5.0), (2, 5.0), (3, 7.0)] {
                writer
                    .sample(Nanos(t), "service:a", &[(up, 1.0), (total, value)])
                    .unwrap();
            }
        });
        assert_eq!(points(&set, "up"), [(1, 1.0), (2, 1.0), (3, 1.0)]);
        assert_eq!(points(&set, "total"), [(1, 5.0), (2, 5.0), (3, 7.0)]);
        assert_eq!(set.named("total").next().unwrap().changes.len(), 2);
    }

    #[test]
    fn a_failed_scrape_is_a_gap_and_a_vanished_series_is_absent() {
        let set = written(|writer| {
            let a = writer.define("mysql", "a", &labels(&[]), SeriesKind::Gauge).unwrap();
            let b = writer.define("mysql", "b", &labels(&[]), SeriesKind::Gauge).unwrap();
            writer
                .sample(Nanos(1), "mysql", &[(a, 0.0), (b, f64::INFINITY)])
                .unwrap();
            writer.gap(Nanos(2), "mysql", "connection refused").unwrap();
            writer.sample(Nanos(3), "mysql", &[(a, 0.0)]).unwrap();
            writer
                .sample(Nanos(4), "mysql", &[(a, 0.0), (b, f64::INFINITY)])
                .unwrap();
        });
        assert_eq!(points(&set, "a"), [(1, 0.0), (3, 0.0), (4, 0.0)]);
        assert_eq!(points(&set, "b"), [(1, f64::INFINITY), (4, f64::INFINITY)]);
        assert_eq!(
            set.sources()["mysql"].gaps,
            [(Nanos(2), "connection refused".to_owned())]
        );
    }

    #[test]
    fn not_a_number_survives() {
        let set = written(|writer| {
            let a = writer.define("s", "a", &labels(&[]), SeriesKind::Gauge).unwrap();
            writer.sample(Nanos(1), "s", &[(a, f64::NAN)]).unwrap();
        });
        assert!(set.points(set.named("a").next().unwrap()).next().unwrap().1.is_nan());
    }
}
