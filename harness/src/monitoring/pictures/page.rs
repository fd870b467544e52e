//! A dashboard's picture as a whole.

use jiff::Timestamp;

use super::pane::{SECONDS_A_MINUTE, pane};
use super::slots::Slots;
use crate::chart::{Axis, Board, Chart, Figure};
use crate::format::{self, Unit};
use crate::monitoring::answers::{Series, Stretch};
use crate::monitoring::panels::Dashboard;

/// What somebody who cannot see the picture of `dashboard` needs to know.
pub fn alt(dashboard: &Dashboard) -> String {
    let titles: Vec<&str> = dashboard.panels.iter().map(|panel| panel.title.as_str()).collect();
    format!(
        "{}. {} Panels: {}.",
        dashboard.title,
        dashboard.answers,
        titles.join("; ")
    )
}

/// The picture of `dashboard`, with what was answered to each query of each panel, in their order.
pub fn chart(dashboard: &Dashboard, answers: &[Vec<Vec<Series>>], stretch: &Stretch) -> Chart {
    let mut slots = Slots::default();
    let panes = dashboard.panels.iter().zip(answers);
    let panes = panes.map(|(panel, answers)| pane(panel, answers, &mut slots));
    let minutes = stretch.length().as_secs_f64() / SECONDS_A_MINUTE;
    Chart {
        title: dashboard.title.clone(),
        subtitle: Some(format!(
            "{} {} min from {}.",
            dashboard.answers,
            format::tick(minutes),
            moment(stretch)
        )),
        figure: Figure::Board(Board {
            x: Axis::new("minutes since then", Unit::Count),
            range: (0.0, minutes),
            panes: panes.collect(),
        }),
    }
}

fn moment(stretch: &Stretch) -> String {
    let second = i64::try_from(stretch.from_s()).unwrap_or(i64::MAX);
    Timestamp::from_second(second).map_or_else(
        |_| format::MISSING.to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}
