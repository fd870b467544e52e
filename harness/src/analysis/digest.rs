//! What each statement cost, from the digests that MySQL counts: rows read for each row returned, time, index use.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counter::{Increase, increase_between};
use super::series::read;
use crate::recording::SeriesSet;
use crate::units::Nanos;

/// What one statement of one schema cost between two moments. `None` is what was not scraped at an edge.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DigestCost {
    pub digest: String,
    /// The statement with its literals masked.
    pub text: String,
    pub executions: Option<f64>,
    pub rows_examined: Option<f64>,
    pub rows_sent: Option<f64>,
    pub rows_affected: Option<f64>,
    /// Executions that used no index.
    pub no_index_used: Option<f64>,
    pub seconds: Option<f64>,
}

impl DigestCost {
    /// Rows read for each row returned; `None` when none was returned.
    pub fn examined_per_sent(&self) -> Option<f64> {
        let (examined, sent) = (self.rows_examined?, self.rows_sent?);
        (sent > 0.0).then(|| examined / sent)
    }

    /// Rows read each time that it ran; `None` when it did not run.
    pub fn examined_per_execution(&self) -> Option<f64> {
        let (examined, executions) = (self.rows_examined?, self.executions?);
        (executions > 0.0).then(|| examined / executions)
    }
}

/// Whether a statement, or the text of its digest, is the one that reads a seat map. Words and not the whole text, since
/// another build may ask for other columns; names that the server knows as words stand in a digest without quotes.
pub fn is_seat_map(statement: &str) -> bool {
    let text = statement.to_ascii_lowercase().replace('`', "");
    !text.contains("explain")
        && ["from seats", "schedule_id", "number", "order by"]
            .iter()
            .all(|words| text.contains(words))
}

/// The statements of a schema that ran between two moments, such as the edges of a slice, the most time-consuming first.
/// `tolerance` is how old a scrape may be at either edge.
pub fn costs(set: &SeriesSet, schema: &str, from: Nanos, until: Nanos, tolerance: Duration) -> Vec<DigestCost> {
    const PREFIX: &str = "mysql_perf_schema_events_statements_";
    let mut costs: BTreeMap<&str, DigestCost> = BTreeMap::new();
    for series in set.iter() {
        let labels = &series.def.labels;
        let (Some(counter), Some(digest)) = (series.def.name.strip_prefix(PREFIX), labels.get("digest")) else {
            continue;
        };
        if labels.get("schema").is_none_or(|of| of != schema) {
            continue;
        }
        // One statement of a fresh schema is absent at the first edge, and has counted from zero.
        let amount = increase_between(&read(set, series), from, until, tolerance)
            .filter(|increase: &Increase| increase.resets == 0)
            .map(|increase| increase.amount);
        let cost = costs.entry(digest).or_insert_with(|| DigestCost {
            digest: digest.clone(),
            text: labels.get("digest_text").cloned().unwrap_or_default(),
            executions: None,
            rows_examined: None,
            rows_sent: None,
            rows_affected: None,
            no_index_used: None,
            seconds: None,
        });
        match counter {
            "total" => cost.executions = amount,
            "rows_examined_total" => cost.rows_examined = amount,
            "rows_sent_total" => cost.rows_sent = amount,
            "rows_affected_total" => cost.rows_affected = amount,
            "no_index_used_total" => cost.no_index_used = amount,
            "seconds_total" => cost.seconds = amount,
            _ => {}
        }
    }
    let mut ran: Vec<DigestCost> = costs
        .into_values()
        .filter(|cost| cost.executions != Some(0.0))
        .collect();
    ran.sort_by(|a, b| {
        b.seconds
            .unwrap_or(0.0)
            .total_cmp(&a.seconds.unwrap_or(0.0))
            .then_with(|| a.digest.cmp(&b.digest))
    });
    ran
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_need_something_to_divide_by() {
        let mut cost = DigestCost {
            digest: "d".to_owned(),
            text: "SELECT ?".to_owned(),
            executions: Some(10.0),
            rows_examined: Some(5_000.0),
            rows_sent: Some(500.0),
            rows_affected: Some(0.0),
            no_index_used: Some(0.0),
            seconds: Some(0.1),
        };
        assert_eq!(
            (cost.examined_per_sent(), cost.examined_per_execution()),
            (Some(10.0), Some(500.0))
        );
        (cost.rows_sent, cost.executions) = (Some(0.0), None);
        assert_eq!((cost.examined_per_sent(), cost.examined_per_execution()), (None, None));
    }

    #[test]
    fn the_seat_map_is_told_from_its_neighbours() {
        for text in [
            "EXECUTE SELECT `id` , NUMBER , `price` FROM `seats` WHERE `schedule_id` = ? AND STATUS = ? ORDER BY NUMBER",
            "SELECT `id` , NUMBER , `price` FROM `seats` WHERE `schedule_id` = ? AND STATUS = ? ORDER BY NUMBER",
            "SELECT id, number, price FROM seats WHERE schedule_id = 7 AND status = 0 ORDER BY number",
            "select id, number, price from seats where cast(schedule_id as char) = '7' order by number",
        ] {
            assert!(is_seat_map(text), "{text}");
        }
        for text in [
            "COMMIT",
            "EXPLAIN ANALYZE SELECT `id` , NUMBER , `price` FROM `seats` WHERE `schedule_id` = ? AND STATUS = ? ORDER BY NUMBER",
            "SELECT `schedule_id` FROM `seats` WHERE `id` = ?",
            "EXPLAIN ANALYZE SELECT id, number FROM seats WHERE schedule_id = 7 ORDER BY number",
            "UPDATE `seats` SET STATUS = ? WHERE `id` = ?",
            "SELECT `id` , `number` FROM `schedules` WHERE `concert_id` = ? ORDER BY `number`",
        ] {
            assert!(!is_seat_map(text), "{text}");
        }
    }
}
