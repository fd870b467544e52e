//! The summary on a terminal: verdict, badges, effects, and where the rest is.
//!
//! Whether there is a terminal and whether colour is welcome is the caller's to know; this stays a pure function.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::model::{BadgeState, Document, EffectLine, Verdict};
use crate::chart::Decision;

/// Whether to use colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    Off,
    On,
}

impl Colour {
    /// Off unless the output is a terminal, and off when `NO_COLOR` is set to anything, as <https://no-color.org> asks.
    pub fn choose(is_terminal: bool, no_color: Option<&OsStr>) -> Self {
        let is_refused = no_color.is_some_and(|value| !value.is_empty());
        if is_terminal && !is_refused {
            Self::On
        } else {
            Self::Off
        }
    }

    fn paint(self, code: &str, words: &str) -> String {
        match self {
            Self::Off => words.to_owned(),
            Self::On => format!("\u{1b}[{code}m{words}\u{1b}[0m"),
        }
    }
}

/// Several lines, the last with a line break. `folder` is where the report was written.
pub fn summary(document: &Document, folder: Option<&Path>, colour: Colour) -> String {
    let mut out = String::new();
    let verdict = colour.paint(verdict_code(document.verdict), &document.verdict.word().to_uppercase());
    let _ = writeln!(out, "{verdict}  {}", colour.paint("1", &clean(&document.title)));
    let _ = writeln!(out, "  {}", clean(&document.sentence.to_plain()));
    if let Some(mark) = &document.mark {
        let _ = writeln!(out, "  {}", colour.paint("33", &clean(mark)));
    }
    for (name, badge) in [
        ("invariants", &document.badges.invariants),
        ("generator", &document.badges.generator),
    ] {
        let state = colour.paint(badge_code(badge.state), badge.state.word());
        let _ = writeln!(out, "  {name:<11} {state}: {}", clean(&badge.detail));
    }
    let claim_width = document
        .effects
        .iter()
        .map(|effect| clean(&effect.claim).chars().count())
        .max()
        .unwrap_or_default();
    for effect in &document.effects {
        let _ = writeln!(out, "  {}", line(effect, claim_width, colour));
    }
    if let Some(folder) = folder {
        let _ = writeln!(out, "  {}", folder.join("report.html").display());
        let _ = writeln!(out, "  {}", folder.join("report.md").display());
    }
    let _ = writeln!(out, "  repeat: {}", clean(&document.command));
    out
}

fn line(effect: &EffectLine, claim_width: usize, colour: Colour) -> String {
    let claim = clean(&effect.claim);
    let pad = " ".repeat(claim_width - claim.chars().count().min(claim_width));
    let decision = effect.decision;
    let result = effect.withheld.as_ref().map_or_else(
        || format!("{}  {}", effect.text(), decision.word()),
        |reason| format!("claim withheld: {}", clean(reason)),
    );
    let sign = colour.paint(decision_code(decision), decision.sign());
    let evidence = match (effect.rounds, effect.launches) {
        (Some(rounds), Some(launches)) => format!("  ({rounds} blocks, {launches} launches)"),
        _ => String::new(),
    };
    format!("{sign} {claim}{pad}  {result}{evidence}")
}

/// Names from a recording must not steer the terminal.
fn clean(words: &str) -> String {
    words.replace(char::is_control, " ")
}

const fn verdict_code(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "1;32",
        Verdict::Fail | Verdict::Broken => "1;31",
        Verdict::Unknown => "1;33",
    }
}

const fn badge_code(state: BadgeState) -> &'static str {
    match state {
        BadgeState::Pass => "32",
        BadgeState::Broken => "1;31",
        BadgeState::Unknown => "33",
    }
}

const fn decision_code(decision: Decision) -> &'static str {
    match decision {
        Decision::Better => "32",
        Decision::Worse => "31",
        Decision::Same | Decision::Unknown => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_that_did_not_refuse_it() {
        for (is_terminal, no_color, expected) in [
            (true, None, Colour::On),
            (true, Some(""), Colour::On),
            (true, Some("1"), Colour::Off),
            (false, None, Colour::Off),
        ] {
            assert_eq!(Colour::choose(is_terminal, no_color.map(OsStr::new)), expected);
        }
    }
}
