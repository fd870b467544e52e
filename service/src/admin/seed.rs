//! `service seed`: fills an empty database and writes the catalogue of what is in it.
//!
//! Rows are sent as text, thousands a statement: all values are integers of our own making, and binding a million
//! parameters costs more than parsing them. The index under study is built once at the end instead of row by row.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Misuse;
use super::dataset::Shape;
use super::index::{self, SeatIndex};
use crate::cli::ConfigArgs;
use crate::domain::{ConcertId, ScheduleId, UserId};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};

/// Rows of one statement. About half a megabyte of text: few round trips, and far below MySQL's packet limit.
const ROWS_PER_STATEMENT: usize = 10_000;
/// Statements of one transaction.
const STATEMENTS_PER_COMMIT: usize = 5;

/// Arguments of `seed`.
#[derive(Debug, Args)]
pub struct SeedArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Decides every random choice: the same seed gives the same data.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Users.
    #[arg(long, default_value_t = 1_000)]
    users: u32,
    /// Concerts.
    #[arg(long, default_value_t = 10)]
    concerts: u32,
    /// Dates of each concert.
    #[arg(long, default_value_t = 10)]
    schedules_per_concert: u32,
    /// Seats of a date, on average.
    #[arg(long, default_value_t = 100)]
    seats_per_schedule: u32,
    /// The exponent of Zipf's law by which dates differ in size; 0 makes them equal.
    #[arg(long, default_value_t = 1.1)]
    skew: f64,
    /// Where the catalogue goes: ids of users, concerts and dates, totals, and a hash of the rows.
    #[arg(long, value_name = "OUT.json")]
    catalogue: Option<PathBuf>,
    /// Leave a database that holds data as it is, if the catalogue is there too: for a start that may be the second one.
    #[arg(long, requires = "catalogue")]
    if_empty: bool,
}

/// What is in the database, for whoever plans load on it.
#[derive(Debug, Serialize)]
pub struct Catalogue {
    seed: u64,
    /// All users.
    pub users: Vec<UserId>,
    /// All concerts with their dates, the largest first.
    pub concerts: Vec<CatalogueConcert>,
    totals: Totals,
    data_hash: String,
}

/// A concert.
#[derive(Debug, Serialize)]
pub struct CatalogueConcert {
    /// The concert.
    pub concert_id: ConcertId,
    /// Its dates.
    pub schedules: Vec<CatalogueSchedule>,
}

/// A date.
#[derive(Debug, Serialize)]
pub struct CatalogueSchedule {
    /// The date.
    pub schedule_id: ScheduleId,
    /// How many seats it has.
    pub seats: u32,
}

#[derive(Debug, Serialize)]
struct Totals {
    users: u64,
    concerts: u64,
    schedules: u64,
    seats: u64,
    initial_balance: i64,
}

/// Seeds the configured database.
///
/// # Errors
/// When the configuration is wrong, the database is away or not empty, or the catalogue cannot be written.
pub async fn run(args: &SeedArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    if !(0.0..=3.0).contains(&args.skew) {
        bail!(Misuse(format!("--skew must be from 0 to 3, not {}", args.skew)));
    }
    let store = Store::connect(&config, Arc::new(Metrics::new()?)).await?;
    store.check_schema().await?;
    if args.if_empty && store.has_users().await? {
        store.close().await;
        return check_whole(args.catalogue.as_deref());
    }
    // Opened before the work, so that a path that cannot be written is found at once.
    let file = match &args.catalogue {
        Some(path) => Some(
            std::fs::File::create(path).with_context(|| format!("cannot write the catalogue {}", path.display()))?,
        ),
        None => None,
    };
    let shape = Shape {
        seed: args.seed,
        n_users: args.users,
        n_concerts: args.concerts,
        n_schedules: args.schedules_per_concert,
        n_seats: args.seats_per_schedule,
        skew: args.skew,
    };
    let catalogue = fill(&store, &shape).await?;
    if let (Some(file), Some(path)) = (file, &args.catalogue) {
        write(file, &catalogue).with_context(|| format!("cannot write the catalogue {}", path.display()))?;
    }
    store.close().await;
    Ok(())
}

/// The catalogue is written last, so that one that is whole says that the data are.
fn check_whole(catalogue: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = catalogue else { return Ok(()) };
    let read = || -> anyhow::Result<()> {
        let file = std::io::BufReader::new(std::fs::File::open(path)?);
        let _whole: serde::de::IgnoredAny = serde_json::from_reader(file)?;
        Ok(())
    };
    read().map_err(|error| {
        let misuse = Misuse(format!(
            "the database holds data, but {} is no whole catalogue of it ({error}), as after a seeding that was cut off: \
             seed a fresh namespace, or remove this one first",
            path.display()
        ));
        misuse.into()
    })
}

