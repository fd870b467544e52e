//! Counters at the edges of slices: a variant's own process and, on MySQL, the digests of its own schema.

use std::time::Duration;

use super::arm::LiveArm;
use super::bench::Bench;
use super::error::RunError;
use crate::analysis::experiment::edge_source;
use crate::recording::{RecordingWriter, RunClock};
use crate::scrape::mysql::MySqlSource;
use crate::scrape::service::ServiceSource;
use crate::scrape::{Sample, Source as _};

/// Longer than any healthy answer, shorter than a slice.
const DEADLINE: Duration = Duration::from_millis(600);

/// Reads one variant's counters when it is told to.
#[derive(Debug)]
pub(super) struct EdgeReader {
    source: String,
    service: ServiceSource,
    digests: Option<MySqlSource>,
}

impl EdgeReader {
    /// For a variant that runs.
    ///
    /// # Errors
    /// When an address cannot be understood.
    pub(super) fn new(bench: &Bench<'_>, arm: &LiveArm) -> Result<Self, RunError> {
        let base = arm.base_url().unwrap_or_default();
        let direct = bench.stack.direct_endpoints(arm.namespace());
        let digests = if direct.is_sqlite() {
            None
        } else {
            Some(MySqlSource::new(&direct.database_url, &[arm.namespace()])?)
        };
        Ok(Self {
            source: edge_source(&arm.name),
            service: ServiceSource::new(&format!("{base}/metrics"))?,
            digests,
        })
    }

    /// Reads now; what cannot be read is a gap with its reason.
    ///
    /// # Errors
    /// When the recording cannot be written.
    pub(super) async fn read(&mut self, recording: &RecordingWriter, clock: RunClock) -> Result<(), RunError> {
        let asked = clock.now();
        let answer = tokio::time::timeout(DEADLINE, async {
            let mut samples = self.service.scrape().await?;
            if let Some(digests) = &mut self.digests {
                samples.extend(digests.scrape().await?);
            }
            Ok::<Vec<Sample>, crate::scrape::ScrapeError>(samples)
        })
        .await;
        let mut series = recording.series();
        match answer {
            Ok(Ok(samples)) => {
                let mut values = Vec::with_capacity(samples.len());
                for sample in &samples {
                    let id = series.define(&self.source, &sample.name, &sample.labels, sample.kind)?;
                    values.push((id, sample.value));
                }
                series.sample(asked, &self.source, &values)?;
            }
            Ok(Err(error)) => series.gap(asked, &self.source, &error.chain())?,
            Err(_elapsed) => {
                series.gap(
                    asked,
                    &self.source,
                    &format!("no answer within {} ms", DEADLINE.as_millis()),
                )?;
            }
        }
        Ok(())
    }
}
