//! The chart of a run, second by second.

use super::document::Run;
use super::measured::Second;
use crate::chart::{self, Band, BandKind, Chart, Curve, CurveStyle, Figure, Key, Panel, Timeline};
use crate::format::Unit;
use crate::objectives::{Limit, Subject};
use crate::report::ChartBlock;

impl Run<'_> {
    pub(super) fn timeline(&self) -> ChartBlock {
        let seconds: Vec<(f64, &Second)> = self
            .measured
            .seconds
            .iter()
            .map(|second| (self.judgement.at(second.start) + second.length_s / 2.0, second))
            .filter(|(at, _)| *at >= 0.0)
            .collect();
        let curve = |name: &str, slot: usize, value: &dyn Fn(&Second) -> Option<f64>| Curve {
            key: Key::new(name, slot),
            style: CurveStyle::Line,
            points: seconds.iter().map(|(at, second)| (*at, value(second))).collect(),
        };
        let rate = |count: u64, second: &Second| (second.length_s > 0.0).then(|| count as f64 / second.length_s);
        let limits = self
            .judgement
            .judged
            .iter()
            .filter_map(|(objective, _)| match (objective.of, objective.limit) {
                (Subject::Journeys, Limit::Quantile { most, .. }) => Some(chart::Limit {
                    value: most.as_secs_f64(),
                    label: objective.limit.to_string(),
                }),
                _ => None,
            });
        let panel = |title: &str, unit: Unit, log: bool, curves: Vec<Curve>| Panel {
            title: title.to_owned(),
            unit,
            log,
            top: None,
            curves,
            limits: Vec::new(),
        };
        let mut journeys = vec![
            curve("ended well", 1, &|second| rate(second.ok, second)),
            curve("not served", 2, &|second| rate(second.unserved, second)),
        ];
        // Virtual users come when they are done: nobody can say beforehand how often.
        if self.judgement.scenario.has_arrivals() {
            journeys.insert(0, self.planned());
            journeys.insert(1, self.started());
        }
        let panels = vec![
            panel("journeys", Unit::PerSecond, false, journeys),
            Panel {
                limits: limits.collect(),
                ..panel(
                    "response time of journeys",
                    Unit::Seconds,
                    true,
                    vec![
                        curve("p50", 3, &|second| second.response_p50),
                        curve("p99", 4, &|second| second.response_p99),
                    ],
                )
            },
            panel(
                "how late journeys began, p99",
                Unit::Seconds,
                true,
                vec![
                    curve("generator late", 5, &|second| second.lag_p99),
                    curve("users exhausted", 6, &|second| second.wait_p99),
                ],
            ),
        ];
        let figure = match seconds.last() {
            None => Figure::NoData("nothing ended in any second".to_owned()),
            Some((end, second)) => Figure::Timeline(Timeline {
                x_title: "time since the first stage began".to_owned(),
                range: Some((0.0, end + second.length_s / 2.0)),
                panels,
                bands: self.bands(),
                marks: Vec::new(),
            }),
        };
        ChartBlock {
            id: "timeline".to_owned(),
            chart: Chart {
                title: "The run, second by second".to_owned(),
                subtitle: Some(self.judgement.scenario.about.clone()).filter(|about| !about.is_empty()),
                figure,
            },
            caption: "Planned is the rate of the scenario, whatever is answered; started is what the generator began of it, \
                      visits of virtual users included, and what ended counts in the second in which it did. Not served are \
                      those that failed, were dropped or were cut off. What has no answer counts as endlessly slow, so a \
                      percentile leaves the chart where too many journeys have none."
                .into(),
            alt:
                "Journeys planned, started, ended well and not served, their response times and how late they began, over \
                  time; the tables below hold the totals."
                    .to_owned(),
        }
    }

    /// The planned rate, as corners of its line.
    fn planned(&self) -> Curve {
        let mut points = Vec::new();
        let mut begin = 0.0;
        for stage in &self.judgement.scenario.stages {
            let end = begin + stage.length.as_secs_f64();
            points.push((begin, Some(stage.from.0)));
            points.push((end, Some(stage.to.0)));
            begin = end;
        }
        Curve {
            key: Key::new("planned", 0),
            style: CurveStyle::Line,
            points,
        }
    }

    /// What the generator began, each between the two moments at which it was asked.
    fn started(&self) -> Curve {
        let last = self.measured.seconds.last();
        let end = last.map_or(0.0, |last| self.judgement.at(last.start) + last.length_s);
        let points = self.measured.started.windows(2).map(|pair| {
            let [before, now] = [0, 1].map(|n| self.judgement.at(pair[n].at));
            ((before + now) / 2.0, pair[1].reading.value())
        });
        Curve {
            key: Key::new("started", 7),
            style: CurveStyle::Line,
            points: points.filter(|(at, _)| (0.0..end).contains(at)).collect(),
        }
    }

    fn bands(&self) -> Vec<Band> {
        let mut begin = 0.0;
        let mut bands = Vec::new();
        for stage in &self.judgement.scenario.stages {
            let end = begin + stage.length.as_secs_f64();
            if !stage.is_measured() {
                bands.push(excluded(stage.name.clone(), begin, end));
            }
            begin = end;
        }
        for settled in self.settled() {
            if settled.never_settled() {
                bands.push(excluded("never settled".to_owned(), settled.begin, settled.end));
            } else if let Some(cut) = settled.settled_at() {
                bands.push(excluded("settling".to_owned(), settled.begin, cut));
            }
        }
        bands
    }
}

fn excluded(label: String, from: f64, to: f64) -> Band {
    Band {
        from,
        to,
        label,
        kind: BandKind::Excluded,
    }
}
