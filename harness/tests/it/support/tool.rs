//! The real executable at work: its recordings, its words, its children and its end.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use soundcheck::recording::{Event, Recording, What};

/// Longer than any report here takes, on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(600);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running `soundcheck`, with a folder for its recordings and one for everything temporary.
pub(crate) struct Tool {
    child: Child,
    out: tempfile::TempDir,
    temporary: tempfile::TempDir,
    said: Arc<Mutex<Vec<String>>>,
    listeners: Vec<JoinHandle<()>>,
    printed: Arc<Mutex<String>>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Lines of standard error.
    pub(crate) said: Vec<String>,
    pub(crate) printed: String,
}

impl Tool {
    /// Starts `soundcheck` with these arguments, and `--out` after them.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let (out, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_soundcheck"));
        // What the user's environment says is not what is tested.
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("SOUNDCHECK_") && !name_text.ends_with("_IMAGE") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(arguments)
            .arg("--out")
            .arg(out.path())
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let printed = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let into = Arc::clone(&said);
        let hear = std::thread::spawn(move || {
            for line in lines {
                into.lock().unwrap().push(line.unwrap());
            }
        });
        let (mut stdout, into) = (child.stdout.take().unwrap(), Arc::clone(&printed));
        let read = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            *into.lock().unwrap() = text;
        });
        Self {
            child,
            out,
            temporary,
            said,
            listeners: vec![hear, read],
            printed,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// What it has said so far on standard error.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits until `found` finds something, while the tool runs.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + ENDS_WITHIN;
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{what} did not come ({ended:?}): {:#?}",
                self.said()
            );
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self) -> Ended {
        let deadline = Instant::now() + ENDS_WITHIN;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "it does not end: {:#?}", self.said()),
            }
            std::thread::sleep(LOOK_AGAIN);
        };
        for listener in self.listeners.drain(..) {
            listener.join().unwrap();
        }
        Ended {
            code: status.code(),
            said: self.said(),
            printed: self.printed.lock().unwrap().clone(),
        }
    }

    /// The folder of the recording of this kind.
    pub(crate) fn recording(&self, kind: &str) -> Option<PathBuf> {
        let folders = std::fs::read_dir(self.out.path()).unwrap();
        let mut folders = folders.map(|entry| entry.unwrap().path());
        folders.find(|folder| {
            folder
                .file_name()
                .unwrap()
                .to_string_lossy()
                .contains(&format!("-{kind}-"))
        })
    }

    /// What its recording of this kind has told so far.
    pub(crate) fn events(&self, kind: &str) -> Vec<Event> {
        let Some(folder) = self.recording(kind) else {
            return Vec::new();
        };
        let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default();
        // The last line may still be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The processes of the service that the recording of this kind tells of.
    pub(crate) fn services(&self, kind: &str) -> Vec<u32> {
        let events = self.events(kind).into_iter();
        let pids = events.filter_map(|event| match event.what {
            What::Launch { pid, .. } => pid,
            _ => None,
        });
        pids.collect()
    }

    /// Reads a finished recording back.
    pub(crate) fn read(&self, kind: &str) -> Recording {
        let folder = self.recording(kind);
        Recording::open(&folder.unwrap_or_else(|| panic!("no recording of {kind}"))).unwrap()
    }

    /// Folders of the tool's that are left in the temporary one.
    pub(crate) fn left_behind(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.temporary.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Ended already, in a test that passes.
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Whether a process still runs the program of these tests.
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
        // A zombie's line is empty; another's is another program.
        String::from_utf8_lossy(&line).contains("soundcheck")
    })
}

/// One end of a TCP connection, or a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Socket {
    pub(crate) local_port: u16,
    /// 0 for a listener.
    pub(crate) remote_port: u16,
}

/// The sockets of a process that are connected, or listen.
pub(crate) fn sockets(pid: u32) -> Vec<Socket> {
    const ESTABLISHED: &str = "01";
    const LISTENING: &str = "0A";
    let descriptors = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")).unwrap();
    let own: BTreeSet<String> = descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            let target = target.to_string_lossy().into_owned();
            Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let sockets = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let port = |address: &str| u16::from_str_radix(address.split_once(':').unwrap().1, 16).unwrap();
        let is_wanted = [ESTABLISHED, LISTENING].contains(&fields[3]) && own.contains(fields[9]);
        is_wanted.then(|| Socket {
            local_port: port(fields[1]),
            remote_port: port(fields[2]),
        })
    });
    sockets.collect()
}
