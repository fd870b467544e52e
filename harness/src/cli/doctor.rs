//! `soundcheck doctor`: what can run here, what is missing, and what to do about it.
//!
//! It changes nothing: no container is started, no image pulled.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::stdout;
use crate::causes;
use crate::daemon::builder::StandIn;
use crate::daemon::{Daemon, connect};
use crate::stack::options::ImageOverrides;
use crate::stack::{Component, images, ports};

/// Ten thousand idle connections, and both ends of the load, are in one process each.
const N_FILES_WANTED: u64 = 20_000;
const MEMORY_WANTED_MIB: u64 = 3 * 1024;
const DISK_WANTED_MIB: u64 = 4 * 1024;

/// Arguments of `soundcheck doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

/// How one thing is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// Works, with less than wanted.
    Limited,
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Finding {
    subject: &'static str,
    state: State,
    found: String,
    /// What to do, when something is to be done.
    remedy: Option<String>,
}

#[derive(Debug, Serialize)]
struct Diagnosis {
    findings: Vec<Finding>,
    /// Stacks that can run now, best first.
    stacks: Vec<&'static str>,
}

/// Looks around and tells. Something missing is no failure of this command.
///
/// # Errors
/// The output cannot be written as JSON.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let diagnosis = diagnose().await;
    if args.json {
        stdout::line(&serde_json::to_string(&diagnosis)?)?;
        return Ok(Exit::Pass);
    }
    let mut lines = Vec::new();
    for finding in &diagnosis.findings {
        let state = match finding.state {
            State::Ok => "ok     ",
            State::Limited => "limited",
            State::Missing => "missing",
        };
        lines.push(format!("{state}  {:<20}  {}", finding.subject, finding.found));
        if let Some(remedy) = &finding.remedy {
            lines.push(format!("{:>9}{:<20}  → {remedy}", "", ""));
        }
    }
    lines.push(format!(
        "\nstacks that can run: {} (and external, with URLs)",
        diagnosis.stacks.join(", ")
    ));
    stdout::line(&lines.join("\n"))?;
    Ok(Exit::Pass)
}

async fn diagnose() -> Diagnosis {
    let (daemon, found) = look_for_daemon().await;
    let mut findings = vec![found];
    let mut has_images = daemon.is_some();
    if let Some(daemon) = &daemon {
        for component in Component::ALL {
            let finding = look_for_image(daemon, component).await;
            has_images &= finding.state == State::Ok;
            findings.push(finding);
        }
        findings.push(look_for_prometheus(daemon).await);
    }
    findings.extend([
        open_files(),
        host_ports(),
        processors_and_memory(),
        disk(),
        builder_tools(),
    ]);
    let stacks = if has_images {
        vec!["containers", "embedded"]
    } else {
        vec!["embedded"]
    };
    Diagnosis { findings, stacks }
}

async fn look_for_daemon() -> (Option<Daemon>, Finding) {
    let subject = "container daemon";
    match Daemon::connect().await {
        Ok(daemon) => {
            let found = format!("version {} at {}", daemon.version(), connect::host());
            (
                Some(daemon),
                Finding {
                    subject,
                    state: State::Ok,
                    found,
                    remedy: None,
                },
            )
        }
        Err(error) => {
            let found = causes::chain(&error);
            let remedy = connect::podman_socket().map_or_else(
                || "install and start one (on Debian: apt-get install docker.io), or stay with --stack embedded".into(),
                |path| format!("Podman is there: export DOCKER_HOST=unix://{path}"),
            );
            (
                None,
                Finding {
                    subject,
                    state: State::Missing,
                    found,
                    remedy: Some(remedy),
                },
            )
        }
    }
}

async fn look_for_image(daemon: &Daemon, component: Component) -> Finding {
    let subject = match component {
        Component::Database => "image for mysql",
        Component::Redis => "image for redis",
        Component::Kafka => "image for kafka",
    };
    let overrides = ImageOverrides::new(&[], |name| std::env::var(name).ok());
    let (official, stand_in) = images::defaults(component);
    let candidates = overrides
        .get(component)
        .map_or_else(|| vec![official, stand_in.image()], |named| vec![named]);
    for name in &candidates {
        if let Some(image) = images::local(daemon, name).await {
            return Finding {
                subject,
                state: State::Ok,
                found: image.name,
                remedy: None,
            };
        }
    }
    let remedy = if overrides.get(component).is_some() {
        format!("pull it: docker pull {}", candidates[0])
    } else {
        format!("docker pull {official}; without a registry: soundcheck images build {component}")
    };
    let found = format!("{} not local", candidates.join(" and "));
    Finding {
        subject,
        state: State::Missing,
        found,
        remedy: Some(remedy),
    }
}

