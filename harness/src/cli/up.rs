//! `soundcheck up`: keeps a stack and the service running, and prints where they are.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::exit::{Exit, Failure, OrExit};
use super::scratch::Scratch;
use super::stack_args::StackArgs;
use super::{interrupt, stderr, stdout};
use crate::daemon::ProcessId;
use crate::namespace;
use crate::stack::{self, Component, NamespaceGuard, Observer, Stack, StackKind};
use crate::target::{Program, RunningService, SeedSpec, ServiceConfig};
use crate::watchdog::Watchdog;

/// How long the service may take to finish its requests.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Arguments of `soundcheck up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stack: StackArgs,

    /// Start the stack alone.
    #[arg(long)]
    no_service: bool,

    /// Start this component, and no other that is not named either.
    #[arg(long, value_name = "COMPONENT", requires = "no_service")]
    only: Vec<Component>,

    /// The schema, and the prefix of keys and topics, that the service uses.
    #[arg(long, default_value = "soundcheck")]
    namespace: String,

    /// A setting of the service, such as cache.mode=off.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Decides every random choice in the data.
    #[arg(long, default_value_t = 42)]
    seed: u64,

    /// Seats to sell, in all.
    #[arg(long, default_value_t = 10_000)]
    seats: u64,

    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// What is running, and where.
#[derive(Debug, Serialize)]
struct Urls {
    stack: String,
    service: Option<String>,
    metrics: Option<String>,
    database: Option<String>,
    redis: Option<String>,
    kafka: Option<String>,
    log: Option<PathBuf>,
}

/// What [`start`] has started; the service goes first.
struct Up {
    service: Option<RunningService>,
    namespace: Option<NamespaceGuard>,
    stack: Box<dyn Stack>,
    folder: Scratch,
    _note: RunningNote,
}

/// Runs until it is asked to end, then removes everything.
///
/// # Errors
/// The stack is not available, or the service does not start.
pub async fn run(args: Args, is_quiet: bool) -> Result<Exit, Failure> {
    let up = tokio::select! {
        started = Box::pin(start(&args, is_quiet)) => started?,
        // A wish to end while things are starting drops them, and guards clean up.
        asked = interrupt::requested() => {
            asked?;
            return Ok(Exit::Interrupted);
        }
    };
    print_urls(&args, up.stack.as_ref(), up.service.as_ref())?;
    interrupt::requested().await?;
    if let Some(service) = up.service {
        service.stop(DRAIN_WITHIN).await?;
    }
    if let Some(namespace) = up.namespace {
        namespace.remove(up.stack.as_ref()).await.map_err(Failure::of_stack)?;
    }
    up.stack.close().await.map_err(Failure::of_stack)?;
    up.folder.close()?;
    Ok(Exit::Pass)
}

async fn start(args: &Args, is_quiet: bool) -> Result<Up, Failure> {
    let settings = settings(args)?;
    let lines = Lines { is_quiet };
    let mut options = args.stack.options(lines.observer())?;
    if !args.only.is_empty() {
        options.components.clone_from(&args.only);
    }
    let note = RunningNote::write()?;
    let stack = stack::open(&options).await.map_err(Failure::of_stack)?;
    let watchdog = Watchdog::start(&options.program)?;
    let folder = Scratch::new(&watchdog)?;
    let (service, namespace) = if args.no_service {
        (None, None)
    } else {
        check_unused(stack.as_ref(), &args.namespace).await?;
        let namespace = NamespaceGuard::new(stack.as_ref(), &args.namespace, &watchdog).map_err(Failure::of_stack)?;
        let program = Program::tool(&options.program);
        let service = start_service(
            args,
            &settings,
            stack.as_ref(),
            folder.path(),
            &program,
            &watchdog,
            lines,
        );
        (Some(service.await?), Some(namespace))
    };
    Ok(Up {
        service,
        namespace,
        stack,
        folder,
        _note: note,
    })
}

