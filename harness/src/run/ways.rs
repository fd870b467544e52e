//! The ways from the service to its servers in a drill: through our proxies where one can stand, and what went through.

use std::sync::Arc;

use super::bench::Bench;
use super::error::RunError;
use crate::analysis::ways::{BYTES, CONNECTIONS, OPEN};
use crate::fault::Edges;
use crate::fault::proxy::Proxy;
use crate::recording::event::NoteLevel;
use crate::recording::{RecordingWriter, RunClock, SeriesKind};
use crate::scrape::{Sample, ScrapeError, Source};
use crate::stack::Component;

/// What the proxies have moved, told by the proxies themselves.
#[derive(Debug)]
pub(super) struct WaySource {
    /// With the engine's name, as in `MySQL`.
    proxies: Vec<(String, Arc<Proxy>)>,
}

impl WaySource {
    /// Of joined edges.
    pub(super) fn new(bench: &Bench<'_>, edges: &Edges) -> Self {
        let named = |(component, proxy)| (engine(bench, component), proxy);
        Self {
            proxies: edges.joined().map(named).collect(),
        }
    }
}

impl Source for WaySource {
    async fn scrape(&mut self) -> Result<Vec<Sample>, ScrapeError> {
        let mut samples = Vec::new();
        for (server, proxy) in &self.proxies {
            let traffic = proxy.traffic();
            let of = ("server", server.as_str());
            let bytes = |direction, n_bytes: u64| {
                Sample::new(
                    BYTES,
                    &[of, ("direction", direction)],
                    SeriesKind::Counter,
                    n_bytes as f64,
                )
            };
            samples.extend([
                Sample::new(CONNECTIONS, &[of], SeriesKind::Counter, traffic.n_links as f64),
                Sample::new(OPEN, &[of], SeriesKind::Gauge, traffic.n_links_open as f64),
                bytes("to-server", traffic.to_server.0),
                bytes("to-service", traffic.to_client.0),
            ]);
        }
        Ok(samples)
    }
}

/// Writes down which servers the service reaches past every proxy, and why.
///
/// # Errors
/// When the recording cannot be written.
pub(super) fn note_past(
    bench: &Bench<'_>,
    edges: &Edges,
    recording: &RecordingWriter,
    clock: RunClock,
) -> Result<(), RunError> {
    for (component, why) in edges.past() {
        let text = format!(
            "no proxy stands between the service and {}: {why}",
            engine(bench, component)
        );
        recording.note(clock.now(), NoteLevel::Info, text)?;
    }
    Ok(())
}

fn engine(bench: &Bench<'_>, component: Component) -> String {
    let mut engines = bench.stack.engines().iter();
    let engine = engines.find(|engine| engine.component == component);
    engine.map_or_else(|| component.to_string(), |engine| engine.engine.clone())
}
