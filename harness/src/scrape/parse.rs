//! The Prometheus text format into samples.
//!
//! `prometheus-parse` splits a line and knows the types. It is not given labels: it drops a line whose label value holds
//! a brace (every matched route has one), cuts values at commas and equals signs, knows no escapes, and skips what it
//! cannot read without a word. Labels are therefore read here, and a page with one unreadable line is refused whole, as
//! Prometheus does: half a page would look like series that vanished.

use std::collections::{BTreeMap, HashMap};

use prometheus_parse::{LineInfo, SampleType};

use super::Sample;
use crate::recording::SeriesKind;

/// A line that is not in the text format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: `{text}`")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    pub reason: &'static str,
    /// The line's beginning.
    pub text: String,
}

/// Reads a page. Timestamps are checked and left out: they are of another clock, and the moment of the scrape is what
/// joins a sample to the rest of the recording. Histograms stay what they are on the page: buckets, a sum and a count.
///
/// # Errors
/// The first line that is not in the format.
pub fn parse(page: &str) -> Result<Vec<Sample>, ParseError> {
    let mut types = HashMap::new();
    let mut samples = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let fail = |reason| ParseError {
            line: number + 1,
            reason,
            text: line.chars().take(80).collect(),
        };
        let line = line.trim();
        if line.starts_with('#') {
            if let LineInfo::Type {
                metric_name,
                metric_alias,
                sample_type,
            } = LineInfo::parse(line)
            {
                types.insert(metric_alias.unwrap_or(metric_name), sample_type);
            }
        } else if !line.is_empty() {
            samples.push(sample(line, &types).map_err(fail)?);
        }
    }
    Ok(samples)
}

fn sample(line: &str, types: &HashMap<String, SampleType>) -> Result<Sample, &'static str> {
    let (name, labels, rest) = match line.find('{') {
        Some(brace) => {
            let (labels, rest) = labels(&line[brace + 1..])?;
            (line[..brace].trim_end(), labels, rest)
        }
        None => {
            let end = line.find(char::is_whitespace).ok_or("a name without a value")?;
            (&line[..end], BTreeMap::new(), &line[end..])
        }
    };
    if !is_name(name) {
        return Err("not a metric's name");
    }
    if rest.split_whitespace().count() > 2 {
        return Err("more than a value and a timestamp");
    }
    // The parser's names have no colon, which recording rules have.
    const COLON: &str = "\u{203f}";
    let plain = format!("{} {}", name.replace(':', COLON), rest.trim());
    let LineInfo::Sample { value, timestamp, .. } = LineInfo::parse(&plain) else {
        return Err("a name without a value");
    };
    if timestamp.is_some_and(|t| t.parse::<i64>().is_err()) {
        return Err("the timestamp is not a number of milliseconds");
    }
    let value: f64 = value.parse().map_err(|_| "the value is not a number")?;
    Ok(Sample {
        name: name.to_owned(),
        kind: kind(name, types),
        labels,
        value,
    })
}

/// The kind of a series: of its own name, or of the histogram or summary that it belongs to.
fn kind(name: &str, types: &HashMap<String, SampleType>) -> SeriesKind {
    let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
        let parent = types.get(name.strip_suffix(suffix)?)?;
        matches!(parent, SampleType::Histogram | SampleType::Summary).then_some(parent)
    });
    match types.get(name).or(family) {
        Some(SampleType::Counter) => SeriesKind::Counter,
        Some(SampleType::Gauge) => SeriesKind::Gauge,
        Some(SampleType::Histogram) => SeriesKind::Histogram,
        Some(SampleType::Summary) => SeriesKind::Summary,
        Some(SampleType::Untyped) | None => SeriesKind::Untyped,
    }
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut text: &str) -> Result<(BTreeMap<String, String>, &str), &'static str> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once('=').ok_or("a label without a value")?;
        let name = name.trim();
        if !is_name(name) || name.contains(':') {
            return Err("not a label's name");
        }
        let rest = rest
            .trim_start()
            .strip_prefix('"')
            .ok_or("a label's value without quotes")?;
        let (value, rest) = quoted(rest)?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err("a label given twice");
        }
        text = rest.trim_start();
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.starts_with('}') => {}
            None => return Err("labels without a closing brace"),
        }
    }
}

/// The rest of a quoted value, with the three escapes of the format undone, and what follows the closing quote.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                _ => return Err("an unknown escape in a label's value"),
            },
            other => value.push(other),
        }
    }
    Err("a label's value without an end")
}

fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line a sample, as `testdata/*.expected` has them.
    fn listed(page: &str) -> String {
        match parse(page) {
            Ok(samples) => samples
                .iter()
                .map(|s| format!("{:?} {} {:?} {}\n", s.kind, s.name, s.labels, s.value))
                .collect(),
            Err(error) => format!("error: {error}\n"),
        }
    }

    macro_rules! pages {
        ($($test:ident),+ $(,)?) => {$(
            #[test]
            fn $test() {
                let page = include_str!(concat!("testdata/", stringify!($test), ".prom"));
                let expected = include_str!(concat!("testdata/", stringify!($test), ".expected"));
                assert_eq!(listed(page), expected);
            }
        )+};
    }

    pages!(
        routes,
        histogram,
        numbers,
        escapes,
        exporter_summary,
        web_page,
        cut_short
    );

    #[test]
    fn what_the_library_would_drop_is_kept() {
        // The reason for reading labels here; when this fails, the library has learnt it.
        let line = r#"requests{route="/v1/concerts/{id}/schedules"} 5"#;
        assert_eq!(LineInfo::parse(line), LineInfo::Ignored);
        assert_eq!(parse(line).unwrap()[0].labels["route"], "/v1/concerts/{id}/schedules");
    }

    #[track_caller]
    fn refused(line: &str, reason: &str) {
        assert_eq!(parse(line).unwrap_err().reason, reason, "{line}");
    }

    #[test]
    fn malformed_lines_are_refused_with_their_reason() {
        refused("up", "a name without a value");
        refused("up one", "the value is not a number");
        refused("up 1 yesterday", "the timestamp is not a number of milliseconds");
        refused("up 1 2 3", "more than a value and a timestamp");
        refused("9up 1", "not a metric's name");
        refused(r#"up{a="b" 1"#, "labels without a closing brace");
        refused(r#"up{a="b} 1"#, "a label's value without an end");
        refused(r#"up{a=b} 1"#, "a label's value without quotes");
        refused(r#"up{a="\t"} 1"#, "an unknown escape in a label's value");
        refused(r#"up{a="b",a="c"} 1"#, "a label given twice");
        refused(r#"up{a} 1"#, "a label without a value");
        refused(r#"up{a:b="c"} 1"#, "not a label's name");
        refused(r#"up{a="b"}"#, "a name without a value");
    }

    #[test]
    fn the_error_names_the_line() {
        let error = parse("up 1\n\n# a comment\nnonsense\n").unwrap_err();
        assert_eq!(error.to_string(), "line 4: a name without a value: `nonsense`");
    }
}