fn write(file: std::fs::File, catalogue: &Catalogue) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(file);
    serde_json::to_writer(&mut out, catalogue)?;
    // Dropping it would keep to itself that the last part was not written.
    out.flush()
}

/// Fills an empty database with `shape`.
///
/// # Errors
/// When the database is away or holds users already.
pub async fn fill(store: &Store, shape: &Shape) -> anyhow::Result<Catalogue> {
    if store.has_users().await? {
        let held = "the database holds data already: seed a fresh namespace, or remove this one first";
        bail!(Misuse(held.to_owned()));
    }
    index::apply(store, SeatIndex::None).await?;
    let mut rows = Rows::new(store);

    rows.begin("INSERT INTO users (id, balance, initial_balance) VALUES ");
    let mut users = Vec::with_capacity(shape.n_users as usize);
    let mut initial_balance = 0;
    for (user, balance) in shape.users() {
        rows.push(format_args!("({},{balance},{balance})", user.raw())).await?;
        users.push(user);
        initial_balance += balance;
    }
    rows.end().await?;

    rows.begin("INSERT INTO concerts (id, title) VALUES ");
    let mut concerts = Vec::with_capacity(shape.n_concerts as usize);
    for (concert, title) in shape.concerts() {
        rows.push(format_args!("({},'{title}')", concert.raw())).await?;
        concerts.push(CatalogueConcert {
            concert_id: concert,
            schedules: Vec::new(),
        });
    }
    rows.end().await?;

    rows.begin("INSERT INTO schedules (id, concert_id, starts_at_ms) VALUES ");
    let schedules = shape.schedules();
    for row in &schedules {
        rows.push(format_args!(
            "({},{},{})",
            row.id.raw(),
            row.concert.raw(),
            row.starts_at_ms
        ))
        .await?;
    }
    rows.end().await?;

    rows.begin("INSERT INTO seats (id, schedule_id, number, price) VALUES ");
    let mut n_seats = 0;
    for (n, schedule) in schedules.iter().enumerate() {
        for seat in shape.seats(n, n_seats, schedule.n_seats) {
            let (id, date) = (seat.id.raw(), schedule.id.raw());
            rows.push(format_args!("({id},{date},{},{})", seat.number, seat.price))
                .await?;
        }
        n_seats += u64::from(schedule.n_seats);
    }
    rows.end().await?;
    let data_hash = rows.finish();
    index::apply(store, SeatIndex::ScheduleStatus).await?;

    for row in &schedules {
        if let Some(concert) = concerts
            .iter_mut()
            .rev()
            .find(|concert| concert.concert_id == row.concert)
        {
            concert.schedules.push(CatalogueSchedule {
                schedule_id: row.id,
                seats: row.n_seats,
            });
        }
    }
    let totals = Totals {
        users: users.len() as u64,
        concerts: concerts.len() as u64,
        schedules: schedules.len() as u64,
        seats: n_seats,
        initial_balance,
    };
    Ok(Catalogue {
        seed: shape.seed,
        users,
        concerts,
        totals,
        data_hash,
    })
}

/// Collects rows into statements and statements into transactions, and hashes every row.
struct Rows<'a> {
    store: &'a Store,
    insert: &'static str,
    statement: String,
    n_rows: usize,
    statements: Vec<String>,
    hash: Sha256,
}

impl<'a> Rows<'a> {
    fn new(store: &'a Store) -> Self {
        let hash = Sha256::new();
        Self {
            store,
            insert: "",
            statement: String::new(),
            n_rows: 0,
            statements: Vec::new(),
            hash,
        }
    }

    fn begin(&mut self, insert: &'static str) {
        self.insert = insert;
        self.hash.update(insert.as_bytes());
    }

    async fn push(&mut self, row: std::fmt::Arguments<'_>) -> Result<(), StoreError> {
        let before = if self.n_rows == 0 { self.insert } else { "," };
        self.statement.push_str(before);
        let start = self.statement.len();
        // Writing to a string cannot fail.
        let _ = self.statement.write_fmt(row);
        self.hash.update(&self.statement.as_bytes()[start..]);
        self.n_rows += 1;
        if self.n_rows == ROWS_PER_STATEMENT {
            self.cut();
            if self.statements.len() == STATEMENTS_PER_COMMIT {
                self.send().await?;
            }
        }
        Ok(())
    }

    fn cut(&mut self) {
        if self.n_rows > 0 {
            self.statements.push(std::mem::take(&mut self.statement));
            self.n_rows = 0;
        }
    }

    async fn send(&mut self) -> Result<(), StoreError> {
        let statements = std::mem::take(&mut self.statements);
        self.store.execute_all(statements).await
    }

    async fn end(&mut self) -> Result<(), StoreError> {
        self.cut();
        self.send().await
    }

    fn finish(self) -> String {
        let digest = self.hash.finalize();
        let mut text = "sha256:".to_owned();
        for byte in digest {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}
