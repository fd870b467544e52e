//! A server of constant answers in a process of its own, which says when it was asked: so generators can be compared from
//! outside, whatever they say of themselves.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const SERVE: &str = "serve-constant-answers";
/// What is asked for first is left out: connections are opened then.
const BEGINNING: Duration = Duration::from_secs(1);

/// What is asked for.
pub(crate) fn path() -> String {
    format!("/v1/schedules/{ID}/seats")
}

/// The server, which ends with this.
pub(crate) struct Stub {
    child: Child,
    commands: ChildStdin,
    said: BufReader<ChildStdout>,
    pub(crate) address: String,
}

/// When requests came, without those of the first second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) requests: u64,
    /// When the first and the last of them came, by [`monotonic`].
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    /// How much later than at equal distances from the one that came earliest of all; of a rate that was asked for.
    pub(crate) late: Option<(Duration, Duration)>,
}

impl Arrived {
    /// Requests a second.
    pub(crate) fn rate(self) -> f64 {
        (self.requests - 1) as f64 / (self.last - self.first).as_secs_f64()
    }
}

/// A clock that all processes of the machine share.
pub(crate) fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

impl Stub {
    /// On one core alone, if one is given.
    pub(crate) fn start(core: Option<usize>) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = match core {
            None => Command::new(program),
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(program);
                command
            }
        };
        let mut child = command
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        said.read_line(&mut address).unwrap();
        Self {
            commands: child.stdin.take().unwrap(),
            child,
            said,
            address: address.trim().to_owned(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What arrived since the last call; `rate` is what was asked of the generator.
    pub(crate) fn arrived(&mut self, rate: Option<f64>) -> Arrived {
        writeln!(self.commands, "{}", rate.unwrap_or(0.0)).unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        let numbers: Vec<u64> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [requests, first, last, ref late @ ..] = numbers[..] else {
            panic!("the server was asked for nothing that counts: {line}")
        };
        let late = match *late {
            [] => None,
            [p50, p99] => Some((Duration::from_nanos(p50), Duration::from_nanos(p99))),
            _ => panic!("{line}"),
        };
        Arrived {
            requests,
            first: Duration::from_nanos(first),
            last: Duration::from_nanos(last),
            late,
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Whether this process is to be the server.
pub(crate) fn is_asked_for() -> bool {
    std::env::args().any(|argument| argument == SERVE)
}

/// Is the server, until it is ended.
pub(crate) fn serve() {
    let arrivals = Arc::new(Mutex::new(Vec::<Duration>::new()));
    std::thread::spawn({
        let arrivals = Arc::clone(&arrivals);
        move || {
            for line in std::io::stdin().lines() {
                let rate: f64 = line.unwrap().parse().unwrap();
                let arrived = std::mem::take(&mut *arrivals.lock().unwrap());
                println!("{}", told(&arrived, rate));
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(answer(stream, Arc::clone(&arrivals)));
        }
    });
}

fn told(arrived: &[Duration], rate: f64) -> String {
    let counted: Vec<Duration> = match arrived.first() {
        None => Vec::new(),
        Some(first) => arrived.iter().copied().filter(|at| *at >= *first + BEGINNING).collect(),
    };
    let (Some(first), Some(last)) = (counted.first(), counted.last()) else {
        return "0".to_owned();
    };
    let mut line = format!("{} {} {}", counted.len(), first.as_nanos(), last.as_nanos());
    if rate > 0.0 {
        let offsets = (0..)
            .zip(&counted)
            .map(|(n, at)| (*at - *first).as_secs_f64() - f64::from(n) / rate);
        let mut offsets: Vec<f64> = offsets.collect();
        offsets.sort_by(f64::total_cmp);
        for q in [0.5, 0.99] {
            let at = offsets[((offsets.len() as f64 * q) as usize).min(offsets.len() - 1)];
            line.push_str(&format!(" {}", ((at - offsets[0]) * 1e9) as u64));
        }
    }
    line
}

/// Answers whatever is asked on one connection. Requests come one at a time, and none is longer than a read.
async fn answer(mut stream: TcpStream, arrivals: Arc<Mutex<Vec<Duration>>>) {
    let until = "2030-01-01T00:00:00.000Z";
    let token = http(&format!(
        r#"{{"token":"t","state":"active","position":0,"estimated_wait_ms":0,"expires_at":"{until}"}}"#
    ));
    let seats = http(&format!(
        r#"{{"schedule_id":"{ID}","seats":[{{"seat_id":"{ID}","number":1,"price":100}}]}}"#
    ));
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => n,
        };
        let body: &[u8] = if buffer[..n].starts_with(b"GET ") {
            arrivals.lock().unwrap().push(monotonic());
            &seats
        } else if buffer[..n].starts_with(b"DELETE ") {
            b"HTTP/1.1 204 No Content\r\n\r\n"
        } else {
            &token
        };
        if stream.write_all(body).await.is_err() {
            return;
        }
    }
}

fn http(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
