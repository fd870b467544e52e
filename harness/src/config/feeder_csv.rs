//! The rows of a feeder as CSV, both ways.

use std::num::NonZeroU32;

use super::feeder::{Field, Row};
use super::scenario::ScenarioConfig;
use super::strict;

/// After so many problems of one file, the others are only counted.
const MOST_TOLD: usize = 10;

/// A problem, and the line on which it stands.
pub(super) type Wrong = (Option<usize>, String);

/// Reads rows below a header, all of them within the data that `scenario` creates.
///
/// # Errors
/// With what is wrong, line by line.
pub(super) fn read(text: &[u8], scenario: &ScenarioConfig) -> Result<Vec<Row>, Vec<Wrong>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let header = reader.headers().map_err(|error| vec![told(&error)])?.clone();
    let fields = fields(&header).map_err(|wrong| vec![(Some(1), wrong)])?;
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                wrong.push(told(&error));
                // Behind what is no text, lines cannot be told apart any more.
                if matches!(error.kind(), csv::ErrorKind::Io(_)) {
                    break;
                }
                continue;
            }
        };
        let line = record.position().and_then(|place| usize::try_from(place.line()).ok());
        let mut row = Row::default();
        for (field, cell) in fields.iter().zip(&record) {
            match number(*field, cell, scenario) {
                Ok(number) => row.set(*field, number),
                Err(why) => wrong.push((line, why)),
            }
        }
        rows.push(row);
    }
    if rows.is_empty() && wrong.is_empty() {
        wrong.push((None, "there is no row below the header".to_owned()));
    }
    if wrong.is_empty() {
        return Ok(rows);
    }
    let more = wrong.len().saturating_sub(MOST_TOLD);
    wrong.truncate(MOST_TOLD);
    if more > 0 {
        wrong.push((None, format!("{more} more of its values are wrong")));
    }
    Err(wrong)
}

/// What the columns are.
fn fields(header: &csv::StringRecord) -> Result<Vec<Field>, String> {
    let names = Field::ALL.map(|field| field.name().to_owned());
    let list = names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if header.iter().all(str::is_empty) {
        return Err(format!("the file is empty; it begins with a header of any of {list}"));
    }
    if header.iter().all(|name| name.parse::<f64>().is_ok()) {
        return Err(format!(
            "this is a row and no header; name the columns above it, of {list}"
        ));
    }
    let mut fields = Vec::new();
    for name in header {
        let field = Field::ALL.into_iter().find(|field| field.name() == name);
        let field = field.ok_or_else(|| strict::unknown_message(name, &names))?;
        if fields.contains(&field) {
            return Err(format!("two columns are called `{name}`"));
        }
        fields.push(field);
    }
    Ok(fields)
}

fn number(field: Field, cell: &str, scenario: &ScenarioConfig) -> Result<NonZeroU32, String> {
    let name = field.name();
    if cell.is_empty() {
        return Err(format!("`{name}` is empty"));
    }
    let number: u64 = cell
        .parse()
        .map_err(|_| format!("`{name}`: `{cell}` is no whole number"))?;
    let most = match field {
        Field::User => scenario.queue_users(),
        Field::Concert => scenario.data.concerts,
        Field::Schedule => scenario.data.schedules_per_concert,
        Field::Seat => scenario.data.seats_per_schedule,
    };
    let whose = match field {
        Field::User | Field::Concert => "",
        Field::Schedule => " of a concert",
        Field::Seat => " of a schedule",
    };
    let within = u32::try_from(number).ok().filter(|number| *number <= most);
    within.and_then(NonZeroU32::new).ok_or_else(|| {
        format!("there is no {name} {number}: the {most} {name}s{whose} that a run can use count from 1")
    })
}

/// What the reader says, with its line.
fn told(error: &csv::Error) -> Wrong {
    let line = error.position().and_then(|place| usize::try_from(place.line()).ok());
    let why = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("this line has {len} values, and the header names {expected_len} columns")
        }
        csv::ErrorKind::Utf8 { .. } => "this line is no UTF-8 text".to_owned(),
        _ => format!("this is not readable CSV: {error}"),
    };
    (line, why)
}

/// The rows as [`read`] reads them.
pub(super) fn write(rows: &[Row]) -> String {
    let first = rows.first().copied().unwrap_or_default();
    let fields: Vec<Field> = Field::ALL
        .into_iter()
        .filter(|field| first.get(*field).is_some())
        .collect();
    let line = |cells: &mut dyn Iterator<Item = String>| cells.collect::<Vec<_>>().join(",") + "\n";
    let mut text = line(&mut fields.iter().map(|field| field.name().to_owned()));
    for row in rows {
        let cells = fields
            .iter()
            .map(|field| row.get(*field).map_or_else(String::new, |number| number.to_string()));
        text.push_str(&line(&mut cells.into_iter()));
    }
    text
}
