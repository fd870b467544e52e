//! The report as one self-contained page: styles and charts inline, no script, no request to anywhere.
//!
//! The content security policy in the head makes a browser enforce that. Everything that comes from a recording passes
//! `escape` or `url`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::html_text::{escape, text, url};
use super::model::{Badge, Block, Callout, ChartBlock, Document, EffectLine, Tone, Verdict};
use super::plan_diff::{Change, PlanDiff};
use super::table::Table;
use super::table_text::{self, Meaning};
use super::text::Text;
use super::write::{ReportError, chart_path, labels};
use crate::chart::{Decision, theme};
use crate::format::MISSING;

const STYLE: &str = include_str!("html.css");

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
<meta name=\"color-scheme\" content=\"light dark\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline';img-src data:\">\n\
<link rel=\"icon\" href=\"data:,\">\n";

/// The whole page.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn render(document: &Document) -> Result<String, ReportError> {
    let mut page = Page {
        document,
        out: String::from(HEAD),
    };
    page.head();
    page.contents();
    page.out.push_str("<main id=\"content\">\n");
    page.top();
    page.effects();
    let anchors = anchors(document);
    for (section, anchor) in document.sections.iter().zip(&anchors) {
        page.heading(anchor, &section.title);
        page.blocks(&section.blocks)?;
    }
    page.heading("what-got-worse", "What got worse");
    page.blocks(document.got_worse.blocks())?;
    page.bottom();
    page.out.push_str("</main>\n</div>\n</body>\n</html>\n");
    Ok(page.out)
}

