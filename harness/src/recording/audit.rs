//! `audit.N.ndjson`: the service's final state as it wrote it itself, one object a line.
//!
//! Fields that this version does not know are ignored, and so are lines of an unknown kind; a field that is missing is
//! an error, since what it would have shown cannot be judged.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer, de};

use super::error::RecordError;
use super::history::{IdemKey, Name, Names, Uid};

/// One variant's tables at the end, with users, seats and schedules numbered as in the history.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    pub users: Vec<UserRow>,
    pub ledger: Vec<LedgerRow>,
    /// Seats that are held or sold; every other one is available.
    pub seats: Vec<SeatRow>,
    pub reservations: Vec<ReservationRow>,
    pub payments: Vec<PaymentRow>,
    pub outbox: Vec<OutboxRow>,
    pub processed: Vec<Uid>,
    pub tickets: Vec<TicketRow>,
    /// The counts that the service gave at the end; without them the audit was cut off.
    pub summary: Option<BTreeMap<String, i64>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserRow {
    pub user: Name,
    pub initial: i64,
    pub balance: i64,
}

/// A change of a balance; the amount is positive, and the entry says in which direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LedgerRow {
    pub user: Name,
    pub entry: Entry,
    pub amount: i64,
    pub reservation: Option<Uid>,
    pub key: Option<IdemKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    Charge,
    Payment,
    Refund,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeatRow {
    pub seat: Name,
    pub price: i64,
    pub status: SeatStatus,
    pub reservation: Option<Uid>,
    pub held_until_ms: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeatStatus {
    Held,
    Sold,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReservationRow {
    pub reservation: Uid,
    pub user: Name,
    pub seat: Name,
    pub status: ReservationStatus,
    pub amount: i64,
    pub created_ms: i64,
    pub expires_ms: i64,
    pub key: Option<IdemKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReservationStatus {
    Pending,
    Paid,
    Cancelled,
    Expired,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PaymentRow {
    pub reservation: Uid,
    pub status: PaymentStatus,
    pub amount: i64,
    pub completed_ms: Option<i64>,
    pub key: Option<IdemKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentStatus {
    Pending,
    Completed,
    Cancelled,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutboxRow {
    pub event: Uid,
    pub shard: u32,
    pub seq: u64,
    pub reservation: Uid,
    pub published: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TicketRow {
    pub reservation: Uid,
    pub event: Uid,
}

/// A line as the service writes it.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    User {
        user_id: String,
        initial: i64,
        balance: i64,
    },
    Ledger {
        user_id: String,
        entry: Entry,
        amount: i64,
        reservation_id: Option<String>,
        idem_key: Option<String>,
    },
    Seat {
        seat_id: String,
        price: i64,
        status: SeatStatus,
        reservation_id: Option<String>,
        held_until: Option<UnixMs>,
    },
    Reservation {
        reservation_id: String,
        user_id: String,
        seat_id: String,
        status: ReservationStatus,
        amount: i64,
        created_at: UnixMs,
        expires_at: UnixMs,
        idem_key: Option<String>,
    },
    Payment {
        reservation_id: String,
        status: PaymentStatus,
        amount: i64,
        completed_at: Option<UnixMs>,
        idem_key: Option<String>,
    },
    Outbox {
        event_id: String,
        shard: u32,
        seq: u64,
        reservation_id: String,
        published: bool,
    },
    Processed {
        event_id: String,
    },
    Ticket {
        reservation_id: String,
        event_id: String,
    },
    Summary(BTreeMap<String, serde_json::Value>),
    #[serde(other)]
    Unknown,
}

/// A moment, written as RFC 3339.
#[derive(Clone, Copy)]
struct UnixMs(i64);

impl<'de> Deserialize<'de> for UnixMs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        Ok(Self(moment.as_millisecond()))
    }
}

impl Audit {
    /// Whether the service wrote it to its end, and every line that it counted is here.
    pub fn is_whole(&self) -> bool {
        let Some(summary) = &self.summary else { return false };
        let found = [
            ("users", self.users.len()),
            ("ledger", self.ledger.len()),
            ("seats", self.seats.len()),
            ("reservations", self.reservations.len()),
            ("payments", self.payments.len()),
            ("outbox", self.outbox.len()),
            ("processed", self.processed.len()),
            ("tickets", self.tickets.len()),
        ];
        found.into_iter().all(|(name, rows)| {
            summary
                .get(name)
                .is_none_or(|&counted| usize::try_from(counted) == Ok(rows))
        })
    }

    /// Reads whole lines.
    pub(crate) fn parse(path: &Path, bytes: &[u8], names: &mut Names) -> Result<Self, RecordError> {
        let mut audit = Self::default();
        for (number, line) in bytes
            .split(|&byte| byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            let line = serde_json::from_slice(line).map_err(|error| RecordError::malformed(path, number + 1, error))?;
            audit.add(line, names);
        }
        Ok(audit)
    }

    fn add(&mut self, line: Line, names: &mut Names) {
        let uid = |text: String| Uid::of(&text);
        // A key that is not one of ours belongs to somebody else's client, and matches no operation.
        let key = |text: Option<String>| text.and_then(|text| text.parse::<IdemKey>().ok());
        match line {
            Line::User {
                user_id,
                initial,
                balance,
            } => {
                self.users.push(UserRow {
                    user: names.intern(&user_id),
                    initial,
                    balance,
                });
            }
            Line::Ledger {
                user_id,
                entry,
                amount,
                reservation_id,
                idem_key,
            } => self.ledger.push(LedgerRow {
                user: names.intern(&user_id),
                entry,
                amount,
                reservation: reservation_id.map(uid),
                key: key(idem_key),
            }),
            Line::Seat {
                seat_id,
                price,
                status,
                reservation_id,
                held_until,
            } => self.seats.push(SeatRow {
                seat: names.intern(&seat_id),
                price,
                status,
                reservation: reservation_id.map(uid),
                held_until_ms: held_until.map(|at| at.0),
            }),
            Line::Reservation {
                reservation_id,
                user_id,
                seat_id,
                status,
                amount,
                created_at,
                expires_at,
                idem_key,
            } => self.reservations.push(ReservationRow {
                reservation: uid(reservation_id),
                user: names.intern(&user_id),
                seat: names.intern(&seat_id),
                status,
                amount,
                created_ms: created_at.0,
                expires_ms: expires_at.0,
                key: key(idem_key),
            }),
            Line::Payment {
                reservation_id,
                status,
                amount,
                completed_at,
                idem_key,
            } => {
                self.payments.push(PaymentRow {
                    reservation: uid(reservation_id),
                    status,
                    amount,
                    completed_ms: completed_at.map(|at| at.0),
                    key: key(idem_key),
                });
            }
            Line::Outbox {
                event_id,
                shard,
                seq,
                reservation_id,
                published,
            } => self.outbox.push(OutboxRow {
                event: uid(event_id),
                shard,
                seq,
                reservation: uid(reservation_id),
                published,
            }),
            Line::Processed { event_id } => self.processed.push(uid(event_id)),
            Line::Ticket {
                reservation_id,
                event_id,
            } => {
                self.tickets.push(TicketRow {
                    reservation: uid(reservation_id),
                    event: uid(event_id),
                });
            }
            Line::Summary(counts) => {
                self.summary = Some(
                    counts
                        .into_iter()
                        .filter_map(|(name, value)| Some((name, value.as_i64()?)))
                        .collect(),
                );
            }
            Line::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Audit, String> {
        Audit::parse(Path::new("audit.0.ndjson"), text.as_bytes(), &mut Names::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_is_read_and_what_is_new_is_ignored() {
        let reservation = "018f0000-0000-7000-8000-000000000001";
        let audit = parse(&format!(
            r#"{{"kind":"user","user_id":"u","initial":100,"balance":60,"nickname":"new"}}
{{"kind":"ledger","user_id":"u","entry":"payment","amount":40,"reservation_id":"{reservation}"}}
{{"kind":"seat","seat_id":"s","schedule_id":"d","price":40,"status":"sold","reservation_id":"{reservation}"}}
{{"kind":"reservation","reservation_id":"{reservation}","user_id":"u","seat_id":"s","status":"paid","amount":40,"created_at":"2026-01-01T00:00:00.000Z","expires_at":"2026-01-01T00:05:00.250Z","idem_key":"00000000000000ff"}}
{{"kind":"payment","payment_id":"p","reservation_id":"{reservation}","status":"completed","amount":40,"completed_at":"2026-01-01T00:00:01.000Z"}}
{{"kind":"outbox","event_id":"e","shard":3,"seq":1,"reservation_id":"{reservation}","published":true}}
{{"kind":"processed","event_id":"e"}}
{{"kind":"ticket","reservation_id":"{reservation}","event_id":"e"}}
{{"kind":"weather","sun":true}}
{{"kind":"summary","users":1,"note":"whole"}}
"#
        ))
        .unwrap();
        assert_eq!(
            audit.reservations[0].expires_ms - audit.reservations[0].created_ms,
            300_250
        );
        assert_eq!(audit.reservations[0].key, Some(IdemKey(255)));
        assert_eq!(audit.ledger[0].reservation.unwrap().to_string(), reservation);
        assert_eq!(audit.seats[0].seat, audit.reservations[0].seat);
        assert_eq!(audit.processed[0], audit.tickets[0].event);
        assert_eq!(audit.summary.unwrap()["users"], 1);
    }

    #[test]
    fn a_missing_field_is_an_error_with_its_line() {
        let error =
            parse("{\"kind\":\"processed\",\"event_id\":\"e\"}\n{\"kind\":\"user\",\"user_id\":\"u\",\"initial\":1}\n");
        let error = error.unwrap_err();
        assert!(
            error.contains("audit.0.ndjson, line 2") && error.contains("balance"),
            "{error}"
        );
    }
}
