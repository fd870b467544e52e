//! MySQL's status variables under the names that mysqld_exporter gives them.

use super::Sample;
use crate::recording::SeriesKind;

/// A row of `SHOW GLOBAL STATUS`; `None` for a text.
pub(super) fn status(name: &str, value: &str) -> Option<Sample> {
    const GLOBAL_STATUS: &str = "mysql_global_status_";
    /// Families that the exporter turns into one series with a label.
    const FAMILIES: [(&str, &str, &str); 6] = [
        ("com_", "commands_total", "command"),
        ("handler_", "handlers_total", "handler"),
        ("connection_errors_", "connection_errors_total", "error"),
        (
            "innodb_buffer_pool_pages_",
            "buffer_pool_page_changes_total",
            "operation",
        ),
        ("innodb_rows_", "innodb_row_ops_total", "operation"),
        (
            "performance_schema_",
            "performance_schema_lost_total",
            "instrumentation",
        ),
    ];
    let name = name.to_ascii_lowercase();
    let value = number(value)?;
    if let Some(state @ ("data" | "dirty" | "free" | "misc")) = name.strip_prefix("innodb_buffer_pool_pages_") {
        let full = format!("{GLOBAL_STATUS}buffer_pool_pages");
        return Some(Sample::new(full, &[("state", state)], SeriesKind::Gauge, value));
    }
    for (prefix, family, label) in FAMILIES {
        if let Some(member) = name.strip_prefix(prefix) {
            let full = format!("{GLOBAL_STATUS}{family}");
            return Some(Sample::new(full, &[(label, member)], SeriesKind::Counter, value));
        }
    }
    Some(Sample::new(
        format!("{GLOBAL_STATUS}{name}"),
        &[],
        SeriesKind::Untyped,
        value,
    ))
}

/// A row of `SHOW GLOBAL VARIABLES`; `None` for a text.
pub(super) fn variable(name: &str, value: &str) -> Option<Sample> {
    let full = format!("mysql_global_variables_{}", name.to_ascii_lowercase());
    Some(Sample::new(full, &[], SeriesKind::Gauge, number(value)?))
}

/// Numbers as they are, switches as 0 and 1.
fn number(text: &str) -> Option<f64> {
    match text {
        "ON" | "Yes" | "YES" => Some(1.0),
        "OFF" | "No" | "NO" => Some(0.0),
        other => other.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, value: &str, expected: &str) {
        let got = status(name, value).map(|s| format!("{:?} {} {:?} {}", s.kind, s.name, s.labels, s.value));
        assert_eq!(got.unwrap_or_default(), expected);
    }

    #[test]
    fn names_are_those_of_the_exporter() {
        check(
            "Threads_running",
            "4",
            "Untyped mysql_global_status_threads_running {} 4",
        );
        check(
            "Com_select",
            "9",
            r#"Counter mysql_global_status_commands_total {"command": "select"} 9"#,
        );
        check(
            "Handler_read_key",
            "2",
            r#"Counter mysql_global_status_handlers_total {"handler": "read_key"} 2"#,
        );
        check(
            "Innodb_buffer_pool_pages_free",
            "7",
            r#"Gauge mysql_global_status_buffer_pool_pages {"state": "free"} 7"#,
        );
        check(
            "Innodb_buffer_pool_pages_flushed",
            "7",
            r#"Counter mysql_global_status_buffer_pool_page_changes_total {"operation": "flushed"} 7"#,
        );
        check(
            "Innodb_rows_read",
            "5",
            r#"Counter mysql_global_status_innodb_row_ops_total {"operation": "read"} 5"#,
        );
        check(
            "Innodb_buffer_pool_read_requests",
            "5",
            "Untyped mysql_global_status_innodb_buffer_pool_read_requests {} 5",
        );
        check("Compression", "OFF", "Untyped mysql_global_status_compression {} 0");
        check("Ssl_version", "TLSv1.3", "");
        check("Ssl_cipher", "", "");
    }

    #[test]
    fn texts_that_look_like_no_finite_number_are_left_out() {
        assert_eq!(variable("init_connect", "nan"), None);
        assert_eq!(variable("max_connections", "151").map(|s| s.value), Some(151.0));
    }
}
