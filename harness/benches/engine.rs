//! The load engine against a server that does nothing: how well it keeps its pace, and what recording costs.
//!
//! `cargo bench -p soundcheck --bench engine`, or one part by its name: `-- pace`, `-- speed` or `-- memory`. The server
//! is another process, with a thread of its own and a constant answer, so that nothing but the generator is slow.
//!
//! **Pace.** Seat maps at a constant rate by the open model, the server on one core and the generator on another; what is
//! shown is how late requests were sent, by the engine's own account, and how the rate at which the server was asked
//! differs from what was planned.
//!
//! **Speed.** The same requests as fast as they are answered, by the closed model with all that a run records, against Goose
//! alone with its own clients and metrics, in turns. The server counts what it was asked from the first second on, and
//! what that cost is measured meanwhile, so that nobody's start and end are in it.
//!
//! **Memory.** What a process takes at its peak, each time another one: with few users and with 50,000, all of whom have
//! come once, on pooled connections; and the recorder through a day of 10,000 samples a second, by simulation.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "support/figures.rs"]
#[allow(dead_code, reason = "each bench uses what it needs")]
mod figures;
#[path = "support/offered.rs"]
mod offered;
#[path = "support/spent.rs"]
mod spent;
#[path = "support/stub.rs"]
#[allow(dead_code, reason = "each bench uses what it needs")]
mod stub;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use figures::{Goal, Rounds};
use goose::GooseAttack;
use goose::config::GooseConfiguration;
use goose::goose::{Scenario, Transaction};
use offered::{attack, merged, recorded, seat_maps};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use soundcheck::config::{ArrivalKind, ScenarioConfig};
use soundcheck::load::{Keep, Recorder, Selector};
use soundcheck::recording::model::Environment;
use soundcheck::recording::{Endpoint, Lateness, Manifest, Outcome, RecordingWriter, RunClock, Sample, environment};
use soundcheck::units::{Nanos, RatePerSec};
use spent::{Poll, between};
use stub::Stub;

const RATES: [f64; 3] = [1_000.0, 5_000.0, 10_000.0];
const PACED: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(50);
const N_ROUNDS: usize = 5;
/// Of the two sides, in turns: what the machine does beside them moves a single round by a third.
const N_TURNS: usize = 11;
/// Goose runs for whole seconds.
const FAST: Duration = Duration::from_secs(5);
const USERS: u32 = 64;
const SERVERS_CORE: usize = 0;
const GENERATORS_CORE: &str = "1";
const PACE_OF: &str = "pace-for-the-engine-bench";
const USERS_OF: &str = "users-for-the-engine-bench";
const RECORD: &str = "record-for-the-engine-bench";
const FEW: u32 = 1_000;
const MANY: u32 = 50_000;
/// A day of so many samples a second.
const SAMPLES: u32 = 10_000;
const DAY: u32 = 24 * 60 * 60;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if stub::is_asked_for() {
        return stub::serve();
    }
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        [PACE_OF, rate, address] => return keep_pace(rate.parse().unwrap(), address),
        [USERS_OF, users, address] => {
            crowd(users.parse().unwrap(), address);
            return print_peak();
        }
        [RECORD, seconds] => {
            record(seconds.parse().unwrap());
            return print_peak();
        }
        _ => (),
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("not measured: run it with `cargo bench`");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let is_wanted = |part: &str| {
        let mut named = arguments[1..]
            .iter()
            .filter(|argument| !argument.starts_with('-'))
            .peekable();
        named.peek().is_none() || named.any(|name| name == part)
    };
    runtime.block_on(measure(is_wanted));
}

async fn measure(is_wanted: impl Fn(&str) -> bool) {
    if is_wanted("pace") {
        println!("pace: seat maps by the open model for {PACED:?} each, median of {N_ROUNDS} rounds, a core to itself");
        let mut server = Stub::start(Some(SERVERS_CORE));
        for rate in RATES {
            pace(&mut server, rate);
        }
    }
    let mut server = Stub::start(None);
    if is_wanted("speed") {
        println!("speed: {USERS} users as fast as they are answered, {FAST:?} each, in turns");
        speed(&mut server).await;
    }
    if is_wanted("memory") {
        println!("memory: resident at the peak, of a process of its own each");
        memory(&server);
    }
}

