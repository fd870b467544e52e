//! A server with a script: it answers after a known time, freezes for a known stretch, misbehaves in a known way, and
//! logs when it answered which arrival. Spoken by hand, since it must be able to send what is no HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use soundcheck::recording::RunClock;
use soundcheck::units::Nanos;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the stub does with a seat map or a hold. Admissions are always answered.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    Answer,
    /// No date has seats left.
    NoDates,
    /// A date has seats left by its list, and its seat map is empty: others were faster.
    NoSeats,
    /// A status and a problem's code; an empty code sends a body that is no problem document.
    Refuse(u16, &'static str),
    /// A success whose body is not what it should be.
    Nonsense,
    /// What is no HTTP at all.
    Garbage,
    /// A body of this many bytes.
    Long(usize),
    /// The connection is thrown away after the request is read.
    Reset,
    /// The connection ends in the middle of an answer.
    Hang,
    /// No answer ever.
    Stall,
    /// No answer to whoever leaves the queue.
    KeepIn,
}

/// How long the stub works on an answer, apart from any freeze. The number of the arrival decides, so that a run can be
/// repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Latency {
    Constant(Duration),
    /// Two kinds of answers; `slow_share` of all are slow.
    Bimodal {
        fast: Duration,
        slow: Duration,
        slow_share: f64,
    },
    /// Pareto's law: none is shorter than `least`, and the mean is finite while the variance is not.
    HeavyTail {
        least: Duration,
        most: Duration,
    },
}

impl From<Duration> for Latency {
    fn from(constant: Duration) -> Self {
        Self::Constant(constant)
    }
}

impl Latency {
    /// The exponent of the heavy tail.
    const SHAPE: f64 = 1.5;

    /// What half of all take at most.
    pub(crate) fn median(self) -> Duration {
        match self {
            Self::Constant(constant) => constant,
            Self::Bimodal { fast, .. } => fast,
            Self::HeavyTail { least, .. } => least.mul_f64(0.5_f64.powf(-1.0 / Self::SHAPE)),
        }
    }

    fn of(self, number: u64) -> Duration {
        let even = StdRng::seed_from_u64(number).random::<f64>();
        match self {
            Self::Constant(constant) => constant,
            Self::Bimodal { fast, slow, slow_share } => {
                if even < slow_share {
                    slow
                } else {
                    fast
                }
            }
            Self::HeavyTail { least, most } => least.mul_f64((1.0 - even).powf(-1.0 / Self::SHAPE)).min(most),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) latency: Latency,
    pub(crate) manner: Mutex<Manner>,
    /// From when to when nothing is answered.
    pub(crate) freeze: Mutex<Option<(Nanos, Nanos)>>,
    /// When the answer to each arrival's first request was handed to the kernel.
    pub(crate) answered: Mutex<BTreeMap<u64, Nanos>>,
    /// The user who took a place in the queue, by arrival.
    pub(crate) entered: Mutex<BTreeMap<u64, uuid::Uuid>>,
    /// Connections open now, and the most at once.
    pub(crate) open: Mutex<(usize, usize)>,
    /// Paths in the order of their arrival, without those of the set-up.
    pub(crate) asked: Mutex<Vec<String>>,
}

/// Runs until dropped, on a thread and a runtime of its own.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    pub(crate) script: Arc<Script>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stub {
    pub(crate) fn start(latency: impl Into<Latency>, clock: RunClock) -> Self {
        let script = Arc::new(Script {
            latency: latency.into(),
            manner: Mutex::new(Manner::Answer),
            freeze: Mutex::new(None),
            answered: Mutex::default(),
            entered: Mutex::default(),
            open: Mutex::default(),
            asked: Mutex::default(),
        });
        let (end, ended) = tokio::sync::oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let script = Arc::clone(&script);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async move {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    tell.send(listener.local_addr().unwrap()).unwrap();
                    tokio::select! {
                        () = accept(listener, script, clock) => (),
                        _ = ended => (),
                    }
                });
            }
        });
        Self {
            address: told.recv().unwrap(),
            script,
            end: Some(end),
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, manner: Manner) {
        *self.script.manner.lock().unwrap() = manner;
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the stub panicked");
        }
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>, clock: RunClock) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let script = Arc::clone(&script);
        tokio::spawn(async move {
            {
                let mut open = script.open.lock().unwrap();
                open.0 += 1;
                open.1 = open.1.max(open.0);
            }
            serve(stream, Arc::clone(&script), clock).await;
            script.open.lock().unwrap().0 -= 1;
        });
    }
}

struct Request {
    method: String,
    path: String,
    id: String,
    body: Vec<u8>,
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        id: String::new(),
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "x-request-id" => request.id = value.to_owned(),
            _ => (),
        }
    }
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