async fn look_for_prometheus(daemon: &Daemon) -> Finding {
    let subject = "image for prometheus";
    let name = StandIn::Prometheus.image();
    if images::local(daemon, name).await.is_some() {
        return Finding {
            subject,
            state: State::Ok,
            found: name.to_owned(),
            remedy: None,
        };
    }
    let remedy = Some("soundcheck images build prometheus; only docker-compose.yml runs it".to_owned());
    Finding {
        subject,
        state: State::Limited,
        found: format!("{name} not local"),
        remedy,
    }
}

fn open_files() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    // No limit at all is shown as the absence of a number.
    let soft = limit.current.unwrap_or(u64::MAX);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let shown = |limit: u64| {
        if limit == u64::MAX {
            "unlimited".to_owned()
        } else {
            limit.to_string()
        }
    };
    let found = format!("{} of at most {}", shown(soft), shown(hard));
    let subject = "open files";
    if soft >= N_FILES_WANTED {
        return Finding {
            subject,
            state: State::Ok,
            found,
            remedy: None,
        };
    }
    let remedy = if hard >= N_FILES_WANTED {
        format!("for many connections: ulimit -n {N_FILES_WANTED}")
    } else {
        format!(
            "for many connections, raise the hard limit above {N_FILES_WANTED} (limits.conf, or the service manager)"
        )
    };
    Finding {
        subject,
        state: State::Limited,
        found,
        remedy: Some(remedy),
    }
}

fn host_ports() -> Finding {
    let subject = "ports on 127.0.0.1";
    match ports::choose().and_then(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))) {
        Ok(_listener) => {
            let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
            let range = range.split_ascii_whitespace().collect::<Vec<_>>().join("–");
            let found = if range.is_empty() {
                "free ones found".to_owned()
            } else {
                format!("outgoing {range}")
            };
            Finding {
                subject,
                state: State::Ok,
                found,
                remedy: None,
            }
        }
        Err(error) => {
            let remedy = Some("end what holds them; `ss -ltn` lists it".to_owned());
            Finding {
                subject,
                state: State::Missing,
                found: error.to_string(),
                remedy,
            }
        }
    }
}

fn processors_and_memory() -> Finding {
    let subject = "processors, memory";
    let n_cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available_mib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .map(|kib| kib / 1024);
    let memory = available_mib.map_or_else(|| "n/a".to_owned(), |mib| format!("{mib} MiB available"));
    let found = format!("{n_cpus}, {memory}");
    let is_enough = n_cpus >= 2 && available_mib.is_none_or(|mib| mib >= MEMORY_WANTED_MIB);
    if is_enough {
        return Finding {
            subject,
            state: State::Ok,
            found,
            remedy: None,
        };
    }
    let remedy = Some("containers want 2 processors and 3 GiB; --stack embedded does with less".to_owned());
    Finding {
        subject,
        state: State::Limited,
        found,
        remedy,
    }
}

fn disk() -> Finding {
    let subject = "disk for temporary";
    let folder = std::env::temp_dir();
    match rustix::fs::statvfs(&folder) {
        Ok(stat) => {
            let free_mib = stat.f_bavail.saturating_mul(stat.f_frsize) / (1024 * 1024);
            let found = format!("{free_mib} MiB free in {}", folder.display());
            if free_mib >= DISK_WANTED_MIB {
                return Finding {
                    subject,
                    state: State::Ok,
                    found,
                    remedy: None,
                };
            }
            let remedy = Some("make room, or name another folder in TMPDIR".to_owned());
            Finding {
                subject,
                state: State::Limited,
                found,
                remedy,
            }
        }
        Err(errno) => {
            let remedy = Some("name a folder in TMPDIR that exists".to_owned());
            Finding {
                subject,
                state: State::Missing,
                found: format!("{}: {errno}", folder.display()),
                remedy,
            }
        }
    }
}

/// What `images build` calls.
fn builder_tools() -> Finding {
    let subject = "image builder";
    let missing: Vec<_> = [("mmdebstrap", "mmdebstrap"), ("mvn", "maven"), ("apt-get", "apt")]
        .into_iter()
        .filter(|(program, _)| !is_on_path(program))
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Finding {
            subject,
            state: State::Ok,
            found: "mmdebstrap and maven".to_owned(),
            remedy: None,
        };
    }
    let remedy = Some(format!(
        "only to build stand-in images: apt-get install {}",
        missing.join(" ")
    ));
    Finding {
        subject,
        state: State::Limited,
        found: format!("without {}", missing.join(", ")),
        remedy,
    }
}

fn is_on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| is_file(&folder.join(program))))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file())
}
