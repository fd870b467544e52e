//! Slips of a writer's hand, for tests: whatever comes of them, a file is refused in words, or taken.

use std::fmt::Write as _;
use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::config::ConfigError;

/// What somebody's hand may do to a file.
#[derive(Clone, Debug)]
pub(super) enum Slip {
    LeftOut(Index),
    Twice(Index),
    Swapped(Index, Index),
    /// A word gives way to another one of the file, or to something else.
    Word(Index, Index),
    Other(Index, &'static str),
    Cut(Index),
}

fn slip() -> impl Strategy<Value = Slip> {
    let other = prop::sample::select(vec![
        "",
        "0",
        "-1",
        "1e400",
        ".nan",
        "~",
        "[]",
        "{}",
        "[1, 2]",
        "{a: b}",
        "&a [*a]",
        "*b",
        "!!binary x",
        "0%",
        "100%",
        "1/s",
        "500000000y",
        "\"{\"",
        "'}'",
        "a{b=\"c",
        "{{ $value }}",
        "- -",
        "? x",
        "|",
        "\u{0}",
        "é",
        "true",
    ]);
    let any = any::<Index>;
    prop_oneof![
        any().prop_map(Slip::LeftOut),
        any().prop_map(Slip::Twice),
        (any(), any()).prop_map(|(a, b)| Slip::Swapped(a, b)),
        (any(), any()).prop_map(|(a, b)| Slip::Word(a, b)),
        (any(), other).prop_map(|(at, word)| Slip::Other(at, word)),
        any().prop_map(Slip::Cut),
    ]
}

/// Where words stand in `text`.
fn words(text: &str) -> Vec<Range<usize>> {
    let start = text.as_ptr() as usize;
    text.split([' ', '\n', '{', '}', ',', ':'])
        .filter(|word| !word.is_empty())
        .map(|word| word.as_ptr() as usize - start..word.as_ptr() as usize - start + word.len())
        .collect()
}

fn slipped(text: &str, slip: &Slip) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let words = words(text);
    if lines.is_empty() || words.is_empty() {
        return text.to_owned();
    }
    let with = |at: &Index, word: &str| {
        let range = words[at.index(words.len())].clone();
        format!("{}{word}{}", &text[..range.start], &text[range.end..])
    };
    match slip {
        Slip::LeftOut(at) => {
            lines.remove(at.index(lines.len()));
        }
        Slip::Twice(at) => {
            let at = at.index(lines.len());
            lines.insert(at, lines[at]);
        }
        Slip::Swapped(a, b) => lines.swap(a.index(text.lines().count()), b.index(text.lines().count())),
        Slip::Word(at, from) => return with(at, &text[words[from.index(words.len())].clone()]),
        Slip::Other(at, word) => return with(at, word),
        Slip::Cut(at) => return text.chars().take(at.index(text.chars().count())).collect(),
    }
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}

/// A few of them.
pub(super) fn slips() -> impl Strategy<Value = Vec<Slip>> {
    prop::collection::vec(slip(), 1..4)
}

/// `text` after them.
pub(super) fn with_slips(text: &str, slips: &[Slip]) -> String {
    slips.iter().fold(text.to_owned(), |text, slip| slipped(&text, slip))
}

/// Every problem is told in words, in its file, and no problem twice.
#[track_caller]
pub(super) fn check_told(file: &str, error: &ConfigError) {
    assert!(!error.problems.is_empty());
    for (n, problem) in error.problems.iter().enumerate() {
        assert!(problem.file == file && !problem.message.trim().is_empty(), "{error}");
        assert!(!error.problems[..n].contains(problem), "told twice: {error}");
    }
}
