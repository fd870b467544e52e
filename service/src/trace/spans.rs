//! Spans: begun, named and described here, ended by being dropped.
//!
//! A span below a request is begun only where the request's own is kept: what the service does by itself (the sweeper,
//! the queue's rounds, the relay's polls) leaves none, and a request whose caller keeps nothing costs a comparison.
//!
//! Attributes are OpenTelemetry's (HTTP, database and messaging spans). Two that it knows are left out on purpose: the
//! path of a request, since it names users and holds whatever a client mistypes into it, and the text of a statement,
//! since it stands in the code under the name of its store method.

use std::sync::Arc;

use axum::http::HeaderMap;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span as Recorded};

use super::context::TraceContext;
use super::served;

/// Routes of which each request may begin a trace. Others, such as probes and scrapes, are traced for a caller alone.
const TRACED_ROUTES: &str = "/v1/";

tokio::task_local! {
    /// What the spans that this task begins are children of.
    static SCOPE: Option<Scope>;
}

#[derive(Clone)]
struct Scope(Arc<Parent>);

struct Parent {
    tracer: SdkTracer,
    context: Context,
}

/// Begins spans, or none at all. Clones are cheap.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<SdkTracer>);

/// A span under way that is kept; dropping it ends it. On the heap, so that what is not traced does not keep room for it.
#[derive(Debug)]
pub struct Span(Box<Begun>);

#[derive(Debug)]
struct Begun {
    recorded: Recorded,
    tracer: SdkTracer,
}

/// Where a record lies, and who reads it there.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The consumer group.
    pub group: &'a str,
}

impl Tracer {
    /// Keeps nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    pub(super) fn of(provider: &SdkTracerProvider) -> Self {
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION"));
        Self(Some(provider.tracer_with_scope(scope.build())))
    }

    /// The trace context of a request that arrives with `headers`, and its span where that is kept. `route` is the one
    /// that matched, if one did.
    pub fn request(
        &self,
        method: &'static str,
        route: Option<&str>,
        headers: &HeaderMap,
    ) -> (TraceContext, Option<Span>) {
        let caller = TraceContext::of_caller(headers);
        let may_begin = caller.is_some() || route.is_some_and(|route| route.starts_with(TRACED_ROUTES));
        let span = self.keeping(caller).filter(|_| may_begin).and_then(|tracer| {
            let known = method != "other";
            let verb = if known { method } else { "HTTP" };
            let name = route.map_or_else(|| verb.to_owned(), |route| format!("{verb} {route}"));
            let mut attributes = Vec::with_capacity(6);
            attributes.push(KeyValue::new(
                "http.request.method",
                if known { method } else { "_OTHER" },
            ));
            attributes.push(KeyValue::new("url.scheme", "http"));
            if let Some(route) = route {
                attributes.push(KeyValue::new("http.route", route.to_owned()));
            }
            begin(tracer, name.into(), SpanKind::Server, attributes, &remote(caller))
        });
        let context = match &span {
            Some(span) => span.context(),
            None => caller.map_or_else(TraceContext::begin, TraceContext::next),
        };
        (context, span)
    }

    /// A record on its way to `topic`, for whoever `parent` is.
    pub(crate) fn send(&self, topic: &str, parent: Option<TraceContext>) -> Option<Span> {
        let tracer = self.keeping(parent).filter(|_| parent.is_some())?;
        let mut attributes = messaging("send", "send", topic);
        // Room for where it comes to lie.
        attributes.reserve(2);
        let name = format!("send {topic}");
        begin(tracer, name.into(), SpanKind::Producer, attributes, &remote(parent))
    }

    /// A record that is being handled, which `sender` has sent.
    pub(crate) fn process(&self, received: Received<'_>, sender: Option<TraceContext>) -> Option<Span> {
        let tracer = self.keeping(sender)?;
        let mut attributes = messaging("process", "process", received.topic);
        attributes.push(KeyValue::new(
            "messaging.consumer.group.name",
            received.group.to_owned(),
        ));
        attributes.extend(place(received.partition, received.offset));
        let name = format!("process {}", received.topic);
        begin(tracer, name.into(), SpanKind::Consumer, attributes, &remote(sender))
    }

    /// Unless the parent keeps nothing, which is honoured without building anything for it.
    fn keeping(&self, parent: Option<TraceContext>) -> Option<&SdkTracer> {
        self.0.as_ref().filter(|_| parent.is_none_or(TraceContext::is_sampled))
    }
}

