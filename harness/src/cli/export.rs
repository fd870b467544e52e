//! `soundcheck export RUN`: a recording in a format of other tools, to standard output, a file, or a Prometheus.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use super::exit::{Exit, Failure, OrExit as _};
use super::export_file::{ExportFile, Format};
use super::push::{Header, Target, Typed};
use super::stdout::{self, OutputError};
use crate::export::{self, ExportError};
use crate::recording::{RecordError, Recording};

/// Arguments of `soundcheck export`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("where").required(true).args(["format", "remote_write"]))]
pub struct Args {
    /// The folder of a recording.
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// csv: every figure at every moment, of the load, the books and what was scraped. junit: the verdict, the objectives,
    /// the books and the invariants, as CI shows them.
    #[arg(long = "as", value_name = "FORMAT")]
    format: Option<Format>,

    /// The file to write; standard output without it. A file that is no earlier export of this format is kept.
    #[arg(long, value_name = "FILE", requires = "format")]
    out: Option<PathBuf>,

    /// Send the series to a Prometheus, or what takes its remote write (Mimir, Thanos, VictoriaMetrics, Grafana Cloud):
    /// http://HOST:9090/api/v1/write for instance. What the server has already it keeps, and says so.
    #[arg(long, value_name = "URL")]
    remote_write: Option<Typed>,

    /// A header to send along, as in `X-Scope-OrgID: 1`; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "remote_write")]
    headers: Vec<Typed>,
}

/// Exports.
///
/// # Errors
/// When the recording cannot be read, or the result does not reach its place.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let target = args.remote_write.as_ref().map(Target::try_from).transpose();
    let target = target.or_exit(Exit::Usage)?;
    let headers = Header::all(&args.headers).or_exit(Exit::Usage)?;
    let recording = Recording::open(&args.run).or_exit(Exit::Usage)?;
    for note in recording.notes() {
        tracing::warn!("{note}");
    }
    if let Some(target) = target {
        // Runs are told apart by their folders' names; `.` has one too.
        let folder = args.run.canonicalize().or_exit(Exit::Usage)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let outgoing = export::remote_write::outgoing(&recording, &name).map_err(failure)?;
        target.push(&outgoing, &headers).await?;
        stdout::line(&format!(
            "{} samples of {} series were sent to {target}, with run=\"{name}\"",
            outgoing.n_samples(),
            outgoing.n_series()
        ))?;
        return Ok(Exit::Pass);
    }
    let format = args.format.unwrap_or(Format::Csv);
    match args.out {
        Some(out) => {
            let file = ExportFile::check(&out, format).or_exit(Exit::Usage)?;
            file.write(&recording).map_err(failure)?;
        }
        None => print(&recording, format)?,
    }
    Ok(Exit::Pass)
}

fn print(recording: &Recording, format: Format) -> Result<(), Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = format
        .write(recording, &mut out)
        .and_then(|()| out.flush().map_err(ExportError::Write));
    match written {
        // A reader who has gone has seen enough.
        Err(ExportError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(ExportError::Write(error)) => Err(Failure::new(Exit::Usage, OutputError::from(error))),
        written => written.map_err(failure),
    }
}

/// A recording that cannot be used and a place that cannot be written are the caller's to change.
pub(super) fn failure(error: ExportError) -> Failure {
    let exit = match &error {
        ExportError::Format(_) | ExportError::Record(RecordError::Tag(_) | RecordError::Outside(_)) => Exit::Bug,
        _ => Exit::Usage,
    };
    Failure::new(exit, error)
}
