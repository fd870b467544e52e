//! The same document gives the same bytes, safe ones, in every format.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use soundcheck::report::terminal::{self, Colour};
use soundcheck::report::{
    Block, Callout, Cell, ChartBlock, Document, GotWorse, Inline, PlanLine, RawLink, ReportError, Text, Tone, files,
    html, json, markdown, write,
};

use crate::samples;

#[test]
fn markdown_of_each_kind() {
    for (name, document) in samples::all() {
        insta::assert_snapshot!(format!("{name}-markdown"), markdown::render(&document));
    }
}

#[test]
fn html_of_one_kind() {
    insta::assert_snapshot!("index-html", html::render(&samples::index::index()).unwrap());
}

#[test]
fn terminal_of_each_kind() {
    for (name, document) in samples::all() {
        let folder = PathBuf::from("reports/example");
        insta::assert_snapshot!(
            format!("{name}-terminal"),
            terminal::summary(&document, Some(&folder), Colour::Off)
        );
    }
    assert!(terminal::summary(&samples::cache::cache(), None, Colour::On).contains("\u{1b}[1;32mPASS\u{1b}[0m"));
}

#[test]
fn json_is_one_object_on_one_line() {
    for (_, document) in samples::all() {
        let text = json::render(&document).unwrap();
        assert!(!text.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema"], "soundcheck.report/1");
        assert_eq!(value["verdict"], document.verdict.word());
        assert_eq!(value["effects"].as_array().unwrap().len(), document.effects.len());
    }
}

#[test]
fn the_same_document_gives_the_same_bytes_and_no_stale_chart_stays() {
    let folder = tempfile::tempdir().unwrap();
    let read = |paths: &[PathBuf]| paths.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>();
    let first = write(&samples::cache::cache(), folder.path()).unwrap();
    let before = read(&first);
    fs::write(folder.path().join("charts/of-an-older-version.svg"), "<svg/>").unwrap();
    fs::write(folder.path().join("charts/notes.txt"), "mine").unwrap();
    let second = write(&samples::cache::cache(), folder.path()).unwrap();
    assert_eq!(first, second);
    assert_eq!(before, read(&second));
    let left: BTreeSet<PathBuf> = fs::read_dir(folder.path().join("charts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.contains(&folder.path().join("charts/notes.txt")));
    assert_eq!(left.len(), second.len() - 2 + 1);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("charts"), "a file where the folder should be").unwrap();
    let error = write(&samples::index::index(), folder.path()).unwrap_err();
    assert!(error.to_string().contains("charts"), "{error}");
}

#[test]
fn a_chart_needs_a_file_name_of_its_own() {
    for id in ["scaling", "../up", "", "Übersicht"] {
        let mut document = samples::index::index();
        let chart = charts(&document)[0].clone();
        let blocks = &mut document.sections[1].blocks;
        blocks.push(
            ChartBlock {
                id: id.to_owned(),
                ..chart
            }
            .into(),
        );
        assert!(matches!(files(&document), Err(ReportError::ChartId(refused)) if refused == id));
    }
}

#[test]
fn a_page_asks_nobody_for_anything() {
    for (name, document) in samples::all() {
        let page = html::render(&document)
            .unwrap()
            .replace("http://www.w3.org/2000/svg", "");
        for way_out in [
            "http:", "https:", "//", "<script", "<iframe", "<object", "<img", "@import", "url(",
        ] {
            assert!(!page.contains(way_out), "{name}: {way_out}");
        }
    }
}

#[test]
fn every_anchor_of_a_page_is_unique_and_every_link_within_it_leads_somewhere() {
    for (_, document) in samples::all() {
        let page = html::render(&document).unwrap();
        let after = |sign: &'static str| {
            page.split(sign)
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap())
                .collect::<Vec<_>>()
        };
        let ids = after(" id=\"");
        let distinct: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len());
        for target in after("href=\"#") {
            assert!(distinct.contains(target), "{target}");
        }
    }
}

#[test]
fn every_file_is_well_formed_even_with_hostile_names() {
    for (_, document) in samples::all()
        .into_iter()
        .map(|(name, document)| (name, document.clone()))
        .chain([("hostile", hostile())])
    {
        for (path, content) in files(&document).unwrap() {
            if path.ends_with(".svg") {
                well_formed(&content);
            } else if path.ends_with(".html") {
                assert!(!content.contains("<script"), "{path}");
                assert!(!content.contains("onload=\""), "{path}");
                // Void elements are the only ones that HTML leaves open.
                let body = content.split_once("<body>").unwrap().1.replace("</body>\n</html>", "");
                well_formed(&body);
            } else {
                assert!(!outside_code(&content).contains("<script"), "{path}");
            }
        }
        assert!(!terminal::summary(&document, None, Colour::Off).contains('\u{1b}'));
    }
}

