//! What has ended and is not sent yet: a bounded queue, and the task that empties it.
//!
//! The end of a span never waits. Where the queue is full the span is dropped, and every span that is lost is counted
//! by its reason.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::collector::{Collector, CollectorError, Refusal};
use super::spans::Tracer;
use crate::config;
use crate::metrics::Metrics;

/// Spans that wait at most: some seconds of a busy service, and a few megabytes.
const MAX_QUEUED: usize = 8_192;
const MAX_A_BATCH: usize = 512;
/// How long a span waits for others to be sent with it.
const GATHERING: Duration = Duration::from_secs(1);
/// How often a batch is sent at most, and the wait before the second time; it doubles.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long the last spans may take at the service's end.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// A collector that stays away is told of this often.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// Why spans are lost, as the metric's label has it.
const QUEUE_FULL: &str = "queue_full";
const NOT_TAKEN: &str = "not_taken";
const REJECTED: &str = "rejected";
const STOPPED: &str = "stopped";

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error)]
#[error("cannot trace")]
pub struct StartError(#[from] CollectorError);

/// Begins what `config` asks for: nothing but a tracer that is off, without an endpoint.
///
/// # Errors
/// When the endpoint is no address. Whether anybody listens there is not asked.
pub fn start(
    config: &config::Tracing,
    namespace: &str,
    metrics: &Arc<Metrics>,
) -> Result<(Tracer, Option<Exporter>), StartError> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok((Tracer::off(), None));
    };
    let resource = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", env!("CARGO_PKG_NAME")),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.namespace", namespace.to_owned()),
        KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
    ]);
    let resource = resource.build();
    let collector = Collector::new(endpoint.expose(), &resource)?;
    let (sender, receiver) = mpsc::channel(MAX_QUEUED);
    for reason in [QUEUE_FULL, NOT_TAKEN, REJECTED, STOPPED] {
        // Made by being named.
        metrics.spans_dropped.with_label_values(&[reason]);
    }
    let queue = Queue {
        sender,
        metrics: metrics.clone(),
    };
    let sampler = Sampler::TraceIdRatioBased(config.sample_ratio);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(sampler)))
        .with_span_processor(queue)
        .build();
    let stop = CancellationToken::new();
    let sender = Sending {
        collector,
        receiver,
        under_way: 0,
        metrics: metrics.clone(),
        stop: stop.clone(),
        trouble: Trouble::default(),
    };
    let exporter = Exporter {
        task: tokio::spawn(sender.run()),
        stop,
    };
    Ok((Tracer::of(&provider), Some(exporter)))
}

/// Takes spans as they end.
#[derive(Debug)]
struct Queue {
    sender: mpsc::Sender<SpanData>,
    metrics: Arc<Metrics>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            // After the service's end the queue is closed: then there is nobody left to read the count either.
            self.metrics.spans_dropped.with_label_values(&[QUEUE_FULL]).inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// The exporter ends by itself, and waits as the SDK cannot.
    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The sending of spans, for as long as the service lives.
#[derive(Debug)]
pub struct Exporter {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Exporter {
    /// Sends what has ended until now, as far as that goes in a few seconds. To be called when all work is done.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_PATIENCE, &mut self.task).await.is_err() {
            self.task.abort();
            // Cut off, so that there is nothing to be learnt; but then its spans are counted.
            let _cut_off = (&mut self.task).await;
            tracing::warn!("some spans were not exported in time and are lost");
        }
    }
}

/// Empties the queue, batch by batch.
struct Sending {
    collector: Collector,
    receiver: mpsc::Receiver<SpanData>,
    /// Spans of the batch that is being sent.
    under_way: usize,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    trouble: Trouble,
}

impl Sending {
    async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                break;
            }
            self.send(batch).await;
        }
    }

    /// The next batch; empty when there is none any more.
    async fn gather(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::new();
        let mut due = None;
        while batch.len() < MAX_A_BATCH {
            let room = MAX_A_BATCH - batch.len();
            let full_or_due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                n = self.receiver.recv_many(&mut batch, room) => match n {
                    0 => break,
                    _ => due = due.or_else(|| Some(Instant::now() + GATHERING)),
                },
                () = full_or_due => break,
                () = self.stop.cancelled(), if !self.receiver.is_closed() => self.receiver.close(),
            }
        }
        batch
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        self.under_way = batch.len();
        let batch = self.collector.encode(batch);
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.collector.send(batch.clone()).await {
                Ok(rejected) => {
                    let n_taken = (self.under_way as u64).saturating_sub(rejected);
                    self.metrics.spans_exported.inc_by(n_taken);
                    self.count_lost(REJECTED, rejected);
                    self.trouble.over();
                    break;
                }
                Err(refusal) if refusal.is_passing() && attempt < ATTEMPTS && !self.stop.is_cancelled() => {
                    // The end of the service is no time to wait.
                    let _stopped = self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                    pause *= 2;
                }
                Err(refusal) => {
                    self.count_lost(NOT_TAKEN, self.under_way as u64);
                    self.trouble.note(&refusal, self.under_way, &self.collector);
                    break;
                }
            }
        }
        self.under_way = 0;
    }

    fn count_lost(&self, reason: &str, n: u64) {
        self.metrics.spans_dropped.with_label_values(&[reason]).inc_by(n);
    }
}

