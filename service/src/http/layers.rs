//! What happens around every request, from the outside in: identity and log line, metrics, shedding, deadline. A request
//! is accounted for although its client hangs up.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use futures::FutureExt as _;

use super::error::{OVERLOADED, Problem, ProblemNote};
use super::openapi;
use super::router::HttpState;
use crate::metrics::Metrics;
use crate::telemetry::{RequestLine, mask_body, mask_headers};
use crate::trace::{Served, Span, TraceContext, served, spans};

/// The most of a body that is logged.
const MAX_LOGGED_BODY_BYTES: usize = 2048;

/// Identity of a request, in its extensions.
#[derive(Clone, Debug)]
pub struct RequestContext {
    trace: TraceContext,
}

impl RequestContext {
    /// The W3C header to pass on: same trace, our own span.
    pub fn trace_parent(&self) -> String {
        self.trace.to_string()
    }
}

/// Where the body is left for the log line, when bodies are logged.
#[derive(Clone, Debug, Default)]
pub struct BodyNote(Arc<Mutex<Option<String>>>);

impl BodyNote {
    pub(super) fn set(&self, bytes: &[u8]) {
        let masked = mask_body(bytes, MAX_LOGGED_BODY_BYTES);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(masked);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Request ids: random per process, counted within it.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        Self {
            prefix: RandomState::new().hash_one(std::process::id()) >> 32,
            next: AtomicU64::new(0),
        }
    }
}