const HOSTILE: &str = "\"><script>alert('1')</script>&amp;\u{1b}[31m\u{0}`|**x**\n</text><b onload=\"x\">";

fn hostile() -> Document {
    let mut document = samples::cache::cache();
    let bad = || HOSTILE.to_owned();
    document.title = bad();
    document.kind = bad();
    document.mark = Some(bad());
    document.environment = Some(bad());
    document.command = bad();
    document.sentence = Text(vec![
        Inline::Strong(bad()),
        Inline::Code(bad()),
        Inline::Link {
            text: bad(),
            href: bad(),
        },
    ]);
    document.badges.invariants.detail = bad();
    document.effects[0].claim = bad();
    document.effects[1].withheld = Some(bad());
    document.raw = vec![RawLink::new(HOSTILE, HOSTILE), RawLink::new("javascript:alert(1)", "x")];
    document.notes = vec![Text::marked(HOSTILE)];
    document.got_worse = GotWorse::of(
        Callout {
            tone: Tone::Broken,
            text: Text::plain(HOSTILE),
        },
        [],
    );
    for section in &mut document.sections {
        section.title = bad();
        for block in &mut section.blocks {
            match block {
                Block::Chart(chart) => {
                    chart.alt = bad();
                    chart.chart.title = bad();
                    chart.chart.subtitle = Some(bad());
                    rename(&mut chart.chart.figure);
                }
                Block::Table(table) => {
                    table.caption = bad();
                    table.columns[0].title = bad();
                    table.rows[0][0] = Cell::from(HOSTILE);
                }
                _ => {}
            }
        }
        section.blocks.push(Block::Code {
            language: bad(),
            text: format!("{HOSTILE}```"),
        });
    }
    if let Some(Block::PlanDiff(mut diff)) = samples::index::index().sections[1].blocks.first().cloned() {
        diff.after.push(PlanLine {
            depth: 1,
            step: bad(),
            detail: Some(bad()),
        });
        diff.digest = Some(bad());
        document.sections[0].blocks.push(Block::PlanDiff(diff));
    }
    document
}

fn rename(figure: &mut soundcheck::chart::Figure) {
    use soundcheck::chart::Figure;
    match figure {
        Figure::Cdf(figure) => figure.curves[0].key.name = HOSTILE.to_owned(),
        Figure::Timeline(figure) => figure.marks[0].label = HOSTILE.to_owned(),
        Figure::Bars(figure) => figure.groups[0].name = HOSTILE.to_owned(),
        Figure::Stacked(figure) => figure.parts[0].name = HOSTILE.to_owned(),
        Figure::Effects(figure) => figure.rows[0].name = HOSTILE.to_owned(),
        _ => {}
    }
}

/// Markdown without what stands in code, where nothing is markup.
fn outside_code(markdown: &str) -> String {
    let mut outside = String::new();
    let mut rest = markdown.replace("\\`", "");
    while let Some(start) = rest.find('`') {
        let fence: String = rest[start..].chars().take_while(|c| *c == '`').collect();
        let after = &rest[start + fence.len()..];
        // The code ends at a run of the same length.
        let mut at = 0;
        let end = loop {
            let run = after[at..].find('`').expect("code ends") + at;
            let length = after[run..].chars().take_while(|c| *c == '`').count();
            at = run + length;
            if length == fence.len() {
                break at;
            }
        };
        outside.push_str(&rest[..start]);
        rest = after[end..].to_owned();
    }
    outside + &rest
}

fn charts(document: &Document) -> Vec<&ChartBlock> {
    let blocks = document.sections.iter().flat_map(|section| &section.blocks);
    blocks
        .filter_map(|block| {
            if let Block::Chart(chart) = block {
                Some(chart.as_ref())
            } else {
                None
            }
        })
        .collect()
}

/// Every tag is closed in order, and nothing but tags holds a `<`.
#[track_caller]
fn well_formed(markup: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = markup;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, next) = after.split_once('>').expect("a tag ends");
        rest = next;
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        assert!(
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()),
            "<{tag}>"
        );
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "<{tag}>");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}
