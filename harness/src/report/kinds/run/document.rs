//! The document: its verdict, its sections in the order in which they are read, and its notes.

use super::measured::Measured;
use super::tables::accounts;
use crate::format;
use crate::objectives::Ruling;
use crate::recording::Recording;
use crate::recording::event::{NoteLevel, What};
use crate::report::kinds::judgement::{Judgement, value_of, window_of};
use crate::report::kinds::{KindError, blank, common};
use crate::report::{Badges, Cell, Column, Document, GotWorse, Section, Table, Text};

/// Builds the report of a run that was judged.
pub(in crate::report::kinds) fn document(recording: &Recording, judgement: &Judgement) -> Result<Document, KindError> {
    let validity = &judgement.validity;
    let badges = common::badges(
        &judgement.ledger,
        &judgement.events,
        &validity.doubts,
        validity.late_p99,
    );
    let run = Run {
        measured: Measured::of(recording, judgement)?,
        judgement,
    };
    Ok(run.document(recording, badges))
}

/// A run, judged and measured.
pub(super) struct Run<'a> {
    pub(super) judgement: &'a Judgement,
    pub(super) measured: Measured,
}

impl Run<'_> {
    fn document(&self, recording: &Recording, badges: Badges) -> Document {
        let mut document = blank(recording, &format!("Run: {}", self.judgement.scenario.name), badges);
        (document.verdict, document.sentence) = self.judgement.verdict();
        document.sections = vec![
            Section::new("What was offered, and what came of it")
                .with(self.timeline())
                .with(accounts(&self.judgement.books))
                .with(self.outcomes())
                .with_some(self.failures()),
            self.objectives(),
            Section::new("How long users waited")
                .with(
                    "Response times begin when a user wanted to start, service times with the send. Only a journey's first \
                     request has an intended start of its own. The columns of services and responses are of those who got an \
                     answer; asked for means that time-outs, connections that were lost or never came about, and whatever was \
                     cut off count as endlessly slow; and so do, among journeys, arrivals that were dropped. Work counts \
                     where it ended, and what ended after the last stage counts with that.",
                )
                .with(self.times())
                .with_some(self.slowest()),
            self.settling(),
            Section::new("Was anything sold twice, or lost?").with(common::invariants_table(&self.judgement.ledger)),
        ];
        document.got_worse = GotWorse::unknown("one run was made, and compared with nothing");
        let warnings = self.judgement.events.iter().filter_map(|event| match &event.what {
            What::Note {
                level: NoteLevel::Warning,
                text,
            } => Some(text),
            _ => None,
        });
        let notes = self.judgement.validity.notes.iter().chain(warnings).cloned();
        document.notes = self.unsettled().into_iter().chain(notes).map(Text::plain).collect();
        document
    }

    fn objectives(&self) -> Section {
        let section = Section::new("Was it good enough?");
        if self.judgement.judged.is_empty() {
            return section.with(Text::marked(
                "The run was held to no objective; `--objectives FILE` names them.",
            ));
        }
        let mut table = Table::new(
            "Objectives: a window that slides second by second decides, and one beyond the limit is a miss",
            [
                Column::text("Objective"),
                Column::text("Of"),
                Column::text("Limit"),
                Column::text("Window"),
                Column::text("Worst"),
                Column::text("At"),
                Column::text("Verdict"),
            ],
        );
        for (objective, ruling) in &self.judgement.judged {
            let worst = ruling.worst();
            table.row([
                Cell::from(objective.name.clone()),
                Cell::from(objective.of.to_string()),
                Cell::from(objective.limit.to_string()),
                Cell::from(window_of(objective)),
                Cell::from(value_of(objective.limit, worst.map(|worst| worst.value))),
                Cell::from(worst.map_or_else(
                    || format::MISSING.to_owned(),
                    |worst| {
                        format!(
                            "{:.0} to {:.0} s",
                            self.judgement.at(worst.from),
                            self.judgement.at(worst.until)
                        )
                    },
                )),
                Cell::from(match ruling {
                    Ruling::Met(_) => "met".to_owned(),
                    Ruling::Missed(_) if self.judgement.is_the_services(objective, ruling) => "missed".to_owned(),
                    Ruling::Missed(_) => "missed, perhaps by the generator's own lateness".to_owned(),
                    Ruling::Unknown(reason) => format!("unknown: {reason}"),
                }),
            ]);
        }
        match self.judgement.ended_early() {
            Some(reason) => section
                .with(Text::plain(format!("The run was ended early: {reason}.")))
                .with(table),
            None => section.with(table),
        }
    }
}
