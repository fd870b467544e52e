//! The load engine beside other generators, before one server, measured from outside.
//!
//! `cargo bench -p soundcheck --bench compare`, or one part by its name: `-- full`, `-- rates` or `-- shares`. Besides
//! Soundcheck it measures what it finds of `wrk`, `wrk2`, `oha`, `vegeta`, `k6` and `locust` on the `PATH`. The server
//! gives constant answers, alone on one core; the generator has another one to itself. All ask for the same path over 64
//! connections that are kept alive, and read the whole answer. Soundcheck also writes its recording, every operation and
//! each second's histograms, and sends the headers by which requests are traced.
//!
//! Nothing is taken from what a generator says of itself: the server says when it was asked, and the kernel what the
//! generator's process cost meanwhile. What comes in the first second is left out, and so is what a generator needs to
//! start. `wrk` cannot hold a rate, and `wrk2` cannot do without. Rounds go through the generators forwards and backwards
//! in turn. Figures are medians, with the smallest and the largest of the rounds.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "support/figures.rs"]
#[allow(dead_code, reason = "each bench uses what it needs")]
mod figures;
#[path = "support/offered.rs"]
#[allow(dead_code, reason = "each bench uses what it needs")]
mod offered;
#[path = "support/spent.rs"]
mod spent;
#[path = "support/stub.rs"]
#[allow(dead_code, reason = "each bench uses what it needs")]
mod stub;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use figures::Rounds;
use offered::{recorded, seat_maps};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use soundcheck::config::{ArrivalKind, ScenarioConfig};
use soundcheck::units::RatePerSec;
use spent::{Poll, between};
use stub::Stub;

const CONNECTIONS: u32 = 64;
const RATES: [u32; 3] = [1_000, 5_000, 10_000];
const N_ROUNDS: usize = 10;
/// Of which the first second does not count.
const SECONDS: u32 = 4;
/// Of the most that Soundcheck can do.
const SHARES: [f64; 3] = [0.25, 0.5, 0.75];
/// A server that is busier than this adds lateness of its own.
const BUSY: f64 = 0.7;
const POLL_EVERY: Duration = Duration::from_millis(50);
const GENERATE: &str = "generate-for-the-comparison";
const SERVERS_CORE: usize = 0;
const GENERATORS_CORE: usize = 1;

/// What is asked of a generator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Pace {
    /// As fast as it is answered.
    Full,
    /// Requests a second, at equal distances.
    Rate(u32),
}

/// What one run of a generator came to.
struct Measured {
    a_second: f64,
    /// Of the rate that was asked for, per cent.
    error: Option<f64>,
    /// Microseconds at the median and at p99.
    late: Option<(f64, f64)>,
    /// Processor seconds for a thousand requests.
    cpu: f64,
    /// Of a core.
    servers_share: f64,
    peak_mib: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Generator {
    Soundcheck,
    Wrk,
    Wrk2,
    Oha,
    Vegeta,
    K6,
    Locust,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if stub::is_asked_for() {
        return stub::serve();
    }
    if let [_, GENERATE, pace, address] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return generate(pace.parse().unwrap(), address);
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("not measured: run it with `cargo bench`");
        return;
    }
    let named: Vec<&str> = arguments[1..]
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_wanted = |part: &str| named.is_empty() || named.contains(&part);
    let present: Vec<Generator> = Generator::ALL.into_iter().filter(|one| one.is_present()).collect();
    println!(
        "on core {SERVERS_CORE} (server) and core {GENERATORS_CORE} (generator), {N_ROUNDS} rounds of {SECONDS} s each"
    );
    if is_wanted("full") {
        compare(&present, Pace::Full);
    }
    if is_wanted("rates") {
        for rate in RATES {
            compare(&present, Pace::Rate(rate));
        }
    }
    if is_wanted("shares") {
        let most = Rounds::new((0..N_ROUNDS).map(|_| measure(Generator::Soundcheck, Pace::Full).a_second));
        println!("\nthe most that Soundcheck can do: {} requests/s", most.text(0));
        for share in SHARES {
            compare(&present, Pace::Rate((most.median() * share) as u32));
        }
    }
}

