//! What the service logged of some of its requests: its log ends with the run, and they are what someone looks for in it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, BufRead};

use serde::Deserialize;

/// As far as it matters here.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    trace_id: Option<Cow<'a, str>>,
}

/// The lines of `log` that name one of `traces`, as they are. Whatever is not a line of JSON is none of them.
///
/// # Errors
/// When `log` cannot be read to its end.
pub(super) fn lines_of(traces: &HashSet<String>, mut log: impl BufRead) -> io::Result<Vec<u8>> {
    let (mut found, mut line) = (Vec::new(), Vec::new());
    while log.read_until(b'\n', &mut line)? > 0 {
        let read = serde_json::from_slice::<Line<'_>>(&line);
        let trace = read.ok().and_then(|line| line.trace_id);
        if trace.is_some_and(|trace| traces.contains(trace.as_ref())) {
            found.extend_from_slice(line.trim_ascii_end());
            found.push(b'\n');
        }
        line.clear();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_trace_and_by_nothing_else() {
        let log = [
            r#"{"level":"INFO","message":"request","trace_id":"aa"}"#,
            r#"{"level":"INFO","message":"request","trace_id":"bb"}"#,
            r#"{"level":"INFO","message":"trace_id aa","trace_id":null}"#,
            r#"{"level":"WARN","message":"without one"}"#,
            r#"thread 'main' said "trace_id":"aa""#,
            "\u{fffd}",
            "",
            r#"{"message":"escaped","trace_id":"\u0061a"}"#,
            r#"{"message":"cut off","trace_id":"aa"#,
        ];
        let of = |traces: &[&str]| {
            let traces = traces.iter().map(|trace| (*trace).to_owned()).collect();
            let found = lines_of(&traces, log.join("\n").as_bytes()).unwrap();
            String::from_utf8(found).unwrap()
        };
        assert_eq!(of(&["aa"]), format!("{}\n{}\n", log[0], log[7]));
        assert_eq!(of(&["cc", "bb"]), format!("{}\n", log[1]));
        assert_eq!(of(&[]), "");
    }
}
