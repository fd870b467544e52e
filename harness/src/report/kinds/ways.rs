//! Through which proxies the service reached its servers, and what went through each.

use crate::analysis::incident::FaultWindow;
use crate::analysis::ways::ways;
use crate::format::Unit;
use crate::recording::SeriesSet;
use crate::report::{Cell, Column, Section, Table};

/// The section; `None` where no proxy was recorded.
pub(super) fn section(series: &SeriesSet, fault: FaultWindow) -> Option<Section> {
    let ways = ways(series, Some(fault));
    if ways.is_empty() {
        return None;
    }
    let mut table = Table::new(
        "What went through each proxy",
        [
            Column::text("Server"),
            Column::number("Connections", Unit::Count),
            Column::number("To the server", Unit::Bytes),
            Column::number("To the service", Unit::Bytes),
            Column::number("To the server, fault", Unit::Bytes),
            Column::number("To the service, fault", Unit::Bytes),
        ],
    );
    for way in &ways {
        table.row([
            Cell::from(way.server.as_str()),
            Cell::from(way.connections),
            Cell::from(way.bytes_to_server),
            Cell::from(way.bytes_to_service),
            Cell::from(way.bytes_to_server_during),
            Cell::from(way.bytes_to_service_during),
        ]);
    }
    Some(
        Section::new("Which way it went")
            .with("The service reached each of these servers through a proxy of the harness on this machine, which counted what passed; “fault” is the time from the injection to the heal. The harness asks the servers past the proxies, and so does not count.")
            .with(table),
    )
}