fn compare(present: &[Generator], pace: Pace) {
    let able: Vec<Generator> = present.iter().copied().filter(|one| one.can(pace)).collect();
    let mut measured: BTreeMap<Generator, Vec<Measured>> = BTreeMap::new();
    for round in 0..N_ROUNDS {
        let mut order = able.clone();
        if round % 2 == 1 {
            order.reverse();
        }
        for generator in order {
            measured.entry(generator).or_default().push(measure(generator, pace));
        }
    }
    match pace {
        Pace::Full => println!("\nas fast as it is answered:"),
        Pace::Rate(rate) => println!("\n{rate} requests/s asked for:"),
    }
    let ours = &measured[&Generator::Soundcheck];
    for (generator, rounds) in &measured {
        let of = |figure: &dyn Fn(&Measured) -> f64| Rounds::new(rounds.iter().map(figure));
        let ratio = |figure: &dyn Fn(&Measured) -> f64| {
            Rounds::new(std::iter::zip(ours, rounds).map(|(ours, theirs)| figure(theirs) / figure(ours)))
        };
        let servers_share = of(&|one| one.servers_share);
        println!(
            "  {:<10} {} requests/s, {} CPU s for 1,000, {} MiB at the peak, server at {} of its core{}",
            generator.name(),
            of(&|one| one.a_second).bounds(0),
            of(&|one| one.cpu).bounds(3),
            of(&|one| one.peak_mib).bounds(0),
            servers_share.bounds(2),
            if servers_share.median() > BUSY {
                ", so it is part of what is measured"
            } else {
                ""
            }
        );
        if let Pace::Rate(_) = pace {
            println!(
                "             off the rate by {} %, behind schedule p50 {} µs, p99 {} µs",
                of(&|one| one.error.unwrap_or(f64::NAN)).bounds(2),
                of(&|one| one.late.map_or(f64::NAN, |late| late.0)).bounds(0),
                of(&|one| one.late.map_or(f64::NAN, |late| late.1)).bounds(0)
            );
        }
        if *generator != Generator::Soundcheck {
            println!(
                "             against Soundcheck: {} of its requests, {} of its CPU a request",
                ratio(&|one| one.a_second).bounds(2),
                ratio(&|one| one.cpu).bounds(2)
            );
        }
    }
}

fn measure(generator: Generator, pace: Pace) -> Measured {
    let mut server = Stub::start(Some(SERVERS_CORE));
    let scratch = tempfile::tempdir().unwrap();
    let mut command = generator.command(pace, &server.address, scratch.path());
    let child = command
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let Cost {
        generators,
        servers,
        peak_mib,
    } = cost(child, server.pid(), generator);
    let rate = match pace {
        Pace::Full => None,
        Pace::Rate(rate) => Some(f64::from(rate)),
    };
    let arrived = server.arrived(rate);
    let within = (arrived.last - arrived.first).as_secs_f64();
    let a_second = arrived.rate();
    let micros = |length: Duration| length.as_secs_f64() * 1e6;
    let meanwhile = |polls: &[Poll]| between(polls, arrived.first, arrived.last);
    Measured {
        a_second,
        error: rate.map(|rate| (a_second / rate - 1.0).abs() * 100.0),
        late: arrived.late.map(|(p50, p99)| (micros(p50), micros(p99))),
        cpu: meanwhile(&generators) / arrived.requests as f64 * 1_000.0,
        servers_share: meanwhile(&servers) / within,
        peak_mib,
    }
}

/// What a run of a generator cost.
struct Cost {
    generators: Vec<Poll>,
    servers: Vec<Poll>,
    /// The most memory that the generator took at once.
    peak_mib: f64,
}

/// Waits for the end.
fn cost(mut child: Child, server: u32, generator: Generator) -> Cost {
    let pid = child.id();
    let (mut generators, mut servers, mut peak_kib) = (Vec::new(), Vec::new(), 0);
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()) {
            peak_kib = peak_kib.max(kib);
        }
        generators.push(Poll::now(cpu_of(pid)));
        servers.push(Poll::now(cpu_of(server)));
        // Left to be waited for, so that its times can still be read.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let id = WaitId::Pid(Pid::from_child(&child));
        if waitid(id, options).unwrap().is_some() {
            break;
        }
        std::thread::sleep(POLL_EVERY);
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{generator:?}: {status}");
    Cost {
        generators,
        servers,
        peak_mib: peak_kib as f64 / 1024.0,
    }
}