/// On servers that are not ours, what is there already belongs to somebody, and would be removed at the end.
async fn check_unused(stack: &dyn Stack, namespace: &str) -> Result<(), Failure> {
    let servers = stack.direct_endpoints(namespace).servers();
    let Some(mysql) = servers.mysql.filter(|_| stack.kind() == StackKind::External) else {
        return Ok(());
    };
    let is_used = namespace::has_schema(&mysql, namespace).await;
    if is_used.map_err(|error| Failure::of_stack(error.into()))? {
        let error = anyhow::anyhow!(
            "{} has a schema {namespace} already, which is not ours to use and to remove; choose another with --namespace, \
             or drop it",
            stack::component::without_password(&mysql)
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    Ok(())
}

/// `--set`, in parts; what their keys and values mean is the service's to say.
fn settings(args: &Args) -> Result<Vec<(&str, &str)>, Failure> {
    let parts = args.settings.iter().map(|setting| {
        let (key, value) = setting.split_once('=').ok_or_else(|| {
            let error = anyhow::anyhow!("--set {setting}: expected key=value, such as cache.mode=off");
            Failure::new(Exit::Usage, error)
        })?;
        Ok((key.trim(), value.trim()))
    });
    parts.collect()
}

async fn start_service(
    args: &Args,
    settings: &[(&str, &str)],
    stack: &dyn Stack,
    folder: &Path,
    program: &Program,
    watchdog: &Watchdog,
    lines: Lines,
) -> Result<RunningService, Failure> {
    const N_SEATS_PER_SCHEDULE: u64 = 100;
    const N_SCHEDULES_PER_CONCERT: u64 = 10;
    let mut config = ServiceConfig::new(&args.namespace, &stack.service_endpoints(&args.namespace));
    for (key, value) in settings {
        config.set(key, *value);
    }
    let config_path = folder.join("commands.yaml");
    config.write(&config_path).map_err(Failure::of_target)?;
    let refused = |mut failure: Failure| {
        if failure.exit == Exit::Usage && !settings.is_empty() {
            failure.error = failure.error.context("the service refuses what --set says");
        }
        failure
    };
    let migrated = lines.stage("migrating", "migrated", program.migrate(&config_path));
    migrated.await.map_err(|error| refused(Failure::of_target(error)))?;
    let n_schedules = args.seats.div_ceil(N_SEATS_PER_SCHEDULE);
    let spec = SeedSpec {
        seed: args.seed,
        n_users: 1_000,
        n_concerts: n_schedules.div_ceil(N_SCHEDULES_PER_CONCERT),
        n_schedules_per_concert: N_SCHEDULES_PER_CONCERT.min(n_schedules),
        n_seats_per_schedule: N_SEATS_PER_SCHEDULE,
        skew: None,
    };
    let catalogue = folder.join("catalogue.json");
    let seeding = format!("seeding {} seats", spec.n_seats());
    let seeded = program.seed(&config_path, &spec, &catalogue);
    lines
        .stage(&seeding, "seeded", seeded)
        .await
        .map_err(Failure::of_target)?;
    let launched = RunningService::launch(program, &config, folder, "service", Some(watchdog));
    lines
        .stage("starting", "ready", launched)
        .await
        .map_err(|error| refused(Failure::of_target(error)))
}

fn print_urls(args: &Args, stack: &dyn Stack, service: Option<&RunningService>) -> Result<(), Failure> {
    let direct = stack.direct_endpoints(&args.namespace);
    let masked = |url: Option<&str>| url.map(stack::component::without_password);
    let urls = Urls {
        stack: stack.kind().to_string(),
        service: service.map(RunningService::base_url),
        metrics: service.map(|service| format!("{}/metrics", service.base_url())),
        database: masked(Some(direct.database_url.as_str()).filter(|url| !url.is_empty())),
        redis: masked(direct.redis_url.as_deref()),
        kafka: direct.kafka_brokers,
        log: service.map(|service| service.log_path().to_owned()),
    };
    if args.json {
        return stdout::line(&serde_json::to_string(&urls)?);
    }
    let none = || "n/a".to_owned();
    let log = urls.log.map(|path| path.display().to_string());
    let lines = [
        ("stack", Some(urls.stack)),
        ("service", urls.service),
        ("metrics", urls.metrics),
        ("database", urls.database),
        ("redis", urls.redis),
        ("kafka", urls.kafka),
        ("log", log),
    ];
    let lines = lines.map(|(name, value)| format!("{name:<8}  {}\n", value.unwrap_or_else(none)));
    stdout::line(&format!(
        "{}Ctrl-C, or `soundcheck down` elsewhere, ends it and removes everything.",
        lines.concat()
    ))
}

/// Tells what happens on standard error: a line when something begins, and one when it is done, with its time.
#[derive(Clone, Copy, Debug)]
struct Lines {
    is_quiet: bool,
}

impl Lines {
    /// For the stack's own events.
    fn observer(self) -> Observer {
        Observer::new(move |event| self.say(&event.to_string()))
    }

    /// Carries out one step of the service's start.
    async fn stage<T, E>(self, doing: &str, done: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let started = Instant::now();
        self.say(&format!("service: {doing}"));
        let result = work.await?;
        self.say(&format!(
            "service: {done} after {:.1} s",
            started.elapsed().as_secs_f64()
        ));
        Ok(result)
    }

    fn say(self, line: &str) {
        if !self.is_quiet {
            stderr::line(line);
        }
    }
}

/// A file that tells `soundcheck down` of this process, for as long as it runs.
#[derive(Debug)]
pub(super) struct RunningNote {
    path: PathBuf,
}

/// What a note says.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    process: ProcessId,
}

impl RunningNote {
    fn write() -> Result<Self, Failure> {
        let pid = std::process::id();
        let process = ProcessId::of(pid).ok_or_else(|| anyhow::anyhow!("/proc/{pid}/stat cannot be read"))?;
        let folder = Self::folder();
        let path = folder.join(format!("{pid}.json"));
        let text = serde_json::to_vec(&Noted { process })?;
        // Its parent is the system's or the user's: one that is not there was mistyped.
        let made = match std::fs::create_dir(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        let written = made.and_then(|()| std::fs::write(&path, text));
        written
            .with_context(|| {
                let path = path.display();
                format!("cannot write {path}, by which `soundcheck down` finds this run; set XDG_RUNTIME_DIR to a folder of yours")
            })
            .or_exit(Exit::Usage)?;
        Ok(Self { path })
    }

    /// One folder a user.
    fn folder() -> PathBuf {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        base.join(format!("soundcheck-up-{}", rustix::process::getuid().as_raw()))
    }

    /// Processes that have a note and are alive; notes of dead ones are removed.
    pub(super) fn read_all() -> std::io::Result<Vec<ProcessId>> {
        let entries = match std::fs::read_dir(Self::folder()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut alive = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let noted = std::fs::read(&path)
                .ok()
                .and_then(|text| serde_json::from_slice::<Noted>(&text).ok());
            match noted {
                Some(noted) if noted.process.is_alive() => alive.push(noted.process),
                _ => std::fs::remove_file(&path)?,
            }
        }
        Ok(alive)
    }
}

impl Drop for RunningNote {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "note of this run is left");
        }
    }
}
