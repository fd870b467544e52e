//! How wide a text will be, without a font at hand.
//!
//! A machine may have no fonts, and the reader's browser chooses its own; so widths are those of a common sans-serif, with
//! a margin. Good enough to keep labels apart, which is all that is asked.

/// Room for fonts that run wider than the measured one.
const MARGIN: f64 = 1.06;

/// The width of `text` at a font size, both in pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let ems: f64 = text.chars().map(em).sum();
    ems * size * MARGIN
}

fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | '!' | 'I' => 0.28,
        ' ' | '\u{a0}' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' | '"' | '`' | '·' => 0.35,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '—' | '…' => 0.9,
        'A'..='Z' | '×' | '÷' | '±' | '−' | '+' | '=' | '<' | '>' | '≤' | '≥' | '→' | '▲' | '▼' => 0.7,
        c if c.is_ascii() => 0.56,
        // Hangul, Han and kana are as wide as they are high.
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' => 1.0,
        _ => 0.62,
    }
}

/// `text` cut at `limit` pixels, with an ellipsis where it was cut.
pub(super) fn fit(text: &str, size: f64, limit: f64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept, size) + width("…", size) > limit {
            kept.pop();
            break;
        }
    }
    format!("{}…", kept.trim_end())
}

/// `text` in lines of at most `limit` pixels, broken at blanks; a longer word is cut.
pub(super) fn wrap(text: &str, size: f64, limit: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(word, size) <= limit => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fit(word, size, limit)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_and_wraps_within_the_limit() {
        let text = "the quick brown fox jumps over the lazy dog";
        assert_eq!(fit(text, 12.0, 1_000.0), text);
        assert!(fit(text, 12.0, 80.0).ends_with('…'));
        assert!(width(&fit(text, 12.0, 80.0), 12.0) <= 80.0);
        let lines = wrap(text, 12.0, 90.0);
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|line| width(line, 12.0) <= 90.0));
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrap("", 12.0, 90.0), Vec::<String>::new());
    }
}