impl Drop for Sending {
    /// Only a task that was cut off has anything left.
    fn drop(&mut self) {
        let left = self.under_way + self.receiver.len();
        self.count_lost(STOPPED, left as u64);
    }
}

/// Tells of a collector that takes nothing: once, and again as long as that lasts, but not for each batch.
#[derive(Default)]
struct Trouble {
    told: Option<Instant>,
    is_on: bool,
    /// Spans lost since it was told.
    n_lost: usize,
}

impl Trouble {
    fn note(&mut self, refusal: &Refusal, n_lost: usize, collector: &Collector) {
        self.n_lost += n_lost;
        if self.told.is_some_and(|told| told.elapsed() < TELL_AGAIN) {
            return;
        }
        self.told = Some(Instant::now());
        self.is_on = true;
        let cause: &dyn std::error::Error = refusal;
        tracing::warn!(
            error = cause,
            collector = collector.place(),
            lost = std::mem::take(&mut self.n_lost),
            "spans cannot be exported; the service goes on without"
        );
    }

    fn over(&mut self) {
        if std::mem::take(&mut self.is_on) {
            tracing::info!("spans are exported again");
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::config::Secret;

    /// Takes connections, and says nothing.
    async fn silent() -> (tokio::net::TcpListener, config::Tracing) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let config = config::Tracing {
            otlp_endpoint: Some(Secret::new(address)),
            sample_ratio: 1.0,
        };
        (listener, config)
    }

    #[tokio::test]
    async fn a_collector_that_hangs_costs_spans_that_are_counted_and_an_end_that_is_bounded() {
        const N_MORE: usize = 1_000;
        let (_listener, config) = silent().await;
        let metrics = Arc::new(Metrics::new().unwrap());
        let dropped = |reason| metrics.spans_dropped.with_label_values(&[reason]).get();
        let (tracer, exporter) = start(&config, "hangs", &metrics).unwrap();
        let began = Instant::now();
        // On the one thread there is, nobody takes anything out meanwhile.
        for _ in 0..MAX_QUEUED + N_MORE {
            let (_, span) = tracer.request("GET", Some("/v1/seats"), &HeaderMap::new());
            assert!(span.is_some());
        }
        assert_eq!(dropped(QUEUE_FULL), N_MORE as u64);
        exporter.unwrap().stop().await;
        assert!(began.elapsed() < STOP_PATIENCE * 5, "{:?}", began.elapsed());
        assert_eq!(dropped(STOPPED), MAX_QUEUED as u64, "neither lost nor counted twice");
        assert_eq!(metrics.spans_exported.get(), 0);
    }

    #[tokio::test]
    async fn children_are_begun_where_the_request_is_kept_and_nowhere_else() {
        use super::super::spans::{database_call, inherited, within};
        let (_listener, config) = silent().await;
        let metrics = Arc::new(Metrics::new().unwrap());
        let (tracer, _exporter) = start(&config, "children", &metrics).unwrap();
        let begins = async || database_call("sqlite", "balance").is_some();
        assert!(!begins().await, "nobody asked");
        let (_, span) = tracer.request("GET", Some("/v1/seats"), &HeaderMap::new());
        within(span.as_ref(), async {
            assert!(begins().await);
            let other_task = inherited(async { database_call("sqlite", "balance").is_some() });
            assert!(tokio::spawn(other_task).await.unwrap());
            let forgotten = tokio::spawn(async { database_call("sqlite", "balance").is_some() });
            assert!(!forgotten.await.unwrap());
            within(None, async { assert!(!begins().await, "a task of its own") }).await;
        })
        .await;
        let (_, off) = Tracer::off().request("GET", Some("/v1/seats"), &HeaderMap::new());
        assert!(off.is_none());
    }
}
