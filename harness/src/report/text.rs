//! A run of text with a little markup, which each renderer writes in its own way.

use serde::Serialize;

/// A run of text with a little markup.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Text(pub Vec<Inline>);

/// One piece of a text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inline {
    Plain(String),
    Strong(String),
    Code(String),
    Link { text: String, href: String },
}

impl Text {
    /// Text without markup; what looks like markup is shown as it is.
    pub fn plain(text: impl Into<String>) -> Self {
        Self(vec![Inline::Plain(text.into())])
    }

    /// Text in which `` `code` `` and `**strong**` are markup; an opening sign without its closing one is plain.
    ///
    /// ```
    /// use soundcheck::report::{Inline, Text};
    ///
    /// let text = Text::marked("`cache` is **off**");
    /// assert_eq!(text.0[0], Inline::Code("cache".into()));
    /// assert_eq!(text.0[2], Inline::Strong("off".into()));
    /// ```
    pub fn marked(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut plain = String::new();
        while let Some(start) = rest.find(['`', '*']) {
            let (before, from) = rest.split_at(start);
            let sign = if from.starts_with("**") { "**" } else { "`" };
            let inner = from.strip_prefix(sign).and_then(|inner| inner.split_once(sign));
            match inner {
                Some((inside, after)) if !inside.is_empty() => {
                    plain.push_str(before);
                    if !plain.is_empty() {
                        pieces.push(Inline::Plain(std::mem::take(&mut plain)));
                    }
                    let inside = inside.to_owned();
                    pieces.push(if sign == "`" {
                        Inline::Code(inside)
                    } else {
                        Inline::Strong(inside)
                    });
                    rest = after;
                }
                _ => {
                    let (sign, after) = from.split_at(1);
                    plain.push_str(before);
                    plain.push_str(sign);
                    rest = after;
                }
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Inline::Plain(plain));
        }
        Self(pieces)
    }

    /// A link.
    pub fn link(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self(vec![Inline::Link {
            text: text.into(),
            href: href.into(),
        }])
    }

    /// A name as it is typed.
    pub fn code(text: impl Into<String>) -> Self {
        Self(vec![Inline::Code(text.into())])
    }

    /// The same text with `more` behind it.
    #[must_use]
    pub fn then(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The words without the markup.
    pub fn to_plain(&self) -> String {
        let words = self.0.iter().map(|piece| match piece {
            Inline::Plain(text) | Inline::Strong(text) | Inline::Code(text) | Inline::Link { text, .. } => {
                text.as_str()
            }
        });
        words.collect()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::plain(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(marked: &str, expected: &[Inline]) {
        assert_eq!(Text::marked(marked).0, expected);
    }

    #[test]
    fn reads_the_markup_and_leaves_the_rest() {
        let plain = |text: &str| Inline::Plain(text.into());
        check("", &[]);
        check("a * b ** c", &[plain("a * b ** c")]);
        check("a ` b", &[plain("a ` b")]);
        check("``", &[plain("``")]);
        check(
            "a `b` **c**",
            &[
                plain("a "),
                Inline::Code("b".into()),
                plain(" "),
                Inline::Strong("c".into()),
            ],
        );
        check("**a*", &[plain("**a*")]);
        check("é`é`é", &[plain("é"), Inline::Code("é".into()), plain("é")]);
    }
}