/// A call of the store method `call`, for the request that this task works for.
pub(crate) fn database_call(system: &'static str, call: &'static str) -> Option<Span> {
    child(|| {
        let attributes = vec![
            KeyValue::new("db.system.name", system),
            KeyValue::new("db.operation.name", call),
        ];
        (call, attributes)
    })
}

/// A command to Redis, for the request that this task works for. `purpose` is ours, `command` Redis's name.
pub(crate) fn redis_call(purpose: &'static str, command: impl FnOnce() -> String) -> Option<Span> {
    child(|| {
        let attributes = vec![
            KeyValue::new("db.system.name", "redis"),
            KeyValue::new("db.operation.name", command()),
            KeyValue::new("db.query.summary", purpose),
        ];
        (purpose, attributes)
    })
}

/// Where this task's own spans belong, for whoever goes on with its work in another process.
pub(crate) fn current() -> Option<TraceContext> {
    let scope = SCOPE.try_with(Clone::clone).ok().flatten()?;
    Some(TraceContext::of_span(scope.0.context.span().span_context()))
}

/// Lets `work`, which another task will do, begin children of what this task works for, and be known as work for it.
pub fn inherited<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
    // Tasks that nobody asked for have none.
    served::inherited(SCOPE.scope(SCOPE.try_with(Clone::clone).ok().flatten(), work))
}

/// Runs `work`, which begins children of `span`; none without one.
pub fn within<F: Future>(span: Option<&Span>, work: F) -> impl Future<Output = F::Output> + use<F> {
    let scope = span.map(|Span(begun)| {
        Scope(Arc::new(Parent {
            tracer: begun.tracer.clone(),
            context: Context::new().with_remote_span_context(begun.recorded.span_context().clone()),
        }))
    });
    SCOPE.scope(scope, work)
}

fn child(describe: impl FnOnce() -> (&'static str, Vec<KeyValue>)) -> Option<Span> {
    let begun = SCOPE.try_with(|scope| {
        let Scope(parent) = scope.as_ref()?;
        let (name, attributes) = describe();
        begin(
            &parent.tracer,
            name.into(),
            SpanKind::Client,
            attributes,
            &parent.context,
        )
    });
    begun.ok().flatten()
}

fn begin(
    tracer: &SdkTracer,
    name: std::borrow::Cow<'static, str>,
    kind: SpanKind,
    attributes: Vec<KeyValue>,
    parent: &Context,
) -> Option<Span> {
    let builder = SpanBuilder {
        name,
        span_kind: Some(kind),
        attributes: Some(attributes),
        ..SpanBuilder::default()
    };
    let recorded = tracer.build_with_context(builder, parent);
    recorded.is_recording().then(|| {
        let tracer = tracer.clone();
        Span(Box::new(Begun { recorded, tracer }))
    })
}

fn remote(parent: Option<TraceContext>) -> Context {
    let context = Context::new();
    match parent {
        Some(parent) => context.with_remote_span_context(parent.remote()),
        None => context,
    }
}

fn messaging(name: &'static str, kind: &'static str, topic: &str) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.operation.name", name),
        KeyValue::new("messaging.operation.type", kind),
        KeyValue::new("messaging.destination.name", topic.to_owned()),
    ]
}

fn place(partition: i32, offset: i64) -> [KeyValue; 2] {
    [
        KeyValue::new("messaging.destination.partition.id", partition.to_string()),
        KeyValue::new("messaging.kafka.offset", offset),
    ]
}

impl Span {
    /// For headers and rows: what comes after is this span's child.
    pub fn context(&self) -> TraceContext {
        TraceContext::of_span(self.0.recorded.span_context())
    }

    /// The request was answered; `code` is that of a problem.
    pub fn answered(&mut self, status: u16, code: Option<&'static str>) {
        self.0
            .recorded
            .set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if let Some(code) = code {
            self.0
                .recorded
                .set_attribute(KeyValue::new("booking.problem.code", code));
        }
        if status >= 500 {
            self.0
                .recorded
                .set_attribute(KeyValue::new("error.type", status.to_string()));
            self.0.recorded.set_status(Status::error(""));
        }
    }

    /// The record lies there.
    pub(crate) fn delivered(&mut self, partition: i32, offset: i64) {
        self.0.recorded.set_attributes(place(partition, offset));
    }

    /// What the span stands for failed, in one of few ways.
    pub(crate) fn fail(&mut self, kind: &'static str) {
        self.0.recorded.set_attribute(KeyValue::new("error.type", kind));
        self.0.recorded.set_status(Status::error(""));
    }
}
