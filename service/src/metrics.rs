//! Every metric name, label and bucket. Dashboards may use only these.
//!
//! A [`Metrics`] is built once, by [`crate::app`], and passed around: tests with several services in one process each
//! have their own. Where a value is observed is the caller's business; what it is called is this file's.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Counter, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

/// Seconds, for work that takes from a fifth of a millisecond to the deadline. The step is about two, finer where objectives
/// lie (10 ms to 500 ms), so that a quantile interpolated from buckets is off by less than a fifth there.
pub const LATENCY_BUCKETS_SECONDS: &[f64] = &[
    0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35,
    0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0,
];

/// Seconds, for work that passes the broker or waits for a lease: to a minute.
pub const LAG_BUCKETS_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0,
];

/// Loaders of one key at once.
pub const CONCURRENCY_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const NONE: &[f64] = &[];

/// What is known about a metric before anything is observed.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The name as scraped; histograms add `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What it means, with its unit.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Upper bounds, for histograms.
    pub buckets: &'static [f64],
}

macro_rules! metrics {
    ($($field:ident: $kind:ty = $name:literal [$($label:literal),*] $buckets:ident, $help:literal;)+) => {
        /// The service's metrics, and the registry that renders them.
        #[derive(Clone, Debug)]
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub $field: $kind,)+
        }

        /// Every metric of the service, for the test that keeps dashboards honest.
        pub const DEFINITIONS: &[Definition] = &[$(
            Definition { name: $name, help: $help, labels: &[$($label),*], buckets: $buckets },
        )+];

        impl Metrics {
            /// Fresh metrics in a registry of their own, with the process's own beside them.
            ///
            /// # Errors
            /// When a name is malformed or used twice: a defect of this file.
            pub fn new() -> Result<Self, prometheus::Error> {
                let registry = Registry::new();
                registry.register(Box::new(ProcessCollector::for_self()))?;
                $(let $field = {
                    let definition =
                        Definition { name: $name, help: $help, labels: &[$($label),*], buckets: $buckets };
                    let metric = <$kind>::make(&definition)?;
                    registry.register(Box::new(metric.clone()))?;
                    metric
                };)+
                let metrics = Self { registry, $($field),+ };
                metrics.begin_series();
                Ok(metrics)
            }
        }
    };
}

