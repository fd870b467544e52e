//! The far end of an export: takes spans by OTLP over HTTP, as a collector does, and shows them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message as _;
use tokio::net::TcpListener;

/// How long anything may take to arrive on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A span as it arrived.
#[derive(Clone, PartialEq, Debug)]
pub struct Seen {
    /// Hexadecimal, as are the next two.
    pub trace: String,
    pub id: String,
    /// Empty for a root.
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    pub attributes: BTreeMap<String, String>,
    pub is_error: bool,
    pub took: Duration,
    /// What describes the service.
    pub resource: BTreeMap<String, String>,
}

impl Seen {
    /// An attribute; empty where there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    pub fn is_child_of(&self, parent: &Self) -> bool {
        self.trace == parent.trace && self.parent == parent.id
    }
}

#[derive(Debug, Default)]
struct Received {
    spans: Mutex<Vec<Seen>>,
    n_requests: AtomicUsize,
    /// What so many requests are answered; the others are taken.
    status: AtomicU16,
    n_to_refuse: AtomicUsize,
    /// Spans that it says it threw away, of each request.
    n_rejected: AtomicU16,
}

/// A listening collector, for as long as its runtime lives.
#[derive(Clone, Debug)]
pub struct Collector {
    address: SocketAddr,
    received: Arc<Received>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Received>::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(received.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, received }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The setting that leads here.
    pub fn setting(&self) -> String {
        format!("tracing.otlp_endpoint={}", self.url())
    }

    /// Everything that arrived so far.
    pub fn spans(&self) -> Vec<Seen> {
        self.received.spans.lock().unwrap().clone()
    }

    /// Of one trace.
    pub fn of_trace(&self, trace: &str) -> Vec<Seen> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace == trace);
        spans
    }

    pub fn n_requests(&self) -> usize {
        self.received.n_requests.load(Ordering::SeqCst)
    }

    /// Refuses the next so many requests with `status`.
    pub fn refuse(&self, status: u16, n_requests: usize) {
        self.received.status.store(status, Ordering::SeqCst);
        self.received.n_to_refuse.store(n_requests, Ordering::SeqCst);
    }

    /// Says from now on that it threw away so many spans of each request.
    pub fn reject(&self, n_spans: u16) {
        self.received.n_rejected.store(n_spans, Ordering::SeqCst);
    }

    /// Waits until what has arrived is as `is_there` says, and returns it.
    pub async fn until(&self, what: &str, is_there: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let began = Instant::now();
        loop {
            let spans = self.spans();
            if is_there(&spans) {
                return spans;
            }
            assert!(began.elapsed() < DEADLINE, "not in time: {what}; there is {spans:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn take(State(received): State<Arc<Received>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    received.n_requests.fetch_add(1, Ordering::SeqCst);
    let one_less = |n: usize| n.checked_sub(1);
    if received
        .n_to_refuse
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
        .is_ok()
    {
        let status = received.status.load(Ordering::SeqCst);
        return (StatusCode::from_u16(status).unwrap(), Vec::new());
    }
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut spans = received.spans.lock().unwrap();
    for resource in request.resource_spans {
        let described = text_of(resource.resource.unwrap_or_default().attributes);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let took = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano);
            spans.push(Seen {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind(),
                is_error: span.status.is_some_and(|status| status.code() == SpanStatus::Error),
                took: Duration::from_nanos(took.expect("no span ends before it begins")),
                name: span.name,
                attributes: text_of(span.attributes),
                resource: described.clone(),
            });
        }
    }
    let rejected_spans = received.n_rejected.load(Ordering::SeqCst).into();
    let answer = ExportTraceServiceResponse {
        partial_success: (rejected_spans > 0).then(|| ExportTracePartialSuccess {
            rejected_spans,
            error_message: "no room".to_owned(),
        }),
    };
    (StatusCode::OK, answer.encode_to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text_of(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("an attribute of a kind that we do not use: {other:?}"),
    };
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, text(attribute.value.and_then(|value| value.value))))
        .collect()
}
