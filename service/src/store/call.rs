//! One call of a store method: its time, and its span where the request's trace is kept.

use super::{Store, StoreError};
use crate::trace::{Span, spans};

/// A store method under way. One that is cut off ends like one that succeeds: nobody knows what became of it.
pub(crate) struct Call {
    span: Option<Span>,
    _timer: prometheus::HistogramTimer,
}

impl Call {
    /// Ends it with its result, and passes that on.
    pub(crate) fn end<T>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (Some(span), Err(error)) = (&mut self.span, &result) {
            span.fail(error.kind());
        }
        result
    }
}

impl Store {
    /// Begins the store method `call`: its time until it is dropped is observed, and a span of it kept where the request's
    /// is.
    pub(crate) fn begin(&self, call: &'static str) -> Call {
        Call {
            span: spans::database_call(self.engine().name(), call),
            _timer: self
                .metrics()
                .database_call_duration
                .with_label_values(&[call])
                .start_timer(),
        }
    }
}
