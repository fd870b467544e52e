//! A metric and the labels by which its series are chosen, as PromQL writes it.

use std::fmt;

/// `metric{label="value"}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    metric: String,
    /// As they are written: `label="value"`.
    matchers: Vec<String>,
}

impl Selector {
    /// `None` when `text` is more than one metric with its labels, or less.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (metric, matchers) = match text.split_once('{') {
            Some((metric, rest)) => (metric.trim_end(), matchers(rest.strip_suffix('}')?)?),
            None => (text, Vec::new()),
        };
        let is_name = metric.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
            && metric
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
        is_name.then(|| Self {
            metric: metric.to_owned(),
            matchers: matchers.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Whether this names one series, label by label, and leaves no choice.
    pub fn is_series(&self) -> bool {
        self.matchers.iter().all(|matcher| {
            let operator = matcher.trim_start_matches(is_of_label).trim_start();
            operator.starts_with('=') && !operator.starts_with("=~")
        })
    }

    /// The counter of a histogram's samples.
    pub fn count(&self) -> Self {
        self.with_suffix("_count")
    }

    /// The counter of a histogram's samples that were at most `bound` seconds.
    ///
    /// Prometheus 3 writes a whole bound as `1.0`, and earlier ones as the service does, as `1`: either is chosen.
    pub fn bucket(&self, bound: f64) -> Self {
        let bucket = self.with_suffix("_bucket");
        match bound.fract() == 0.0 {
            true => bucket.with_matcher(format!(r#"le=~"{bound}|{bound}[.]0""#)),
            false => bucket.with_matcher(format!(r#"le="{bound}""#)),
        }
    }

    /// The series of such a bucket, as the service writes it.
    pub fn sample_bucket(&self, bound: f64) -> Self {
        self.with_suffix("_bucket").with_matcher(format!(r#"le="{bound}""#))
    }

    /// The name of the metric.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    fn with_suffix(&self, suffix: &str) -> Self {
        Self {
            metric: format!("{}{suffix}", self.metric),
            matchers: self.matchers.clone(),
        }
    }

    /// One more matcher, as in `le="0.1"`.
    fn with_matcher(mut self, matcher: String) -> Self {
        self.matchers.push(matcher);
        self
    }
}

fn is_of_label(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What stands between braces, one by one; a comma may end it.
fn matchers(text: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (matcher, after) = rest.split_at(length_of_matcher(rest)?);
        found.push(matcher);
        rest = match after.trim_start() {
            "" => "",
            more => more.strip_prefix(',')?.trim_start(),
        };
    }
    Some(found)
}

/// How much of `text` is `label="value"`, in bytes.
fn length_of_matcher(text: &str) -> Option<usize> {
    let after_label = text.trim_start_matches(is_of_label);
    let is_label = after_label.len() < text.len() && !text.starts_with(|c: char| c.is_ascii_digit());
    let operator = after_label.trim_start();
    let value = ["=~", "!~", "!=", "="]
        .iter()
        .find_map(|one| operator.strip_prefix(one))?;
    let value = value.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut is_escaped = false;
    let end = value.char_indices().skip(1).find(|(_, c)| {
        let is_end = *c == quote && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        is_end
    });
    let (end, quote) = end.filter(|_| is_label)?;
    Some(text.len() - value.len() + end + quote.len_utf8())
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if self.matchers.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", self.matchers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_a_count_and_buckets() {
        let times = Selector::parse(r#"took_seconds{route="/seats/{id}",outcome!="gone"}"#).unwrap();
        assert_eq!(
            times.count().to_string(),
            r#"took_seconds_count{route="/seats/{id}",outcome!="gone"}"#
        );
        assert_eq!(
            times.bucket(0.1).to_string(),
            r#"took_seconds_bucket{route="/seats/{id}",outcome!="gone",le="0.1"}"#
        );
        let bare = Selector::parse("took_seconds").unwrap();
        assert_eq!(bare.bucket(10.0).to_string(), r#"took_seconds_bucket{le=~"10|10[.]0"}"#);
        assert_eq!(bare.sample_bucket(10.0).to_string(), r#"took_seconds_bucket{le="10"}"#);
        assert_eq!(bare.to_string(), "took_seconds");
    }

    #[test]
    fn values_may_hold_quotes_and_braces_and_commas() {
        for (text, shown) in [
            (r#"a{b="c\"d}",e='f"g,h'}"#, r#"a{b="c\"d}",e='f"g,h'}"#),
            (r#" a { b = "c" , d !~ "e" , } "#, r#"a{b = "c",d !~ "e"}"#),
            (r#"a{b="c\\"}"#, r#"a{b="c\\"}"#),
            (r#"a{b=""}"#, r#"a{b=""}"#),
            (r#"a{b="é"}"#, r#"a{b="é"}"#),
            ("a{}", "a"),
            ("job:up:sum", "job:up:sum"),
        ] {
            let selector = Selector::parse(text).unwrap_or_else(|| panic!("{text} is refused"));
            assert_eq!(selector.to_string(), shown);
        }
        assert_eq!(Selector::parse(r#"a{b="c"}"#).unwrap().metric(), "a");
    }

    #[test]
    fn a_series_leaves_no_choice() {
        for (text, is_series) in [
            ("a", true),
            (r#"a{b="c",d = "e~!"}"#, true),
            (r#"a{b=~"c"}"#, false),
            (r#"a{b="c",d !~ "e"}"#, false),
            (r#"a{b!="c"}"#, false),
        ] {
            assert_eq!(Selector::parse(text).unwrap().is_series(), is_series, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            "",
            "sum(a)",
            "a + b",
            "a{",
            "a}",
            r#"a{b="c}"#,
            r#"a{b="c"}[5m]"#,
            r#"a{b="c"} + d{e="f"}"#,
            "1a",
            "a{b}",
            "a{b=}",
            "a{b=c}",
            r#"a{="c"}"#,
            r#"a{1b="c"}"#,
            r#"a{b=="c"}"#,
            r#"a{b="c" d="e"}"#,
            r#"a{b="c",,}"#,
            "a{,}",
            r#"a{b="c\"}"#,
            r#"a{b="c'}"#,
            r#"ä{b="c"}"#,
        ] {
            assert_eq!(Selector::parse(text), None, "{text}");
        }
    }
}