impl RequestIds {
    fn next(&self) -> String {
        format!("{:08x}-{:08x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Counts a request in flight for as long as it lives, also when its client hangs up.
struct InFlight<'a>(&'a prometheus::IntGauge);

impl<'a> InFlight<'a> {
    fn begin(gauge: &'a prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request on its way to its answer: measured and logged once, when it is answered, or, when its client hangs up and
/// its future is dropped, at that moment.
struct UnderWay {
    state: Arc<HttpState>,
    begun: Instant,
    method: &'static str,
    route: String,
    trace: TraceContext,
    span: Option<Span>,
    names: Arc<Served>,
    headers: Option<String>,
    body_note: Option<BodyNote>,
    is_told: bool,
}

impl UnderWay {
    fn begin(state: Arc<HttpState>, request: &mut Request) -> Self {
        let begun = Instant::now();
        let logging = &state.booking.config.logging;
        let method = method_label(request.method());
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let (trace, span) = state.booking.tracer.request(method, route, request.headers());
        let this = Self {
            begun,
            method,
            route: route.unwrap_or("unmatched").to_owned(),
            trace,
            span,
            names: Arc::new(Served {
                request_id: state.request_ids.next(),
                trace_id: trace.trace_id(),
            }),
            headers: logging.headers.then(|| mask_headers(request.headers())),
            body_note: logging.bodies.then(BodyNote::default),
            is_told: false,
            state,
        };
        if let Some(note) = &this.body_note {
            request.extensions_mut().insert(note.clone());
        }
        request.extensions_mut().insert(RequestContext { trace: this.trace });
        this
    }

    fn answered(mut self, response: &mut Response<Body>) {
        let note = response.extensions_mut().remove::<ProblemNote>();
        self.tell(Some(response.status()), note.as_ref());
        if let Ok(value) = HeaderValue::from_str(&self.names.request_id) {
            response.headers_mut().insert("x-request-id", value);
        }
        if let Ok(value) = HeaderValue::from_str(&self.trace.to_string()) {
            response.headers_mut().insert("traceparent", value);
        }
    }

    /// Measures and logs; without a status, what was not answered.
    fn tell(&mut self, status: Option<StatusCode>, note: Option<&ProblemNote>) {
        self.is_told = true;
        let elapsed = self.begun.elapsed();
        let metrics = &self.state.booking.metrics;
        let code = note.map(|note| note.code);
        let outcome = status.map_or("gone", |status| outcome(status, code));
        metrics
            .http_request_duration
            .with_label_values(&[self.method, &self.route, outcome])
            .observe(elapsed.as_secs_f64());
        if let Some(status) = &status {
            metrics
                .http_requests
                .with_label_values(&[self.method, &self.route, status.as_str()])
                .inc();
        }
        if let (Some(span), Some(status)) = (&mut self.span, status) {
            span.answered(status.as_u16(), code);
        }
        let line = RequestLine {
            method: self.method,
            route: &self.route,
            status: status.map(|status| status.as_u16()),
            duration: elapsed,
            request_id: &self.names.request_id,
            trace_id: &self.names.trace_id,
            code,
            cause: note.and_then(|note| note.cause.as_deref()),
            headers: self.headers.as_deref(),
            body: self.body_note.as_ref().and_then(BodyNote::take),
        };
        line.log(self.state.booking.config.logging.sample_ratio);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(None, None);
        }
    }
}

/// Makes the series that objectives count: the first failure of a route must be an increase, and a series that begins with
/// it shows none. What a rule refuses counts too, but its loss is no failure's; it begins with the first one, since each
/// series has a value for every bucket.
pub(super) fn begin_series(metrics: &Metrics) {
    let begin = |method: &str, route: &str, outcome: &str| {
        // Made by being named.
        metrics
            .http_request_duration
            .with_label_values(&[method, route, outcome]);
    };
    for (method, route) in openapi::operations() {
        if !route.starts_with("/v1/") {
            continue;
        }
        for outcome in ["ok", "overloaded", "error"] {
            begin(method, &route, outcome);
        }
        // Who comes too late for a seat is told so in time, or that objective is missed.
        if matches!((method, route.as_str()), ("POST", "/v1/reservations" | "/v1/payments")) {
            begin(method, &route, "contended");
        }
    }
}

/// Gives the request its id and trace, answers panics, measures and logs.
pub async fn observe(State(state): State<Arc<HttpState>>, mut request: Request, next: Next) -> Response<Body> {
    let under_way = UnderWay::begin(state, &mut request);
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let scoped = served::serving(under_way.names.clone(), async {
        answer
            .await
            .unwrap_or_else(|_panic| Problem::panicked().into_response())
    });
    let mut response = spans::within(under_way.span.as_ref(), scoped).await;
    under_way.answered(&mut response);
    response
}

/// Sheds above the limit, before any work, counts what is shed further in, and cuts what takes too long.
pub async fn guard(State(state): State<Arc<HttpState>>, request: Request, next: Next) -> Response<Body> {
    let booking = &state.booking;
    let metrics = &booking.metrics;
    let _in_flight = InFlight::begin(&metrics.http_in_flight);
    let resilience = &booking.config.resilience;
    if !resilience.enabled {
        return within(metrics, request, next).await;
    }
    if metrics.http_in_flight.get() > i64::from(resilience.max_in_flight) {
        metrics.http_shed.with_label_values(&["in_flight"]).inc();
        return Problem::overloaded().into_response();
    }
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    match tokio::time::timeout(resilience.request_timeout, within(metrics, request, next)).await {
        Ok(response) => response,
        Err(_elapsed) => {
            metrics.http_deadlines.with_label_values(&[&route]).inc();
            Problem::deadline().into_response()
        }
    }
}

/// Runs the handler. That no connection came free is counted here and not where it is found, since the sweeper and the
/// queue's rounds find it too, and nobody is answered by them.
async fn within(metrics: &Metrics, request: Request, next: Next) -> Response<Body> {
    let response = next.run(request).await;
    let note = response.extensions().get::<ProblemNote>();
    if note.is_some_and(|note| note.code == OVERLOADED) {
        metrics.http_shed.with_label_values(&["pool"]).inc();
    }
    response
}

/// Methods that are routed, by name; anything a client may invent shares one label.
fn method_label(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => "other",
    }
}

/// The class that objectives count by. A refusal by a rule is no error, whatever its status.
fn outcome(status: StatusCode, code: Option<&'static str>) -> &'static str {
    match (status.as_u16(), code) {
        (..400, _) => "ok",
        (_, Some("seat-taken" | "conflict")) => "contended",
        (401 | 403, _) => "not_admitted",
        (400..500, _) => "refused",
        (_, Some(OVERLOADED)) => "overloaded",
        _ => "error",
    }
}
