//! The command line, shared by this crate's binary and by `soundcheck service`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::admin::Misuse;
use crate::admin::health::HealthError;
use crate::app::{App, InvalidRedisUrl};
use crate::config::{Config, ConfigError, LogTarget, Source, keys};
use crate::messaging::dead_letter::DeadLetterError;
use crate::store::StoreError;
use crate::{admin, telemetry};

/// What the service can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve requests until SIGTERM; prints one JSON line when ready. `--help` lists every key of the configuration.
    #[command(after_long_help = keys::help())]
    Serve(ServeArgs),
    /// Create the schema, or bring it up to date.
    Migrate(ConfigArgs),
    /// Fill an empty database with seeded data, and write the catalogue of what is in it.
    Seed(admin::seed::SeedArgs),
    /// Put the index on the seat map's predicate: none, status-schedule, schedule-status or covering.
    Index(admin::index::IndexArgs),
    /// Write the state of all tables to standard output, one JSON object a line.
    Audit(ConfigArgs),
    /// List the records that the consumer gave up, or send them again.
    Dlt(admin::dlt::DltArgs),
    /// Ask the instance of this configuration whether it is ready; ends with 0 only then.
    Health(ConfigArgs),
}

/// Where the configuration comes from; environment variables stand between the file and `--set`.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// A YAML file with the keys that differ from their defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One key, such as `--set cache.ttl=5s`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// End, gracefully, when standard input closes: whoever started the service has gone.
    #[arg(long)]
    stdin_guard: bool,
}

/// An error together with the exit code it leads to: 2 for wrong usage or configuration and for what the system refuses
/// where they lead (a port in use, a file that cannot be written), 6 when a server that is needed is away, 1 for the
/// rest, which are defects.
#[derive(Debug)]
pub struct Failed {
    /// For the process's end.
    pub exit_code: u8,
    /// For people.
    pub error: anyhow::Error,
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        let error = error.into();
        let exit_code = if error.chain().any(is_away) {
            6
        } else if error.chain().any(is_misuse) {
            2
        } else {
            1
        };
        Self { exit_code, error }
    }
}

impl Failed {
    /// The error and what led to it, in one line. What a library repeats of its cause is told once.
    pub fn chain(&self) -> String {
        self.error.chain().fold(String::new(), |text, cause| {
            let told = cause.to_string();
            match text.as_str() {
                "" => told,
                known if known.contains(&told) => text,
                known => format!("{known}: {told}"),
            }
        })
    }
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

fn is_away(cause: Cause<'_>) -> bool {
    use StoreError::{Away, NoSpace, PoolTimeout, Unreachable};
    matches!(
        cause.downcast_ref(),
        Some(Away { .. } | NoSpace(_) | PoolTimeout(_) | Unreachable(_))
    ) || cause.is::<DeadLetterError>()
        || matches!(
            cause.downcast_ref(),
            Some(HealthError::Silent { .. } | HealthError::NotReady { .. })
        )
}

fn is_misuse(cause: Cause<'_>) -> bool {
    matches!(cause.downcast_ref(), Some(StoreError::Schema(_)))
        || matches!(cause.downcast_ref(), Some(HealthError::AnyPort))
        || cause.is::<ConfigError>()
        || cause.is::<Misuse>()
        || cause.is::<InvalidRedisUrl>()
        || cause.is::<std::io::Error>()
}

impl ConfigArgs {
    /// Reads and validates.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut source = Source::new();
        if let Some(path) = &self.config {
            source = source.file(path);
        }
        // What is not Unicode cannot be a value of ours; a variable of another program must not end this one.
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Config::from_source(source.env(environment).flags(&self.set))
    }
}

/// Runs a command to its end, on a runtime of its own.
///
/// # Errors
/// What went wrong, with the exit code it leads to.
pub fn run(command: Command) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve(args) => serve(args).await,
            Command::Migrate(args) => admin::migrate::run(&args.load()?).await.map_err(Failed::from),
            Command::Seed(args) => admin::seed::run(&args).await.map_err(Failed::from),
            Command::Index(args) => admin::index::run(&args).await.map_err(Failed::from),
            Command::Audit(args) => {
                let config = args.load()?;
                admin::audit::run(&config, &mut std::io::stdout().lock())
                    .await
                    .map_err(Failed::from)
            }
            Command::Health(args) => admin::health::run(&args.load()?).map_err(Failed::from),
            Command::Dlt(args) => {
                let config = args.load()?;
                admin::dlt::run(&args, &config, &mut std::io::stdout().lock())
                    .await
                    .map_err(Failed::from)
            }
        }
    })
}

/// The line that tells whoever started the service that it serves.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    address: String,
    pid: u32,
    version: &'static str,
}

async fn serve(args: ServeArgs) -> Result<(), Failed> {
    let config = args.config.load()?;
    // Each line is written whole, so that the ready line stands between two of them.
    let sink = match config.logging.to {
        LogTarget::Stderr => BoxMakeWriter::new(std::io::stderr),
        LogTarget::Stdout => BoxMakeWriter::new(std::io::stdout),
    };
    if let Some(subscriber) = telemetry::subscriber(&config.logging, sink) {
        tracing::subscriber::set_global_default(subscriber).context("a log subscriber is set already")?;
        telemetry::log_panics(&config.logging);
    }
    allow_many_connections();
    #[cfg(feature = "failpoints")]
    let _fail_points = fail::FailScenario::setup();
    let app = App::start(config).await?;
    let ready = Ready {
        ready: true,
        address: app.address().to_string(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let mut line = serde_json::to_string(&ready)?;
    line.push('\n');
    {
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .context("cannot print the ready line")?;
    }
    stopped(args.stdin_guard).await?;
    tracing::info!("stopping: requests under way are ended first");
    app.stop().await;
    Ok(())
}

/// Ends when the service is asked to stop.
async fn stopped(has_stdin_guard: bool) -> Result<(), Failed> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let closed = CancellationToken::new();
    if has_stdin_guard {
        let closed = closed.clone();
        // A thread of its own: a blocked read on the runtime would keep the process from ending.
        std::thread::spawn(move || {
            let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            if let Err(error) = ended {
                tracing::warn!(%error, "standard input failed, taken for closed");
            }
            closed.cancel();
        });
    }
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for Ctrl-C")?,
        () = closed.cancelled() => {}
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard one: every idle connection costs one, and the usual 1,024 would be
/// used up by clients that only wait.
fn allow_many_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