/// The processor seconds of a process so far.
fn cpu_of(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = after_name.split(' ').collect();
    // The fields 14 and 15 of proc(5), of which the first two are before this.
    let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

impl Generator {
    const ALL: [Self; 7] = [
        Self::Soundcheck,
        Self::Wrk,
        Self::Wrk2,
        Self::Oha,
        Self::Vegeta,
        Self::K6,
        Self::Locust,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Soundcheck => "soundcheck",
            Self::Wrk => "wrk",
            Self::Wrk2 => "wrk2",
            Self::Oha => "oha",
            Self::Vegeta => "vegeta",
            Self::K6 => "k6",
            Self::Locust => "locust",
        }
    }

    fn program(self) -> Option<PathBuf> {
        if self == Self::Soundcheck {
            return std::env::current_exe().ok();
        }
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join(self.name()))
            .find(|program| program.is_file())
    }

    fn is_present(self) -> bool {
        let is_present = self.program().is_some();
        if !is_present {
            println!("{} is not on the PATH and left out", self.name());
        }
        is_present
    }

    const fn can(self, pace: Pace) -> bool {
        !matches!((self, pace), (Self::Wrk, Pace::Rate(_)) | (Self::Wrk2, Pace::Full))
    }

    fn command(self, pace: Pace, address: &str, scratch: &Path) -> Command {
        let url = format!("http://{address}{}", stub::path());
        let mut command = Command::new("taskset");
        command
            .args(["-c", &GENERATORS_CORE.to_string()])
            .arg(self.program().unwrap());
        let length = format!("{SECONDS}s");
        let connections = CONNECTIONS.to_string();
        let write = |name: &str, text: String| {
            let path = scratch.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        match self {
            Self::Soundcheck => {
                let rate = match pace {
                    Pace::Full => 0,
                    Pace::Rate(rate) => rate,
                };
                command.args([GENERATE, &rate.to_string(), address]);
            }
            Self::Wrk | Self::Wrk2 => {
                command.args(["-t", "1", "-c", &connections, "-d", &length]);
                if let Pace::Rate(rate) = pace {
                    command.args(["-R", &rate.to_string()]);
                }
                command.arg(&url);
            }
            Self::Oha => {
                command.args(["--no-tui", "-c", &connections, "-z", &length]);
                if let Pace::Rate(rate) = pace {
                    command.args(["-q", &rate.to_string(), "--latency-correction"]);
                }
                command.arg(&url);
            }
            Self::Vegeta => {
                let targets = write("targets", format!("GET {url}\n"));
                let rate = match pace {
                    Pace::Full => "0".to_owned(),
                    Pace::Rate(rate) => rate.to_string(),
                };
                command.args(["attack", "-rate", &rate, "-duration", &length, "-output", "/dev/null"]);
                command.args(["-workers", &connections, "-max-workers", &connections]);
                command.args(["-connections", &connections, "-targets"]).arg(targets);
            }
            Self::K6 => {
                let how = match pace {
                    Pace::Full => format!("executor: 'constant-vus', vus: {CONNECTIONS}, duration: '{length}'"),
                    Pace::Rate(rate) => format!(
                        "executor: 'constant-arrival-rate', rate: {rate}, timeUnit: '1s', duration: '{length}', \
                         preAllocatedVUs: {CONNECTIONS}"
                    ),
                };
                let script = format!(
                    "import http from 'k6/http';\n\
                     export const options = {{ scenarios: {{ maps: {{ {how} }} }} }};\n\
                     export default function () {{ http.get('{url}'); }}\n"
                );
                command
                    .args(["run", "--quiet", "--no-usage-report"])
                    .arg(write("maps.js", script));
            }
            Self::Locust => {
                let wait = match pace {
                    Pace::Full => "constant(0)".to_owned(),
                    Pace::Rate(rate) => format!("constant_throughput({})", f64::from(rate) / f64::from(CONNECTIONS)),
                };
                let script = format!(
                    "from locust import FastHttpUser, constant, constant_throughput, task\n\n\n\
                     class Visitor(FastHttpUser):\n    wait_time = {wait}\n\n    @task\n    def maps(self):\n        \
                     self.client.get('{}')\n",
                    stub::path()
                );
                command.args([
                    "--headless",
                    "--only-summary",
                    "--users",
                    &connections,
                    "--spawn-rate",
                    &connections,
                ]);
                command.args([
                    "--run-time",
                    &length,
                    "--host",
                    &format!("http://{address}"),
                    "--locustfile",
                ]);
                command.arg(write("maps.py", script));
            }
        }
        command
    }
}

/// Is the generator that is measured; a rate of 0 is as fast as it is answered.
fn generate(rate: u32, address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let length = Duration::from_secs(SECONDS.into());
        let mut scenario = ScenarioConfig {
            arrivals: ArrivalKind::Even,
            users: if rate == 0 { 1 } else { CONNECTIONS },
            admitted: 1,
            ..seat_maps(RatePerSec(rate.into()), length)
        };
        if rate == 0 {
            for stage in &mut scenario.stages {
                stage.virtual_users = (CONNECTIONS, CONNECTIONS);
            }
        }
        recorded(address, scenario).await;
    });
}
