//! What was counted: the series that tell of one variant, for the invariants that no client can see broken.

use std::time::Duration;

use crate::analysis::counter::increase;
use crate::analysis::experiment::{edge_source, service_source};
use crate::analysis::series::{Point, Reading, read_sum};
use crate::recording::SeriesSet;
use crate::recording::event::{Event, What};
use crate::recording::model::Manifest;
use crate::recording::series::Series;
use crate::units::Nanos;

/// The counters of one variant, and what is needed to read them.
#[derive(Debug)]
pub struct Counted<'a> {
    series: &'a SeriesSet,
    /// The source that is this variant's own process; `None` when it was not scraped.
    own: Option<String>,
    /// Whether the servers served this variant and no other.
    is_alone: bool,
    /// The index on the seats that was asked for; `None` for the one of the service's schema.
    pub(super) index: Option<&'a str>,
    /// How many dates there were to ask for, where that was noted.
    pub(super) dates: Option<u64>,
    /// Statements with their plans, each known to be one that the service executed.
    pub(super) plans: Vec<Planned<'a>>,
}

/// An executed statement and its plan, as the engine printed it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned<'a> {
    pub(super) statement: &'a str,
    pub(super) text: &'a str,
}

/// What one source showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    series: &'a SeriesSet,
    source: &'a str,
}

impl<'a> Counted<'a> {
    /// Finds what belongs to `variant`.
    pub fn of(series: &'a SeriesSet, manifest: &'a Manifest, events: &'a [Event], variant: u16) -> Self {
        let name = manifest.variant_name(variant);
        let own = [service_source(&name), edge_source(&name)]
            .into_iter()
            .find(|source| series.sources().contains_key(source));
        let settings = manifest.variants.get(usize::from(variant)).map(|it| &it.settings);
        let plans = events.iter().filter_map(|event| match &event.what {
            What::Plan {
                variant: of,
                statement,
                digest: Some(_),
                text,
            } if *of == variant => Some(Planned { statement, text }),
            _ => None,
        });
        Self {
            series,
            own,
            is_alone: manifest.variants.len() == 1,
            index: settings.and_then(|settings| settings.get("index")).map(String::as_str),
            dates: manifest.data_of(variant).map(|data| data.schedules),
            plans: plans.collect(),
        }
    }

    /// What the variant's own process showed.
    pub(super) fn page(&self) -> Option<Page<'_>> {
        self.own.as_deref().map(|source| Page {
            series: self.series,
            source,
        })
    }

    /// How long an entry of the cache lives, when some change could not be told to the cache and so waits for its end.
    pub(super) fn untold_changes(&self) -> Option<Duration> {
        let page = self.page()?;
        let failed = page.growth("booking_cache_invalidations_total", &[("result", "error")])?;
        (failed > 0.0).then(|| page.cache_ttl().unwrap_or(Duration::MAX))
    }

    /// What a server showed, if it served nobody else.
    pub(super) fn server(&self, source: &'a str) -> Option<Page<'a>> {
        let is_there = self.is_alone && self.series.sources().contains_key(source);
        is_there.then_some(Page {
            series: self.series,
            source,
        })
    }
}

impl<'a> Page<'a> {
    /// Moments at which it answered.
    pub(super) fn scrapes(self) -> &'a [Nanos] {
        self.series
            .sources()
            .get(self.source)
            .map_or(&[], |source| source.scrapes.as_slice())
    }

    /// Every series with this name.
    pub(super) fn named(self, name: &str) -> impl Iterator<Item = &'a Series> {
        self.series
            .named(name)
            .filter(move |series| series.def.source == self.source)
    }

    /// The value of a switch; `None` when the service does not say, or has been started with another.
    pub(super) fn switch(self, name: &str) -> Option<&'a str> {
        let mut values = self
            .named("booking_switch_info")
            .filter(|series| series.def.labels.get("switch").is_some_and(|switch| switch == name))
            .filter_map(|series| series.def.labels.get("value"));
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }

    /// How long an entry of the cache lives, as far as the service says.
    pub(super) fn cache_ttl(self) -> Option<Duration> {
        humantime::parse_duration(self.switch("cache.ttl")?).ok()
    }

    /// The sum of the matching series over time, failed scrapes included. `None` when there is no such series.
    pub(super) fn points(self, name: &str, labels: &[(&str, &str)]) -> Option<Vec<Point>> {
        read_sum(self.series, self.source, name, labels)
    }

    /// The same at each scrape that succeeded. A counter with labels appears with what it counts first, so that one which
    /// is absent stands at zero.
    pub(super) fn column(self, name: &str, labels: &[(&str, &str)]) -> Option<Vec<f64>> {
        let points = self.points(name, labels)?;
        let succeeded = points.iter().filter(|point| point.reading != Reading::Gap);
        Some(succeeded.map(|point| point.reading.value().unwrap_or(0.0)).collect())
    }

    /// How much the matching counters grew, over restarts. `None` when there is no such counter, or no two scrapes.
    pub(super) fn growth(self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        increase(&self.points(name, labels)?).map(|counted| counted.amount)
    }
}
