//! The report as GitHub-flavoured Markdown, with charts as links to `charts/`.
//!
//! Whatever comes from a recording is escaped, so that no name or statement can turn into markup.

use std::fmt::Write as _;

use super::model::{Block, Callout, ChartBlock, Document, EffectLine, Section, Tone};
use super::plan_diff::{Change, PlanDiff};
use super::table::Table;
use super::table_text;
use super::text::{Inline, Text};
use super::write::chart_path;
use crate::format::MISSING;

/// The whole document.
pub fn render(document: &Document) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}\n", escape(&document.title));
    let _ = writeln!(
        out,
        "**{}:** {}\n",
        capitalised(document.verdict.word()),
        text(&document.sentence)
    );
    if let Some(mark) = &document.mark {
        let _ = writeln!(out, "> **{}**\n", escape(mark));
    }
    head(document, &mut out);
    effects(&document.effects, &mut out);
    for part in &document.sections {
        section(part, &mut out);
    }
    let _ = writeln!(out, "## What got worse\n");
    blocks(document.got_worse.blocks(), &mut out);
    if !document.notes.is_empty() {
        let _ = writeln!(out, "## Method and limits\n");
        list(false, &document.notes, &mut out);
    }
    let _ = writeln!(out, "## Raw data\n");
    if document.raw.is_empty() {
        let _ = writeln!(out, "{MISSING}");
    }
    for link in &document.raw {
        let _ = writeln!(
            out,
            "- [{}]({}): {}",
            code(&link.path),
            url(&link.path),
            escape(&link.what)
        );
    }
    out
}

fn head(document: &Document, out: &mut String) {
    let _ = writeln!(out, "| | |\n|---|---|");
    for (name, badge) in [
        ("invariants", &document.badges.invariants),
        ("generator", &document.badges.generator),
    ] {
        let _ = writeln!(
            out,
            "| {name} | **{}**: {} |",
            badge.state.word(),
            cell(&text(&Text::marked(&badge.detail)))
        );
    }
    let missing = || MISSING.to_owned();
    let _ = writeln!(
        out,
        "| environment | {} |",
        cell(&document.environment.as_deref().map_or_else(missing, escape))
    );
    let _ = writeln!(
        out,
        "| recorded | {} |",
        cell(&document.recorded.as_deref().map_or_else(missing, escape))
    );
    let _ = writeln!(out, "| repeat with | {} |\n", cell(&code(&document.command)));
}

fn effects(effects: &[EffectLine], out: &mut String) {
    if effects.is_empty() {
        return;
    }
    let _ = writeln!(out, "## Effects\n");
    let _ = writeln!(
        out,
        "| claim | effect [95 % interval] | blocks | launches | decision |\n|---|--:|--:|--:|---|"
    );
    for effect in effects {
        let count = |value: Option<u32>| value.map_or_else(|| MISSING.to_owned(), |value| value.to_string());
        let decision = format!("{} {}", effect.decision.sign(), effect.decision.word());
        let decision = match &effect.withheld {
            Some(reason) => format!("claim withheld: {}", escape(reason)),
            None => decision,
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            cell(&escape(&effect.claim)),
            cell(&escape(&effect.text())),
            count(effect.rounds),
            count(effect.launches),
            cell(&decision),
        );
    }
    out.push('\n');
}

fn section(section: &Section, out: &mut String) {
    let _ = writeln!(out, "## {}\n", escape(&section.title));
    blocks(&section.blocks, out);
}

fn blocks(blocks: &[Block], out: &mut String) {
    for block in blocks {
        match block {
            Block::Paragraph(words) => {
                let _ = writeln!(out, "{}\n", text(words));
            }
            Block::Table(table) => self::table(table, out),
            Block::Chart(chart) => self::chart(chart, out),
            Block::Code { language, text } => fenced(language, text, out),
            Block::Callout(callout) => self::callout(callout, out),
            Block::PlanDiff(diff) => plan_diff(diff, out),
            Block::List { ordered, items } => {
                list(*ordered, items, out);
            }
        }
    }
}

