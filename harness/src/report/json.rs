//! The report as one JSON object, for `--json`. Charts are named by their files; numbers keep their base unit.

use serde::Serialize;

use super::model::Document;
use super::write::ReportError;

/// What the object's shape is called; a change that breaks readers raises the number.
const SCHEMA: &str = "soundcheck.report/1";

#[derive(Serialize)]
struct Envelope<'a> {
    schema: &'a str,
    #[serde(flatten)]
    document: &'a Document,
}

/// One object on one line.
///
/// # Errors
/// When serialising fails, which is a bug.
pub fn render(document: &Document) -> Result<String, ReportError> {
    let envelope = Envelope {
        schema: SCHEMA,
        document,
    };
    serde_json::to_string(&envelope).map_err(ReportError::Json)
}