metrics! {
    info: IntGaugeVec = "booking_info" ["version", "namespace", "engine"] NONE,
        "Always 1; the labels say which service this is.";
    switch_info: IntGaugeVec = "booking_switch_info" ["switch", "value"] NONE,
        "1 for the value that each switch has.";
    clock: Gauge = "booking_clock_unix_seconds" [] NONE,
        "Unix time in seconds, to the millisecond, on the clock that decides every expiry.";

    http_request_duration: HistogramVec =
        "booking_http_request_duration_seconds" ["method", "route", "outcome"] LATENCY_BUCKETS_SECONDS,
        "Seconds from the first byte of a request to its answer, by matched route and outcome \
         (ok, contended, not_admitted, refused, overloaded, error), or to the moment that its client hung up (gone).";
    http_requests: IntCounterVec = "booking_http_requests_total" ["method", "route", "status"] NONE,
        "Requests answered, by matched route and status code.";
    http_in_flight: IntGauge = "booking_http_requests_in_flight" [] NONE, "Requests being worked on.";
    http_shed: IntCounterVec = "booking_http_shed_total" ["reason"] NONE,
        "Requests answered with 503 since there were too many (in_flight) or no database connection came free (pool). \
         What the service does by itself is not in it.";
    http_deadlines: IntCounterVec = "booking_http_deadline_exceeded_total" ["route"] NONE,
        "Requests that reached their deadline after work had begun.";

    database_call_duration: HistogramVec =
        "booking_database_call_duration_seconds" ["call"] LATENCY_BUCKETS_SECONDS,
        "Seconds of one store method, its statements and commit, without the wait for a connection.";
    database_pool_wait: HistogramVec = "booking_database_pool_wait_seconds" ["pool"] LATENCY_BUCKETS_SECONDS,
        "Seconds that a call waited for a connection (main; on SQLite writer and reader).";
    database_pool_connections: IntGaugeVec = "booking_database_pool_connections" ["pool", "state"] NONE,
        "Connections of a pool by state (used, idle, max).";
    database_errors: IntCounterVec = "booking_database_errors_total" ["call", "kind"] NONE,
        "Store methods that failed, by kind (pool_timeout, connection, no_space, deadlock, lock_wait, other). A deadlock \
         and a wait for a lock are here once they are given up; booking_database_retries_total has those run again.";
    database_retries: IntCounterVec = "booking_database_retries_total" ["reason"] NONE,
        "Transactions run again (deadlock, lock_wait, version).";

    cache_requests: IntCounterVec = "booking_cache_requests_total" ["layer", "result"] NONE,
        "Seat map lookups by the layer that answered and result (hit, miss, error).";
    cache_fills: IntCounterVec = "booking_cache_fills_total" ["result"] NONE,
        "Seat maps offered to the cache (stored, outdated, error).";
    cache_invalidations: IntCounterVec = "booking_cache_invalidations_total" ["result"] NONE,
        "Seat maps forgotten after a committed change (ok, error).";
    cache_loads: IntCounterVec = "booking_cache_loads_total" ["reason"] NONE,
        "Seat maps read from the database (off, miss, refresh, cache_error).";
    cache_loads_sold_out: IntCounter = "booking_cache_loads_sold_out_total" [] NONE,
        "Seat maps read from the database that had no seat on sale. An empty map is cached like any other.";
    cache_evictions: IntCounter = "booking_cache_evictions_total" [] NONE,
        "Seat maps that the process's own cache dropped for want of room; Redis counts its own.";
    cache_hit_connections: IntCounter = "booking_cache_hit_connections_total" [] NONE,
        "Database connections borrowed by requests for a seat map that the cache answered. Only a queue in the database \
         needs one, to look at the token.";
    cache_loaders: IntGauge = "booking_cache_loaders" [] NONE, "Seat maps being read from the database now.";
    cache_loader_concurrency: Histogram = "booking_cache_loader_concurrency" [] CONCURRENCY_BUCKETS,
        "Loaders of one key at the moment that another began, itself included.";

    queue_waiting: IntGauge = "booking_queue_waiting" [] NONE, "Tokens in line.";
    queue_active: IntGauge = "booking_queue_active" [] NONE, "Tokens admitted and alive.";
    queue_capacity: IntGauge = "booking_queue_capacity" [] NONE, "Tokens that may be active at once.";
    queue_admitted: IntCounter = "booking_queue_admitted_total" [] NONE,
        "Tokens admitted since this instance began, by any instance: all of them tell the same.";
    queue_expired: IntCounter = "booking_queue_expired_total" [] NONE,
        "Tokens expired since this instance began, found by any instance: all of them tell the same.";
    queue_entered: IntCounterVec = "booking_queue_entered_total" ["state"] NONE,
        "Answers to requests for a token, by the state given (waiting, active).";
    queue_call_duration: HistogramVec = "booking_queue_call_duration_seconds" ["call"] LATENCY_BUCKETS_SECONDS,
        "Seconds of one queue operation (enter, standing, leave, tick).";

    reservations: IntCounterVec = "booking_reservations_total" ["outcome"] NONE,
        "Holds by outcome (held, seat_taken, conflict, replayed, mismatch, not_admitted, cancelled, expired, error), \
         whether or not anybody waited for it.";
    payments: IntCounterVec = "booking_payments_total" ["outcome"] NONE,
        "Payments by outcome (paid, insufficient_balance, expired, already_paid, conflict, replayed, mismatch, \
         not_admitted, error), whether or not anybody waited for it.";
    charges: IntCounterVec = "booking_charges_total" ["outcome"] NONE,
        "Balance charges by outcome (charged, replayed, mismatch, refused), whether or not anybody waited for it.";
    seats_oversold: IntCounter = "booking_seats_oversold_total" [] NONE,
        "Reservations found by the sweeper to be paid for a seat that is not theirs: another's, or on sale again. From the \
         payment until its hold would have ended, and an hour back when an instance starts.";
    sweep_duration: Histogram = "booking_sweep_duration_seconds" [] LATENCY_BUCKETS_SECONDS,
        "Seconds of one round of the sweeper.";
    lock_wait: HistogramVec = "booking_lock_wait_seconds" ["result"] LATENCY_BUCKETS_SECONDS,
        "Seconds until the Redis lock on a seat was had or given up (acquired, refused, error).";

    outbox_pending: IntGauge = "booking_outbox_pending" [] NONE, "Events committed and not yet published.";
    outbox_oldest_age: Gauge = "booking_outbox_oldest_age_seconds" [] NONE,
        "Age of the oldest event not yet published; 0 when there is none.";
    outbox_leases: IntGauge = "booking_outbox_leases" [] NONE, "Shards that this instance's relay holds.";
    outbox_published: IntCounter = "booking_outbox_published_total" [] NONE,
        "Events acknowledged by the broker.";
    outbox_published_timestamp: Gauge = "booking_outbox_published_timestamp_seconds" [] NONE,
        "Unix time in seconds, on the clock of booking_clock_unix_seconds, at which the broker last acknowledged an \
         event of this instance; 0 when none since it began.";
    outbox_publish_errors: IntCounterVec = "booking_outbox_publish_errors_total" ["kind"] NONE,
        "Publishing that failed and is tried again (broker, database, lease_lost, gap).";
    publish_lag: Histogram = "booking_publish_lag_seconds" [] LAG_BUCKETS_SECONDS,
        "Seconds from a payment's commit to the broker's acknowledgement.";
    consumer_messages: IntCounterVec = "booking_consumer_messages_total" ["topic", "outcome"] NONE,
        "Messages handled, by kind of topic (main, retry) and outcome (applied, duplicate, retried, dead_lettered).";
    consumer_settled_timestamp: Gauge = "booking_consumer_settled_timestamp_seconds" [] NONE,
        "Unix time in seconds, on the clock of booking_clock_unix_seconds, at which this instance last settled a message, \
         whatever became of it; 0 when none since it began.";
    consumer_errors: IntCounterVec = "booking_consumer_errors_total" ["kind"] NONE,
        "Attempts that failed (handler, database, broker, unparsable).";
    consumer_lag_messages: IntGaugeVec = "booking_consumer_lag_messages" ["topic"] NONE,
        "Messages not yet consumed, by kind of topic (main, retry).";
    consumer_lag_seconds: GaugeVec = "booking_consumer_lag_seconds" ["topic"] NONE,
        "Age of the oldest fetched message not yet settled, the one being handled included, by kind of topic; 0 when \
         there is none.";
    effect_lag: Histogram = "booking_effect_lag_seconds" [] LAG_BUCKETS_SECONDS,
        "Seconds from a payment's commit to its effect (the ticket).";
    dead_letters: IntCounterVec = "booking_dead_letters_total" ["cause"] NONE,
        "Messages moved to the dead letters (unparsable, handler).";

    dependency_errors: IntCounterVec = "booking_dependency_errors_total" ["dependency"] NONE,
        "Calls to a dependency that failed (database, redis, kafka).";
    breaker_state: IntGaugeVec = "booking_breaker_state" ["dependency"] NONE,
        "0 closed, 1 half open, 2 open.";
    breaker_opened: IntCounterVec = "booking_breaker_opened_total" ["dependency"] NONE,
        "How often a breaker opened.";

    runtime_workers: IntGauge = "booking_runtime_workers" [] NONE, "Threads that the tasks of the service run on.";
    runtime_tasks: IntGauge = "booking_runtime_tasks" [] NONE,
        "Tasks that have not ended: a few for the service, one for each connection.";
    runtime_queue_depth: IntGauge = "booking_runtime_queue_depth" [] NONE,
        "Tasks that could go on and that no worker has taken yet, without those in the queue of one worker.";
    runtime_busy: Counter = "booking_runtime_busy_seconds_total" [] NONE,
        "Seconds that workers spent on tasks, all workers together; as much as there are workers in a second is all.";
    runtime_parks: IntCounter = "booking_runtime_parks_total" [] NONE,
        "How often a worker found nothing to do and slept. Standing still under load says that all are busy.";

    spans_exported: IntCounter = "booking_spans_exported_total" [] NONE,
        "Spans of traces that the collector took; 0 where nothing is traced.";
    spans_dropped: IntCounterVec = "booking_spans_dropped_total" ["reason"] NONE,
        "Spans of traces that were lost (queue_full, not_taken, rejected, stopped).";
}

