//! Draws dashboards from what a Prometheus answers to their queries.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use super::exit::{Exit, Failure, OrExit as _};
use super::prometheus::Prometheus;
use super::{asking, dashboards, stdout};
use crate::chart::Labels;
use crate::monitoring::answers::{self, Stretch};
use crate::monitoring::panels::Dashboard;
use crate::monitoring::pictures::{self, PICTURES};
use crate::monitoring::queries;

/// Writes a picture of each of `all` below `dir`: of `last` until now, as the Prometheus at `address` knows it.
///
/// # Errors
/// When it does not answer or refuses a query, or a picture cannot be written.
pub(super) async fn all(dir: &Path, all: &[Dashboard], address: &str, last: Duration) -> Result<Exit, Failure> {
    let server = Prometheus::new("--draw", address).or_exit(Exit::Usage)?;
    let stretch = Stretch::until(Timestamp::now(), last);
    let window = stretch.window();
    let (mut n_answered, mut with_reason, mut without_reason) = (0, Vec::new(), Vec::new());
    let mut drawn = Vec::with_capacity(all.len());
    for dashboard in all {
        let mut of_panels = Vec::with_capacity(dashboard.panels.len());
        for panel in &dashboard.panels {
            let mut of_queries = Vec::with_capacity(panel.queries.len());
            for query in queries::of_panel(dashboard, panel, window) {
                let data = server.over(&query, &stretch).await.or_exit(Exit::Usage)?;
                let series = answers::series(&data, &stretch)
                    .with_context(|| format!("{} cannot be drawn", query.place))
                    .or_exit(Exit::Usage)?;
                match series.is_empty() {
                    false => n_answered += 1,
                    true if query.empty.is_some() => with_reason.push(query),
                    true => without_reason.push(query),
                }
                of_queries.push(series);
            }
            of_panels.push(of_queries);
        }
        let alt = pictures::alt(dashboard);
        let chart = pictures::chart(dashboard, &of_panels, &stretch);
        let svg = chart.svg(Labels { alt: &alt, mark: None })?;
        drawn.push((dir.join(PICTURES).join(format!("{}.svg", dashboard.uid)), svg));
    }
    // All are of the same minutes, or none is written.
    for (path, svg) in drawn {
        dashboards::put(&path, &svg).or_exit(Exit::Usage)?;
        stdout::line(&format!("{}: written", path.display()))?;
    }
    asking::told(n_answered, &with_reason, &without_reason)
}
