//! `events.mode: direct`: an event is sent after its payment's commit, by whoever paid.
//!
//! Lossy by design, and here for comparison with the outbox: a crash between commit and send, or a broker that is
//! away for longer than the producer's patience, loses the event for good.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::failpoint;
use super::producer::{Outgoing, Producer};
use super::record;
use super::topics::Topics;
use crate::domain::PaymentCompleted;
use crate::metrics::Metrics;
use crate::ports::Clock;
use crate::trace::TraceContext;

/// Sends events without keeping them.
#[derive(Clone, Debug)]
pub struct DirectPublisher {
    pub(super) producer: Arc<Producer>,
    pub(super) topics: Topics,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) namespace: String,
    pub(super) under_way: TaskTracker,
}

impl DirectPublisher {
    /// Hands the event to the producer and returns; nobody learns whether it arrived, but for a metric.
    pub fn publish(&self, event: PaymentCompleted, trace_parent: Option<String>) {
        if failpoint::reached(&self.namespace, "direct-before-produce") {
            return;
        }
        let this = self.clone();
        self.under_way.spawn(async move {
            let key = event.schedule.to_string();
            let payload = event.to_json();
            let sent = this.producer.send(Outgoing {
                topic: &this.topics.main,
                key: key.as_bytes(),
                payload: payload.as_bytes(),
                headers: record::first_headers(&event.event.to_string()),
                trace_parent: trace_parent.as_deref(),
                timestamp_ms: Some(event.paid_at.unix_ms()),
            });
            match sent.await {
                Ok(()) => {
                    let now = this.clock.now();
                    let lag = now.since(event.paid_at);
                    this.metrics.publish_lag.observe(lag.as_secs_f64());
                    this.metrics.outbox_published.inc();
                    this.metrics.outbox_published_timestamp.set(now.unix_seconds());
                }
                Err(error) => {
                    this.metrics.outbox_publish_errors.with_label_values(&["broker"]).inc();
                    let trace_id = TraceContext::id_in(trace_parent.as_deref());
                    tracing::warn!(
                        event = %event.event,
                        %error,
                        trace_id,
                        "an event was lost: events.mode is direct"
                    );
                }
            }
        });
    }
}
