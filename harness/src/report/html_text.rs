//! Words from a recording as HTML: everything that could be taken for markup is escaped here, and nowhere else.

use std::fmt::Write as _;

use super::text::{Inline, Text};

/// A text with its markup.
pub(super) fn text(text: &Text) -> String {
    let pieces = text.0.iter().map(|piece| match piece {
        Inline::Plain(words) => escape(words),
        Inline::Strong(words) => format!("<strong>{}</strong>", escape(words)),
        Inline::Code(words) => format!("<code>{}</code>", escape(words)),
        Inline::Link { text, href } => format!("<a href=\"{}\">{}</a>", url(href), escape(text)),
    });
    pieces.collect()
}

/// Safe as content and within a quoted attribute.
pub(super) fn escape(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A link's target with everything unusual percent-encoded; a scheme other than http and https leads nowhere.
pub(super) fn url(target: &str) -> String {
    let first = target.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((scheme, _)) = first.split_once(':')
        && !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")
    {
        return "#".to_owned();
    }
    let mut encoded = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'/' | b'?' | b'#' | b'=' | b':' | b'%' | b'+' | b',' => {
                encoded.push(char::from(byte))
            }
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_files_and_pages_only() {
        for (target, expected) in [
            ("cache/report.html", "cache/report.html"),
            ("https://example.org/a b?c=\"d\"", "https://example.org/a%20b?c=%22d%22"),
            ("javascript:alert(1)", "#"),
            ("JAVASCRIPT:alert(1)", "#"),
            (" javascript:alert(1)", "#"),
            ("a/b:c", "a/b:c"),
            ("r)[x](http://a", "#"),
            ("a/r)[x](b", "a/r%29%5Bx%5D%28b"),
        ] {
            assert_eq!(url(target), expected, "{target}");
        }
    }
}
