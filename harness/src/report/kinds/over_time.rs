//! What the overview keeps of a report that shows no effects but something over time, and draws in small.

use serde::{Deserialize, Serialize};

use crate::chart::{Band, BandKind, Curve, CurveStyle, Figure, Key, Panel, Timeline};
use crate::format::Unit;
use crate::report::{Block, Document};

/// The first panel of a timeline.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EntryTimeline {
    pub title: String,
    pub unit: Unit,
    pub x_title: String,
    pub range: Option<(f64, f64)>,
    pub curves: Vec<EntryCurve>,
    pub faults: Vec<EntryFault>,
}

/// One curve of it, with gaps.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EntryCurve {
    pub name: String,
    pub slot: usize,
    pub points: Vec<(f64, Option<f64>)>,
}

/// When a fault was there, in seconds on the same axis.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EntryFault {
    pub from: f64,
    pub to: f64,
    pub label: String,
}

impl EntryTimeline {
    /// Of the first timeline in a document.
    pub(super) fn of(document: &Document) -> Option<Self> {
        let blocks = document.sections.iter().flat_map(|section| &section.blocks);
        let timeline = blocks.filter_map(|block| match block {
            Block::Chart(block) => match &block.chart.figure {
                Figure::Timeline(timeline) => Some(timeline),
                _ => None,
            },
            _ => None,
        });
        let timeline = timeline.take(1).next()?;
        let panel = timeline.panels.first()?;
        let curves = panel.curves.iter().map(|curve| EntryCurve {
            name: curve.key.name.clone(),
            slot: curve.key.slot,
            points: curve.points.clone(),
        });
        let faults = timeline.bands.iter().filter(|band| band.kind == BandKind::Fault);
        Some(Self {
            title: panel.title.clone(),
            unit: panel.unit,
            x_title: timeline.x_title.clone(),
            range: timeline.range,
            curves: curves.collect(),
            faults: faults
                .map(|band| EntryFault {
                    from: band.from,
                    to: band.to,
                    label: band.label.clone(),
                })
                .collect(),
        })
    }

    pub(super) fn figure(&self) -> Figure {
        let curve = |curve: &EntryCurve| Curve {
            key: Key::new(curve.name.clone(), curve.slot),
            style: CurveStyle::Line,
            points: curve.points.clone(),
        };
        let band = |fault: &EntryFault| Band {
            from: fault.from,
            to: fault.to,
            label: fault.label.clone(),
            kind: BandKind::Fault,
        };
        Figure::Timeline(Timeline {
            x_title: self.x_title.clone(),
            range: self.range,
            panels: vec![Panel {
                title: self.title.clone(),
                unit: self.unit,
                log: false,
                top: None,
                curves: self.curves.iter().map(curve).collect(),
                limits: Vec::new(),
            }],
            bands: self.faults.iter().map(band).collect(),
            marks: Vec::new(),
        })
    }
}
