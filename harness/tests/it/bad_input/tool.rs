//! Runs the executable where nothing of its surroundings reaches it, and looks at what it said and what it left.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Far more than any of these commands needs, on a machine that is busy with other tests.
const ENDS_WITHIN: Duration = Duration::from_secs(240);
/// For processes that were killed and are not gone yet.
const GONE_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Inherited by everything that the tool starts, so that it can be found.
const MARK: &str = "SOUNDCHECK_TEST_MARK";

/// A folder to run in, with one for temporary files, which must be empty again at the end.
pub(crate) struct Site {
    folder: TempDir,
    mark: String,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) pid: u32,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["work", "temporary", "runtime"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mark = folder.path().display().to_string();
        Self { folder, mark }
    }

    /// A path in the working folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    /// The folder for temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder.path().join("temporary")
    }

    /// Writes a file into the working folder, and returns its path as an argument.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The names in the working folder, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// `program` with the surroundings of this site: no variable of the tool's but its images.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("SOUNDCHECK_") && !name.ends_with("_IMAGE") {
                command.env_remove(name);
            }
        }
        command
            .env(MARK, &self.mark)
            .env("TMPDIR", self.temporary())
            .env("XDG_RUNTIME_DIR", self.folder.path().join("runtime"))
            .env("NO_COLOR", "1")
            .current_dir(self.path(""))
            .stdin(Stdio::null());
        command
    }

    /// The tool with `arguments`.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(tool());
        command.args(arguments);
        command
    }

    /// Runs the tool to its end, and sees that it has left nothing.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_command(self.tool(arguments))
    }

    /// The same for a command that was prepared.
    #[track_caller]
    pub(crate) fn run_command(&self, command: Command) -> Said {
        let out = File::create(self.output("stdout")).unwrap();
        self.run_into(command, out)
    }

    /// The same with a standard output of the caller's.
    #[track_caller]
    pub(crate) fn run_into(&self, mut command: Command, stdout: impl Into<Stdio>) -> Said {
        // Files, since a process that is left behind would keep a pipe open for ever.
        command
            .stdout(stdout)
            .stderr(File::create(self.output("stderr")).unwrap());
        self.see_to_its_end(command, |_| {})
    }

    /// The same where nobody reads standard error any more; `meanwhile` is done while it runs.
    #[track_caller]
    pub(crate) fn run_unheard(&self, mut command: Command, meanwhile: impl FnOnce(&mut Child)) -> Said {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command
            .stdout(File::create(self.output("stdout")).unwrap())
            .stderr(writer);
        self.see_to_its_end(command, meanwhile)
    }

    #[track_caller]
    fn see_to_its_end(&self, mut command: Command, meanwhile: impl FnOnce(&mut Child)) -> Said {
        let mut child = command.spawn().unwrap();
        let pid = child.id();
        meanwhile(&mut child);
        let status = ended(child);
        // What goes elsewhere is not in these files.
        let [stdout, stderr] =
            ["stdout", "stderr"].map(|name| fs::read_to_string(self.output(name)).unwrap_or_default());
        let said = Said {
            pid,
            code: status.code(),
            stdout,
            stderr,
        };
        self.check_nothing_is_left(&said);
        said
    }

    fn output(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[track_caller]
    fn check_nothing_is_left(&self, said: &Said) {
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "processes are left: {left:?}\n{said:?}");
            std::thread::sleep(LOOK_EVERY);
        }
        let temporary: Vec<_> = fs::read_dir(self.temporary()).unwrap().collect();
        assert!(
            temporary.is_empty(),
            "temporary files are left: {temporary:?}\n{said:?}"
        );
        let notes = files_below(&self.folder.path().join("runtime"));
        assert!(
            notes.is_empty(),
            "a note of a run that has ended is left: {notes:?}\n{said:?}"
        );
    }

    /// The command lines of everything that was started from here and still runs.
    fn processes(&self) -> Vec<String> {
        let wanted = format!("{MARK}={}", self.mark);
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let marked = entries.map(|entry| entry.path()).filter(|folder| {
            // What belongs to others, or is gone by now, cannot be read and is not ours.
            let environment = fs::read(folder.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes())
        });
        marked
            .map(|folder| String::from_utf8_lossy(&fs::read(folder.join("cmdline")).unwrap_or_default()).into_owned())
            .collect()
    }
}

impl Said {
    /// It failed with `code`: an error in our form that holds `words`, and nothing on standard output.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "half a result: {self:?}");
        self.check_error();
        self.tells(words);
    }

    /// Standard error holds each of `words`.
    #[track_caller]
    pub(crate) fn tells(&self, words: &[&str]) {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing from: {}", self.stderr);
        }
    }

    #[track_caller]
    fn check_error(&self) {
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        let errors: Vec<_> = self
            .stderr
            .match_indices("error: ")
            .filter(|(at, _)| self.begins_line(*at))
            .collect();
        assert_eq!(errors.len(), 1, "one error, said once: {}", self.stderr);
        let text = &self.stderr[errors[0].0 + "error: ".len()..];
        let first = text.chars().find(|character| character.is_alphabetic());
        assert!(first.is_some_and(char::is_lowercase), "{text}");
        for line in text.lines() {
            let causes: Vec<String> = line.split(": ").map(str::to_lowercase).collect();
            for (n, cause) in causes.iter().enumerate().filter(|(_, cause)| cause.len() >= 12) {
                let again = causes[n + 1..].iter().find(|later| later.contains(cause.as_str()));
                assert_eq!(again, None, "a cause is told twice: {line}");
            }
        }
    }

    fn begins_line(&self, at: usize) -> bool {
        at == 0 || self.stderr.as_bytes()[at - 1] == b'\n'
    }
}

/// The executable.
pub(crate) fn tool() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_soundcheck"))
}

#[track_caller]
fn ended(mut child: Child) -> ExitStatus {
    let deadline = Instant::now() + ENDS_WITHIN;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the command did not end within {ENDS_WITHIN:?}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found
}
