//! From what plotters writes to what a page needs: classes that follow the colour scheme, dashes, halos, a description.
//!
//! Each colour stays as an attribute, so that a viewer without style sheets shows the light theme.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::canvas::{DASH_STEP, GRAIN, HALO_FAMILY};
use super::theme::{self, DASHES, FONT_STACK};

/// Where the drawing will stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In a page that has [`theme::page_style`].
    Inline,
    /// In a file of its own.
    File,
}

/// Rewrites the backend's output. `label` is read out by screen readers.
pub(super) fn finish(raw: &str, width: f64, height: f64, label: &str, place: Place) -> String {
    let mut classes = BTreeSet::new();
    let mut body = String::with_capacity(raw.len());
    let mut lines = raw.lines();
    while let Some(line) = lines.next() {
        let Some(element) = line.strip_prefix('<') else {
            continue;
        };
        if element.starts_with("svg ") || element.starts_with('/') {
            continue;
        }
        let (name, rest) = element.split_once(' ').unwrap_or((element, ""));
        body.push('<');
        body.push_str(name);
        attributes(rest, &mut body, &mut classes);
        if name == "text" {
            // The text is on lines of its own, whose breaks some viewers show as blanks.
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "</text>").collect();
            let _ = writeln!(body, ">{}</text>", text.join(" "));
        } else {
            body.push_str("/>\n");
        }
    }
    let mut svg = String::with_capacity(body.len() + 1_024);
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {:.0} {:.0}\" font-family=\"{FONT_STACK}\" stroke-linejoin=\"round\" role=\"img\" aria-label=\"{}\">",
        width * GRAIN,
        height * GRAIN,
        escape(label),
    );
    svg.push('\n');
    if place == Place::File {
        let _ = writeln!(
            svg,
            "<style>{}</style>",
            theme::file_style(|class| classes.contains(class))
        );
    }
    svg.push_str(&body);
    svg.push_str("</svg>\n");
    svg
}

/// Copies `key="value"` pairs; the backend has escaped the values, so that a quote always ends one.
fn attributes(mut rest: &str, out: &mut String, classes: &mut BTreeSet<String>) {
    let mut own = Vec::new();
    while let Some((key, after)) = rest.split_once("=\"") {
        let Some((value, next)) = after.split_once('"') else {
            break;
        };
        rest = next;
        match key.trim_start() {
            "opacity" if value == "1" => {}
            "font-family" => {
                if value == HALO_FAMILY {
                    own.push(HALO_FAMILY.to_owned());
                }
            }
            "font-weight" => out.push_str(" font-weight=\"600\""),
            "stroke-width" => stroke_width(value, out),
            "points" => {
                let _ = write!(out, " points=\"{}\"", value.trim_end());
            }
            key @ ("fill" | "stroke") => {
                if let Some(ink) = theme::name_of(value) {
                    own.push(format!("{}-{ink}", if key == "fill" { "f" } else { "k" }));
                }
                let _ = write!(out, " {key}=\"{value}\"");
            }
            key => {
                let _ = write!(out, " {key}=\"{value}\"");
            }
        }
    }
    if !own.is_empty() {
        let _ = write!(out, " class=\"{}\"", own.join(" "));
    }
    classes.extend(own);
}

fn stroke_width(value: &str, out: &mut String) {
    let coded: u32 = value.parse().unwrap_or_default();
    let _ = write!(out, " stroke-width=\"{}\"", coded % DASH_STEP);
    let dash = DASHES.get((coded / DASH_STEP) as usize).copied().unwrap_or_default();
    if !dash.is_empty() {
        let parts: Vec<String> = dash.iter().map(|part| format!("{:.0}", part * GRAIN)).collect();
        let _ = write!(out, " stroke-dasharray=\"{}\"", parts.join(" "));
    }
}

/// `text` as an attribute or as content.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