struct Page<'a> {
    document: &'a Document,
    out: String,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn head(&mut self) {
        let title = escape(&self.document.title);
        let colours = theme::page_style();
        self.line(&format!(
            "<title>{title}</title>\n<style>\n{STYLE}{colours}</style>\n</head>\n<body>"
        ));
        self.line("<a class=\"skip\" href=\"#content\">Skip to the report</a>\n<div class=\"page\">");
    }

    fn contents(&mut self) {
        self.line("<nav aria-label=\"Contents\"><ol>");
        let document = self.document;
        let mut entries = vec![("verdict".to_owned(), "Verdict")];
        if !document.effects.is_empty() {
            entries.push(("effects".to_owned(), "Effects"));
        }
        entries.extend(
            anchors(document)
                .into_iter()
                .zip(document.sections.iter().map(|section| section.title.as_str())),
        );
        entries.push(("what-got-worse".to_owned(), "What got worse"));
        if !document.notes.is_empty() {
            entries.push(("method".to_owned(), "Method and limits"));
        }
        entries.push(("raw-data".to_owned(), "Raw data"));
        for (anchor, title) in entries {
            self.line(&format!("<li><a href=\"#{anchor}\">{}</a></li>", escape(title)));
        }
        self.line("</ol></nav>");
    }

    fn top(&mut self) {
        let document = self.document;
        let word = document.verdict.word();
        self.line(&format!(
            "<header>\n<div class=\"kind\">{}</div>",
            escape(&document.kind)
        ));
        self.line(&format!("<h1>{}</h1>", escape(&document.title)));
        let sign = verdict_sign(document.verdict);
        self.line(&format!(
            "<div class=\"verdict is-{word}\" id=\"verdict\"><span class=\"pill {word}\">{sign} {word}</span><p>{}</p></div>",
            text(&document.sentence)
        ));
        if let Some(mark) = &document.mark {
            self.line(&format!("<p class=\"mark\">{}</p>", escape(mark)));
        }
        self.line("<dl class=\"facts\">");
        self.fact("invariants", &badge(&document.badges.invariants));
        self.fact("generator", &badge(&document.badges.generator));
        let or_missing = |value: Option<&String>| value.map_or_else(|| MISSING.to_owned(), |value| escape(value));
        self.fact("environment", &or_missing(document.environment.as_ref()));
        self.fact("recorded", &or_missing(document.recorded.as_ref()));
        self.fact(
            "repeat with",
            &format!("<code class=\"command\">{}</code>", escape(&document.command)),
        );
        self.line("</dl>\n</header>");
    }

    fn fact(&mut self, name: &str, html: &str) {
        self.line(&format!("<dt>{name}</dt><dd>{html}</dd>"));
    }

    fn heading(&mut self, anchor: &str, title: &str) {
        self.line(&format!("<h2 id=\"{anchor}\">{}</h2>", escape(title)));
    }

    fn effects(&mut self) {
        if self.document.effects.is_empty() {
            return;
        }
        self.heading("effects", "Effects");
        self.open_table("What changed, with 95 % intervals; the exact test decides, the interval shows");
        self.line("<thead><tr><th scope=\"col\">claim</th><th scope=\"col\" class=\"n\">effect [interval]</th><th scope=\"col\" class=\"n\">blocks</th><th scope=\"col\" class=\"n\">launches</th><th scope=\"col\">decision</th></tr></thead>\n<tbody>");
        for effect in &self.document.effects {
            self.line(&effect_row(effect));
        }
        self.line("</tbody></table></div>");
    }

    fn open_table(&mut self, caption: &str) {
        let caption = escape(caption);
        self.line(&format!(
            "<div class=\"table scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table><caption><span>{caption}</span></caption>"
        ));
    }

    fn blocks(&mut self, blocks: &[Block]) -> Result<(), ReportError> {
        for block in blocks {
            match block {
                Block::Paragraph(words) => self.line(&format!("<p>{}</p>", text(words))),
                Block::Table(table) => self.table(table),
                Block::Chart(chart) => self.chart(chart)?,
                Block::Code { text, .. } => self.line(&format!("<pre><code>{}</code></pre>", escape(text))),
                Block::Callout(callout) => self.callout(callout),
                Block::PlanDiff(diff) => self.plan_diff(diff),
                Block::List { ordered, items } => self.list(*ordered, items),
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &Table) {
        let shown = table_text::show(table);
        self.open_table(&table.caption);
        let class = |index: usize| {
            if shown.is_number.get(index) == Some(&true) {
                " class=\"n\""
            } else {
                ""
            }
        };
        let heads = shown.heads.iter().enumerate();
        let heads: String = heads
            .map(|(index, head)| format!("<th scope=\"col\"{}>{}</th>", class(index), escape(head)))
            .collect();
        self.line(&format!("<thead><tr>{heads}</tr></thead>\n<tbody>"));
        for row in &shown.rows {
            let cells = row.iter().enumerate().map(|(index, cell)| {
                let (class, words) = (class(index), text(&cell.text));
                match cell.meaning {
                    Meaning::State(state) => format!("<td><span class=\"pill {}\">{words}</span></td>", state.word()),
                    Meaning::Decision(decision) => format!("<td class=\"{}\">{words}</td>", decision_class(decision)),
                    Meaning::Plain if index == 0 => format!("<th scope=\"row\"{class}>{words}</th>"),
                    Meaning::Plain => format!("<td{class}>{words}</td>"),
                }
            });
            let cells: String = cells.collect();
            self.line(&format!("<tr>{cells}</tr>"));
        }
        self.line("</tbody></table></div>");
    }

    fn chart(&mut self, chart: &ChartBlock) -> Result<(), ReportError> {
        let svg = chart.chart.inline_svg(labels(self.document, chart));
        let svg = svg.map_err(|source| ReportError::Chart {
            id: chart.id.clone(),
            source,
        })?;
        let title = escape(&chart.chart.title);
        self.line(&format!(
            "<figure id=\"chart-{}\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">",
            escape(&chart.id)
        ));
        self.out.push_str(&svg);
        let link = format!(
            "<a href=\"{}\" aria-label=\"SVG file of {title}\">SVG</a>",
            url(&chart_path(chart))
        );
        self.line(&format!(
            "</div><figcaption><span>{}</span>{link}</figcaption></figure>",
            text(&chart.caption)
        ));
        Ok(())
    }

    fn callout(&mut self, callout: &Callout) {
        let (class, word) = match callout.tone {
            Tone::Note => ("note", "Note"),
            Tone::Caution => ("caution", "Caution"),
            Tone::Broken => ("is-broken", "Broken"),
        };
        let words = text(&callout.text);
        self.line(&format!(
            "<div class=\"callout {class}\" role=\"note\" aria-label=\"{word}\"><p>{words}</p></div>"
        ));
    }

    fn plan_diff(&mut self, diff: &PlanDiff) {
        self.line(&format!(
            "<pre class=\"wrap\"><code>{}</code></pre>",
            escape(&diff.statement)
        ));
        let digest = diff.digest.as_deref().map_or_else(
            || MISSING.to_owned(),
            |digest| format!("<code>{}</code>", escape(digest)),
        );
        self.line(&format!("<p>Executed digest: {digest}</p>"));
        self.out
            .push_str("<pre class=\"plan\" tabindex=\"0\" role=\"region\" aria-label=\"Plan before and after\"><code>");
        // Without breaks between the spans: each is a line of its own already.
        let _ = write!(self.out, "<span class=\"gone\">− {}</span>", escape(&diff.before_name));
        let _ = write!(self.out, "<span class=\"new\">+ {}</span>", escape(&diff.after_name));
        for (change, line) in diff.lines() {
            let (class, sign) = match change {
                Change::Kept => ("kept", ' '),
                Change::Gone => ("gone", '−'),
                Change::New => ("new", '+'),
            };
            let indent = "    ".repeat(line.depth);
            let detail = line
                .detail
                .as_deref()
                .map_or_else(String::new, |detail| format!("  <i>{}</i>", escape(detail)));
            let _ = write!(
                self.out,
                "<span class=\"{class}\">{sign} {indent}{}{detail}</span>",
                escape(&line.step)
            );
        }
        self.line("</code></pre>");
    }

    fn list(&mut self, ordered: bool, items: &[Text]) {
        let tag = if ordered { "ol" } else { "ul" };
        let items: String = items.iter().map(|item| format!("<li>{}</li>\n", text(item))).collect();
        self.line(&format!("<{tag}>\n{items}</{tag}>"));
    }

    fn bottom(&mut self) {
        let document = self.document;
        if !document.notes.is_empty() {
            self.heading("method", "Method and limits");
            self.list(false, &document.notes);
        }
        self.heading("raw-data", "Raw data");
        if document.raw.is_empty() {
            self.line(&format!("<p>{MISSING}</p>"));
            return;
        }
        self.line("<ul>");
        for link in &document.raw {
            let (target, path, what) = (url(&link.path), escape(&link.path), escape(&link.what));
            self.line(&format!(
                "<li><a href=\"{target}\"><code>{path}</code></a>: {what}</li>"
            ));
        }
        self.line("</ul>");
    }
}

fn effect_row(effect: &EffectLine) -> String {
    let count = |value: Option<u32>| value.map_or_else(|| MISSING.to_owned(), |value| value.to_string());
    let class = decision_class(effect.decision);
    let decision = match &effect.withheld {
        Some(reason) => format!("<td class=\"doubt\">claim withheld: {}</td>", escape(reason)),
        None => format!(
            "<td class=\"{class}\">{} {}</td>",
            effect.decision.sign(),
            effect.decision.word()
        ),
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>{decision}</tr>",
        escape(&effect.claim),
        escape(&effect.text()),
        count(effect.rounds),
        count(effect.launches),
    )
}

const fn decision_class(decision: Decision) -> &'static str {
    match decision {
        Decision::Better => "better",
        Decision::Worse => "worse",
        Decision::Same => "same",
        Decision::Unknown => "doubt",
    }
}

fn badge(badge: &Badge) -> String {
    let word = badge.state.word();
    format!(
        "<span class=\"pill {word}\">{word}</span> {}",
        text(&Text::marked(&badge.detail))
    )
}

const fn verdict_sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Unknown => "?",
        Verdict::Broken => "!",
    }
}

/// An anchor for each section: from its title, with a number where two would be the same.
fn anchors(document: &Document) -> Vec<String> {
    let mut taken: BTreeSet<String> = ["verdict", "content", "effects", "what-got-worse", "method", "raw-data"]
        .map(str::to_owned)
        .into();
    let anchors = document.sections.iter().map(|section| {
        let letters = section.title.chars().map(|c| {
            if c.is_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        });
        let dashed: String = letters.collect();
        let words: Vec<&str> = dashed.split('-').filter(|word| !word.is_empty()).collect();
        let base = if words.is_empty() {
            "section".to_owned()
        } else {
            words.join("-")
        };
        let mut anchor = base.clone();
        let mut number = 2_u32;
        while !taken.insert(anchor.clone()) {
            anchor = format!("{base}-{number}");
            number += 1;
        }
        anchor
    });
    anchors.collect()
}