impl Metrics {
    /// Makes the series that objectives count, so that their rates are 0 and not missing before anything happens.
    fn begin_series(&self) {
        let families: [(&IntCounterVec, &[&str]); 6] = [
            (&self.http_shed, &["in_flight", "pool"]),
            (&self.database_retries, &["deadlock", "lock_wait", "version"]),
            (
                &self.reservations,
                &["held", "seat_taken", "conflict", "expired", "cancelled"],
            ),
            (
                &self.payments,
                &["paid", "insufficient_balance", "expired", "already_paid", "conflict"],
            ),
            (&self.charges, &["charged", "refused"]),
            (&self.dead_letters, &["unparsable", "handler"]),
        ];
        for (family, values) in families {
            for value in values {
                // Made by being named.
                family.with_label_values(&[value]);
            }
        }
        self.consumer_messages.with_label_values(&["main", "applied"]);
        // Where users are in each other's way first.
        for call in ["hold", "pay"] {
            for kind in ["deadlock", "lock_wait"] {
                self.database_errors.with_label_values(&[call, kind]);
            }
        }
    }

    /// All metrics in Prometheus's text format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Tells the metrics of the runtime at each scrape what the runtime counted until then.
#[derive(Debug, Default)]
pub struct RuntimeWatch {
    busy_ns: AtomicU64,
    n_parks: AtomicU64,
}

impl RuntimeWatch {
    /// Reads the runtime that this is called on.
    pub fn observe(&self, metrics: &Metrics) {
        self.read(&tokio::runtime::Handle::current().metrics(), metrics);
    }