fn pace(server: &mut Stub, rate: f64) {
    let (mut p50, mut p99, mut off) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..N_ROUNDS {
        let output = Command::new("taskset")
            .args(["-c", GENERATORS_CORE])
            .arg(std::env::current_exe().unwrap())
            .args([PACE_OF, &rate.to_string(), &server.address])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let figures: Vec<f64> = text.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
        p50.push(figures[0]);
        p99.push(figures[1]);
        off.push((server.arrived(Some(rate)).rate() / rate - 1.0).abs() * 100.0);
    }
    let (p50, p99, off) = (Rounds::new(p50), Rounds::new(p99), Rounds::new(off));
    println!(
        "  {rate:>6}/s: sent late by {} µs at p50, {} µs at p99 ({}); off the rate by {} %",
        p50.text(0),
        p99.text(0),
        Goal::AtMost(250.0).verdict(p99.median()),
        off.text(3)
    );
}

/// Prints how late requests were sent at p50 and p99, in microseconds.
fn keep_pace(rate: f64, address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let scenario = ScenarioConfig {
            arrivals: ArrivalKind::Even,
            users: 256,
            admitted: 1,
            ..seat_maps(RatePerSec(rate), PACED)
        };
        let (_, cuts) = attack(address, scenario).await;
        let lag = merged(&cuts, |clock| clock.is_lateness());
        let late = |q| lag.value_at_quantile(q) as f64 / 1e3;
        println!("{} {}", late(0.5), late(0.99));
    });
}

async fn speed(server: &mut Stub) {
    let address = server.address.clone();
    let (mut ours, mut bare) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..N_TURNS {
        // Whoever comes first in one round comes second in the next.
        let is_ours_first = round % 2 == 0;
        for turn in [is_ours_first, !is_ours_first] {
            let (fast, side) = if turn {
                (fast(server, with_recording(&address)).await, &mut ours)
            } else {
                (fast(server, goose_alone(&address)).await, &mut bare)
            };
            side[0].push(fast.a_second);
            side[1].push(fast.a_core_second);
        }
    }
    for (n, unit) in ["requests/s", "requests a second of a core"].iter().enumerate() {
        let ratios: Vec<f64> = std::iter::zip(&ours[n], &bare[n])
            .map(|(ours, bare)| ours / bare)
            .collect();
        let (ratios, ours, bare) = (
            Rounds::new(ratios),
            Rounds::new(ours[n].clone()),
            Rounds::new(bare[n].clone()),
        );
        println!("  with a full recording {} {unit}", ours.text(0));
        println!("  Goose alone           {} {unit}", bare.text(0));
        println!(
            "  ratio {} ({})",
            ratios.text(2),
            Goal::AtLeast(0.9).verdict(ratios.median())
        );
        if unit.ends_with("core") {
            println!("  of a core: {}", Goal::AtLeast(25_000.0).verdict(ours.median()));
        }
    }
}

/// How fast one side was, by the server's count.
struct Fast {
    a_second: f64,
    /// Of this process's own time on a core; the server's does not count.
    a_core_second: f64,
}

/// The seconds that this process has spent on its cores.
fn cpu() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// Lets one side load the server.
async fn fast(server: &mut Stub, side: impl Future<Output = ()>) -> Fast {
    let over = Arc::new(AtomicBool::new(false));
    let polls = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            let mut polls = vec![Poll::now(cpu())];
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(POLL_EVERY);
                polls.push(Poll::now(cpu()));
            }
            polls
        }
    });
    side.await;
    over.store(true, Ordering::Relaxed);
    let (polls, arrived) = (polls.join().unwrap(), server.arrived(None));
    Fast {
        a_second: arrived.rate(),
        a_core_second: arrived.requests as f64 / between(&polls, arrived.first, arrived.last),
    }
}

/// By virtual users who never think.
async fn with_recording(address: &str) {
    let mut scenario = seat_maps(RatePerSec(0.0), FAST);
    scenario.users = 1;
    scenario.admitted = 1;
    for stage in &mut scenario.stages {
        stage.virtual_users = (USERS, USERS);
    }
    recorded(address, scenario).await;
}