/// The arrival behind a request id `nonce-arrival-step`.
fn arrival_of(id: &str) -> Option<u64> {
    id.split('-').nth(1)?.parse().ok()
}

/// The arrival, if the request is its first step.
fn first_step_of(id: &str) -> Option<u64> {
    arrival_of(id).filter(|_| id.split('-').nth(2) == Some("1"))
}

async fn serve(stream: TcpStream, script: Arc<Script>, clock: RunClock) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        if request.id.starts_with("set-up") {
            let text = answer(&request, IN_STOCK);
            stream.get_mut().write_all(text.as_bytes()).await.unwrap();
            continue;
        }
        script
            .asked
            .lock()
            .unwrap()
            .push(format!("{} {}", request.method, request.path));
        if let ("/v1/queue/tokens", Some(number)) = (request.path.as_str(), arrival_of(&request.id)) {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let user = body["user_id"].as_str().unwrap().parse().unwrap();
            script.entered.lock().unwrap().insert(number, user);
        }
        let latency = script.latency.of(arrival_of(&request.id).unwrap_or_default());
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let freeze = *script.freeze.lock().unwrap();
        if let Some((from, until)) = freeze
            && (from..until).contains(&clock.now())
        {
            tokio::time::sleep(until.since(clock.now())).await;
        }
        let manner = script.manner.lock().unwrap().clone();
        let text = match manner {
            Manner::KeepIn if request.method == "DELETE" => std::future::pending().await,
            Manner::Answer | Manner::KeepIn => answer(&request, IN_STOCK),
            Manner::NoDates => answer(&request, Stock { left: 0, ..IN_STOCK }),
            Manner::NoSeats => answer(
                &request,
                Stock {
                    has_seats: false,
                    ..IN_STOCK
                },
            ),
            Manner::Refuse(status, "") => http(status, "<html>no</html>"),
            Manner::Refuse(status, code) => http(
                status,
                &format!(r#"{{"type":"about:blank","title":"x","status":{status},"code":"{code}"}}"#),
            ),
            Manner::Nonsense => http(200, r#"{"seats": "none"#),
            Manner::Garbage => "SSH-2.0-stub\r\n\r\n".to_owned(),
            Manner::Long(bytes) => http(200, &" ".repeat(bytes)),
            Manner::Reset => {
                stream.get_mut().set_zero_linger().unwrap();
                return;
            }
            Manner::Hang => {
                let whole = answer(&request, IN_STOCK);
                let _sent = stream.get_mut().write_all(&whole.as_bytes()[..whole.len() - 1]).await;
                return;
            }
            Manner::Stall => std::future::pending().await,
        };
        if let Some(number) = first_step_of(&request.id) {
            script.answered.lock().unwrap().insert(number, clock.now());
        }
        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What there is to sell.
#[derive(Clone, Copy)]
struct Stock {
    /// By the list of dates.
    left: u32,
    /// On the seat map.
    has_seats: bool,
}

const IN_STOCK: Stock = Stock {
    left: 1,
    has_seats: true,
};

fn answer(request: &Request, stock: Stock) -> String {
    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    let until = "2030-01-01T00:00:00.000Z";
    let body = match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/queue/tokens") => {
            format!(r#"{{"token":"t","state":"active","position":0,"estimated_wait_ms":0,"expires_at":"{until}"}}"#)
        }
        ("GET", path) if path.ends_with("/seats") => {
            let seat = format!(r#"{{"seat_id":"{ID}","number":1,"price":100}}"#);
            let seats = if stock.has_seats { seat } else { String::new() };
            format!(r#"{{"schedule_id":"{ID}","seats":[{seats}]}}"#)
        }
        ("GET", path) if path.contains("/schedules") => {
            let left = stock.left;
            format!(
                r#"{{"concert_id":"{ID}","schedules":[{{"schedule_id":"{ID}","starts_at":"{until}","seats_left":{left}}}],"next_cursor":null}}"#
            )
        }
        ("POST", "/v1/reservations") => format!(
            r#"{{"reservation_id":"{ID}","payment_id":"{ID}","seat_id":"{ID}","amount":100,"expires_at":"{until}"}}"#
        ),
        ("POST", "/v1/payments") => {
            format!(r#"{{"payment_id":"{ID}","reservation_id":"{ID}","amount":100,"balance":900,"paid_at":"{until}"}}"#)
        }
        ("DELETE", _) => return "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        _ => {
            return http(
                404,
                r#"{"code":"not-found","status":404,"title":"x","type":"about:blank"}"#,
            );
        }
    };
    http(if request.method == "POST" { 201 } else { 200 }, &body)
}

fn http(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
