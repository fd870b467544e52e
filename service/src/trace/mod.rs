//! Traces: one a request, from its arrival through the database, Redis and Kafka to the ticket that it causes.
//!
//! - [`context`] is the W3C trace context, whether or not anything is traced: log lines, answers, outbox rows and records
//!   carry it.
//! - [`served`] knows which request a task works for.
//! - [`spans`] begins spans and hands them down to what works for a request. Names and attributes, which follow
//!   OpenTelemetry's conventions, stand there and nowhere else; none of them holds a value that a client has sent.
//! - [`queue`] gathers what has ended, and [`collector`] sends it by OTLP.
//!
//! Without `tracing.otlp_endpoint` nothing of the last three is made. A collector that is slow or away costs spans,
//! which are counted, and never a request: nobody waits for it but the service's own end, and that not for long.

pub mod collector;
pub mod context;
pub mod queue;
pub mod served;
pub mod spans;

pub use context::TraceContext;
pub use queue::{Exporter, StartError, start};
pub use served::Served;
pub use spans::{Span, Tracer, inherited};
