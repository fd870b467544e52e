//! What figures, their labels and their units are called in every export.

use std::collections::BTreeMap;

use super::ExportError;
use crate::analysis::quantile::Value;
use crate::recording::Clock;
use crate::recording::event::Accounting;
use crate::units::Ratio;

/// The label of what lies in a slice.
pub(super) fn of_slice(slice: Option<u32>) -> String {
    slice.map_or_else(String::new, |slice| format!("{{\"slice\":\"{slice}\"}}"))
}

/// The books under the names that reports give them.
pub(super) const fn entries(counts: &Accounting) -> [(&'static str, u64); 12] {
    [
        ("scheduled", counts.scheduled),
        ("started", counts.started),
        ("dropped", counts.dropped),
        ("dropped_by_generator", counts.dropped_by_generator),
        ("ok", counts.ok),
        ("failed", counts.failed),
        ("unfinished", counts.unfinished),
        ("late", counts.late),
        ("late_by_generator", counts.late_by_generator),
        ("late_by_busy_users", counts.late_by_busy_users),
        // Of the scheduled and of the started: of virtual users. None of them is dropped, and none among the late.
        ("visits", counts.visits),
        ("late_visits", counts.late_visits),
    ]
}

/// `response_p99`.
pub(super) fn time(clock: Clock, q: Ratio) -> String {
    format!("{clock}_p{}", (q.0 * 100.0).round())
}

/// In seconds; infinite for what never got an answer.
pub(super) fn seconds(value: Value) -> f64 {
    value.as_f64() / 1e9
}

pub(super) fn labels(labels: &BTreeMap<String, String>) -> Result<String, ExportError> {
    if labels.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(labels).map_err(|error| ExportError::Format(error.into()))
}

/// The unit that a name ends in, as Prometheus wants it.
pub(super) fn unit_of(name: &str) -> &'static str {
    if name.ends_with("_bucket") || name.ends_with("_count") {
        return "count";
    }
    let base = name.strip_suffix("_sum").unwrap_or(name);
    let (base, is_total) = base.strip_suffix("_total").map_or((base, false), |base| (base, true));
    match base {
        base if base.ends_with("_seconds") => "seconds",
        base if base.ends_with("_bytes") => "bytes",
        _ if is_total => "count",
        _ => "",
    }
}

/// In UTC, to the millisecond.
pub(super) fn rfc_3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_from_names() {
        for (name, unit) in [
            ("http_request_duration_seconds_bucket", "count"),
            ("http_request_duration_seconds_count", "count"),
            ("http_request_duration_seconds_sum", "seconds"),
            ("process_cpu_seconds_total", "seconds"),
            ("process_resident_memory_bytes", "bytes"),
            ("cache_requests_total", "count"),
            ("pool_size", ""),
        ] {
            assert_eq!(unit_of(name), unit, "{name}");
        }
    }
}
