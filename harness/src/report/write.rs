//! The files of a report, in the folder of its recording.
//!
//! Everything is rendered before anything is written, and each file takes its place at once, so that a reader never sees
//! half of one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::model::{Block, ChartBlock, Document};
use super::{html, markdown};
use crate::chart::{ChartError, Labels};

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A figure could not be drawn.
    #[error("cannot draw `{id}` of the report")]
    Chart { id: String, source: ChartError },
    /// Two figures would share a file, or a name is none.
    #[error("chart id `{0}` is used twice or is not made of lower-case letters, digits and `-`; rename it")]
    ChartId(String),
    /// The folder cannot be written.
    #[error("cannot write {path}; is there space, and may this user write there?", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A bug.
    #[error("cannot turn the report into JSON")]
    Json(#[source] serde_json::Error),
}

/// Every file of a report by its path relative to the folder, in a fixed order.
pub type Files = Vec<(String, String)>;

/// Renders `report.md`, `report.html` and `charts/*.svg`.
///
/// # Errors
/// When a chart cannot be drawn, or its name is taken or unfit.
pub fn files(document: &Document) -> Result<Files, ReportError> {
    let charts = charts(document);
    let mut ids = BTreeSet::new();
    for chart in &charts {
        let is_fit = !chart.id.is_empty() && chart.id.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
        if !is_fit || !ids.insert(chart.id.as_str()) {
            return Err(ReportError::ChartId(chart.id.clone()));
        }
    }
    let mut files = vec![
        ("report.md".to_owned(), markdown::render(document)),
        ("report.html".to_owned(), html::render(document)?),
    ];
    for chart in charts {
        let svg = chart.chart.svg(labels(document, chart));
        let svg = svg.map_err(|source| ReportError::Chart {
            id: chart.id.clone(),
            source,
        })?;
        files.push((chart_path(chart), svg));
    }
    Ok(files)
}

/// Writes a report's files into `folder`. Charts of an earlier version of the report that it no longer has are removed.
///
/// # Errors
/// When rendering fails, or the folder cannot be written.
pub fn write(document: &Document, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let files = files(document)?;
    let charts = folder.join("charts");
    fs::create_dir_all(&charts).map_err(|source| ReportError::Write {
        path: charts.clone(),
        source,
    })?;
    let kept: BTreeSet<PathBuf> = files.iter().map(|(path, _)| folder.join(path)).collect();
    remove_stale(&charts, &kept)?;
    let mut written = Vec::with_capacity(files.len());
    for (path, content) in files {
        let path = folder.join(path);
        replace(&path, &content).map_err(|source| ReportError::Write {
            path: path.clone(),
            source,
        })?;
        written.push(path);
    }
    Ok(written)
}

fn remove_stale(charts: &Path, kept: &BTreeSet<PathBuf>) -> Result<(), ReportError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Write { path, source }
    };
    for entry in fs::read_dir(charts).map_err(failed(charts))? {
        let path = entry.map_err(failed(charts))?.path();
        if path.extension().is_some_and(|end| end == "svg") && !kept.contains(&path) {
            fs::remove_file(&path).map_err(failed(&path))?;
        }
    }
    Ok(())
}

fn replace(path: &Path, content: &str) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = fs::write(&partial, content).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // The first error is the one to report; what is left over is overwritten next time.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Where a chart's file is, relative to the report.
pub(super) fn chart_path(chart: &ChartBlock) -> String {
    format!("charts/{}.svg", chart.id)
}

/// The words that go into a chart's file.
pub(super) fn labels<'a>(document: &'a Document, chart: &'a ChartBlock) -> Labels<'a> {
    Labels {
        alt: &chart.alt,
        mark: document.mark.as_deref(),
    }
}

fn charts(document: &Document) -> Vec<&ChartBlock> {
    let sections = document.sections.iter().flat_map(|section| &section.blocks);
    let blocks = sections.chain(document.got_worse.blocks());
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