fn table(table: &Table, out: &mut String) {
    let shown = table_text::show(table);
    let _ = writeln!(out, "*{}*\n", escape(&table.caption));
    let heads: Vec<String> = shown.heads.iter().map(|head| cell(&escape(head))).collect();
    let _ = writeln!(out, "| {} |", heads.join(" | "));
    let rules: Vec<&str> = shown
        .is_number
        .iter()
        .map(|is_number| if *is_number { "--:" } else { "---" })
        .collect();
    let _ = writeln!(out, "|{}|", rules.join("|"));
    for row in &shown.rows {
        let cells: Vec<String> = row.iter().map(|shown| cell(&text(&shown.text))).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

fn chart(chart: &ChartBlock, out: &mut String) {
    let alt = escape(&chart.alt).replace('\n', " ");
    let _ = writeln!(out, "![{alt}]({})\n", url(&chart_path(chart)));
    if !chart.caption.is_empty() {
        let _ = writeln!(out, "{}\n", text(&chart.caption));
    }
}

fn callout(callout: &Callout, out: &mut String) {
    let kind = match callout.tone {
        Tone::Note => "NOTE",
        Tone::Caution => "WARNING",
        Tone::Broken => "CAUTION",
    };
    let _ = writeln!(out, "> [!{kind}]\n> {}\n", text(&callout.text));
}

fn plan_diff(diff: &PlanDiff, out: &mut String) {
    fenced("sql", &diff.statement, out);
    let digest = diff.digest.as_deref().map_or_else(|| MISSING.to_owned(), code);
    let _ = writeln!(out, "Executed digest: {digest}\n");
    let mut lines = format!("--- {}\n+++ {}\n", diff.before_name, diff.after_name);
    for (change, line) in diff.lines() {
        let sign = match change {
            Change::Kept => ' ',
            Change::Gone => '-',
            Change::New => '+',
        };
        let detail = line
            .detail
            .as_deref()
            .map_or_else(String::new, |detail| format!("  {detail}"));
        let _ = writeln!(lines, "{sign} {}{}{detail}", "    ".repeat(line.depth), line.step);
    }
    fenced("diff", lines.trim_end(), out);
}

fn list(ordered: bool, items: &[Text], out: &mut String) {
    for (index, item) in items.iter().enumerate() {
        let sign = if ordered {
            format!("{}.", index + 1)
        } else {
            "-".to_owned()
        };
        let _ = writeln!(out, "{sign} {}", text(item));
    }
    out.push('\n');
}

/// A fence longer than any run of backticks inside.
fn fenced(language: &str, content: &str, out: &mut String) {
    let language: String = language.chars().filter(char::is_ascii_alphanumeric).collect();
    let fence = "`".repeat(longest_run(content).max(2) + 1);
    let _ = writeln!(out, "{fence}{language}\n{content}\n{fence}\n");
}

fn longest_run(content: &str) -> usize {
    content.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

fn text(text: &Text) -> String {
    let pieces = text.0.iter().map(|piece| match piece {
        Inline::Plain(words) => escape(words),
        Inline::Strong(words) => format!("**{}**", escape(words)),
        Inline::Code(words) => code(words),
        Inline::Link { text, href } => format!("[{}]({})", escape(text), url(href)),
    });
    pieces.collect::<String>().replace(['\n', '\r'], " ")
}

fn code(words: &str) -> String {
    let fence = "`".repeat(longest_run(words) + 1);
    let pad = if words.starts_with('`') || words.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{}{pad}{fence}", words.replace(['\n', '\r'], " "))
}

/// A cell ends at a bar, even within code.
fn cell(words: &str) -> String {
    words.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn escape(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    let mut chars = words.chars().peekable();
    let mut at_start = true;
    while let Some(c) = chars.next() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '[' | ']' | '~' | '$' => escaped.extend(['\\', c]),
            // Within a word it is no markup, and names are full of it.
            '_' if at_start || chars.peek().is_none_or(|next| !next.is_alphanumeric()) => escaped.extend(['\\', c]),
            '#' | '>' | '+' | '-' | '=' if escaped.is_empty() => escaped.extend(['\\', c]),
            // `1.` at the start would be a list, and `@name` would call somebody.
            '.' | ')' if is_list_number(&escaped, chars.peek()) => escaped.extend(['\\', c]),
            '@' => escaped.push_str("&#64;"),
            c => escaped.push(c),
        }
        at_start = !c.is_alphanumeric();
    }
    escaped
}

fn is_list_number(before: &str, next: Option<&char>) -> bool {
    !before.is_empty() && before.chars().all(|c| c.is_ascii_digit()) && next.is_none_or(|next| next.is_whitespace())
}

/// Only what a link's target may hold; the rest is percent-encoded.
fn url(target: &str) -> String {
    super::html_text::url(target)
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_markup_is_shown_as_it_is() {
        for (words, expected) in [
            ("a*b`c", "a\\*b\\`c"),
            ("<script>", "&lt;script>"),
            ("snake_case_name", "snake_case_name"),
            ("_private", "\\_private"),
            ("# head", "\\# head"),
            ("1. one", "1\\. one"),
            ("3.5 ms", "3.5 ms"),
            ("@everyone", "&#64;everyone"),
            ("[x](y)", "\\[x\\](y)"),
        ] {
            assert_eq!(escape(words), expected, "{words}");
        }
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