    fn read(&self, runtime: &tokio::runtime::RuntimeMetrics, metrics: &Metrics) {
        let n_workers = runtime.num_workers();
        metrics.runtime_workers.set(gauge(n_workers));
        metrics.runtime_tasks.set(gauge(runtime.num_alive_tasks()));
        metrics.runtime_queue_depth.set(gauge(runtime.global_queue_depth()));
        let (mut busy_ns, mut n_parks) = (0, 0);
        for worker in 0..n_workers {
            let busy = runtime.worker_total_busy_duration(worker).as_nanos();
            busy_ns += u64::try_from(busy).unwrap_or(u64::MAX);
            n_parks += runtime.worker_park_count(worker);
        }
        let more_ns = increase(&self.busy_ns, busy_ns);
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a scrape interval")]
        metrics.runtime_busy.inc_by(more_ns as f64 / 1e9);
        metrics.runtime_parks.inc_by(increase(&self.n_parks, n_parks));
    }
}

/// By how much `now` is more than all that was told before; of two scrapes at once, each part is told by one.
fn increase(told: &AtomicU64, now: u64) -> u64 {
    now.saturating_sub(told.fetch_max(now, Ordering::Relaxed))
}

fn gauge(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// How each kind of metric is made from its definition.
trait Make: Sized {
    fn make(definition: &Definition) -> Result<Self, prometheus::Error>;
}

macro_rules! make {
    ($($kind:ty: |$definition:ident| $body:expr;)+) => {
        $(impl Make for $kind {
            fn make($definition: &Definition) -> Result<Self, prometheus::Error> {
                $body
            }
        })+
    };
}

make! {
    Counter: |it| Self::new(it.name, it.help);
    IntCounter: |it| Self::new(it.name, it.help);
    IntGauge: |it| Self::new(it.name, it.help);
    Gauge: |it| Self::new(it.name, it.help);
    Histogram: |it| Self::with_opts(HistogramOpts::new(it.name, it.help).buckets(it.buckets.to_vec()));
    IntCounterVec: |it| Self::new(Opts::new(it.name, it.help), it.labels);
    IntGaugeVec: |it| Self::new(Opts::new(it.name, it.help), it.labels);
    GaugeVec: |it| Self::new(Opts::new(it.name, it.help), it.labels);
    HistogramVec: |it| Self::new(HistogramOpts::new(it.name, it.help).buckets(it.buckets.to_vec()), it.labels);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_carry_their_unit() {
        Metrics::new().unwrap();
        for definition in DEFINITIONS {
            assert!(definition.name.starts_with("booking_"), "{}", definition.name);
            let counts_seconds =
                definition.buckets == LATENCY_BUCKETS_SECONDS || definition.buckets == LAG_BUCKETS_SECONDS;
            assert_eq!(
                counts_seconds,
                definition.name.ends_with("_seconds") && !definition.buckets.is_empty()
            );
        }
    }

    #[test]
    fn a_drained_labelled_gauge_reports_zero() {
        let metrics = Metrics::new().unwrap();
        metrics.consumer_lag_messages.with_label_values(&["main"]).set(3);
        metrics.consumer_lag_messages.with_label_values(&["main"]).set(0);
        let text = metrics.render().unwrap();
        assert!(
            text.contains("booking_consumer_lag_messages{topic=\"main\"} 0\n"),
            "{text}"
        );
    }

    #[test]
    fn the_runtime_is_told_as_it_is() {
        let metrics = Metrics::new().unwrap();
        let watch = RuntimeWatch::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = || watch.read(&runtime.metrics(), &metrics);
        // Nobody runs them yet: the only thread of this runtime is this one.
        let tasks: Vec<_> = (0..3).map(|_| runtime.spawn(std::future::ready(()))).collect();
        read();
        let told = [
            &metrics.runtime_workers,
            &metrics.runtime_tasks,
            &metrics.runtime_queue_depth,
        ];
        assert_eq!(told.map(IntGauge::get), [1, 3, 3]);
        assert_eq!(metrics.runtime_parks.get(), 0);
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
            // Woken by another thread once the worker sleeps.
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let seen = runtime.metrics();
            std::thread::spawn(move || {
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
                while seen.worker_park_count(0) == 0 && std::time::Instant::now() < deadline {
                    std::thread::yield_now();
                }
                sender.send(()).unwrap();
            });
            receiver.await.unwrap();
        });
        read();
        assert_eq!(told.map(IntGauge::get), [1, 0, 0]);
        let (busy, n_parks) = (metrics.runtime_busy.get(), metrics.runtime_parks.get());
        assert!(busy > 0.0 && n_parks > 0, "{busy} s, {n_parks} parks");
        let counted = runtime.metrics().worker_total_busy_duration(0).as_secs_f64();
        assert!((busy - counted).abs() < 1e-9, "{busy} of {counted}");
        // What was told once is not told again.
        read();
        assert_eq!(
            (metrics.runtime_busy.get(), metrics.runtime_parks.get()),
            (busy, n_parks)
        );
        assert_eq!(n_parks, runtime.metrics().worker_park_count(0));
    }
}