/// Goose with its own clients and metrics, each answer read to its end.
async fn goose_alone(address: &str) {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(format!("http://{address}"));
    configuration.users = Some(USERS as usize);
    configuration.increase_rate = Some("1000000000".to_owned());
    configuration.run_time = Some(FAST.as_secs().to_string());
    configuration.no_telnet = true;
    configuration.no_print_metrics = true;
    configuration.no_reset_metrics = true;
    configuration.no_threshold_abort = true;
    configuration.quiet = 2;
    let path = Arc::new(stub::path());
    let ask = Transaction::new(Arc::new(move |user| {
        let path = Arc::clone(&path);
        Box::pin(async move {
            let mut made = user.get_named(&path, "seats").await?;
            let answer = made.response.as_mut().unwrap();
            let mut length = 0;
            while let Some(part) = answer.chunk().await.unwrap() {
                length += part.len();
            }
            assert!(length > 0);
            Ok(())
        })
    }));
    let attack = GooseAttack::initialize_with_config(configuration)
        .unwrap()
        .register_scenario(Scenario::new("seats").register_transaction(ask));
    Box::pin(attack.execute()).await.unwrap();
}

fn memory(server: &Stub) {
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    let few = peak_of(&[USERS_OF, &FEW.to_string(), &server.address]);
    let many = peak_of(&[USERS_OF, &MANY.to_string(), &server.address]);
    println!(
        "  {FEW} users {:.0} MiB, {MANY} users {:.0} MiB ({})",
        mib(few),
        mib(many),
        Goal::AtMost(1024.0).verdict(mib(many))
    );
    let each = many.saturating_sub(few) as f64 / f64::from(MANY - FEW) / 1024.0;
    println!("  {each:.1} KiB a user ({})", Goal::AtMost(12.0).verdict(each));
    for seconds in [1, 60, DAY] {
        let began = Instant::now();
        let peak = mib(peak_of(&[RECORD, &seconds.to_string()]));
        println!(
            "  the recorder after {seconds} s of {SAMPLES} samples/s: {peak:.1} MiB ({}), simulated in {:.1} s",
            Goal::AtMost(64.0).verdict(peak),
            began.elapsed().as_secs_f64()
        );
    }
}

/// What a copy of this process says of its peak.
fn peak_of(arguments: &[&str]) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .last()
        .and_then(|line| line.parse().ok())
        .expect("a number of bytes")
}

/// As [`peak_of`] reads it.
fn print_peak() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    println!("{}", kib * 1024);
}

/// Each of the users comes once at least: the line is first in, first out.
fn crowd(users: u32, address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let rate = RatePerSec(5_000.0);
        let scenario = ScenarioConfig {
            arrivals: ArrivalKind::Even,
            users,
            connections: Some(1_000),
            admitted: 1,
            ..seat_maps(rate, Duration::from_secs_f64(f64::from(MANY) * 1.1 / rate.0))
        };
        let (outcome, _) = attack(address, scenario).await;
        assert!(outcome.total.ok > u64::from(users));
    });
}

/// The samples of a run of so many seconds, recorded and written as a run does it, but as fast as that goes.
fn record(seconds: u32) {
    let clock = RunClock::start();
    let selector = Arc::new(Selector::new(0));
    let recorder = Recorder::new(vec!["stub".to_owned()], selector, Keep::Everything, clock);
    let dir = tempfile::tempdir().unwrap();
    let manifest = Manifest::new("run", environment::tool(), 7, Environment::default(), clock.anchor());
    let writer = RecordingWriter::create(&dir.path().join("run"), &manifest).unwrap();
    let endpoints = [
        Endpoint::QueueEnter,
        Endpoint::QueuePosition,
        Endpoint::Schedules,
        Endpoint::Seats,
        Endpoint::Hold,
        Endpoint::Pay,
        Endpoint::JourneyBrowse,
        Endpoint::JourneyBook,
    ];
    let mut time = ChaCha8Rng::seed_from_u64(7);
    for second in 0..seconds {
        let begin = u64::from(second) * 1_000_000_000;
        for n in 0..SAMPLES {
            let intended = Nanos(begin + u64::from(n) * 100_000);
            // From 10 µs to 10 s, evenly over the orders of magnitude: the widest that a histogram has to hold.
            let served = 10_f64.powf(time.random_range(4.0..10.0)) as u64;
            let sent = Nanos(intended.0 + served / 100);
            recorder.record(
                n as usize,
                &Sample {
                    variant: 0,
                    slice: 0,
                    endpoint: endpoints[n as usize % endpoints.len()],
                    outcome: if n % 100 < 99 { Outcome::Ok } else { Outcome::TimeOut },
                    intended: Some(intended),
                    lateness: if n % 10 == 0 {
                        Lateness::BusyUsers
                    } else {
                        Lateness::Generator
                    },
                    sent,
                    done: Nanos(sent.0 + served),
                },
            );
        }
        for cut in recorder.cut() {
            writer
                .interval(cut.start, cut.length, &cut.tag, &cut.histogram)
                .unwrap();
        }
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}
