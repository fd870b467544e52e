//! Builds the stand-in images of `harness/images/`, whose files are embedded here so that the binary alone suffices.
//!
//! A builder writes a root file system as a tar archive; the daemon imports it by its socket. An image remembers the
//! hash of the files it was built from, so that building again costs nothing until they change. One holds this program
//! itself, for stacks in which the service runs in a container: what `service/Dockerfile` makes, without a compiler.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use testcontainers::bollard::body_try_stream;
use testcontainers::bollard::errors::Error as ApiError;
use testcontainers::bollard::query_parameters::CreateImageOptions;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::connect::{Daemon, is_not_found};

/// The label that holds the hash of the builder's files.
const LABEL_BUILDER: &str = "org.soundcheck.builder";

/// How much of a failed build's log its error repeats.
const N_LOG_LINES: usize = 15;

/// The images that can be built here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub enum StandIn {
    MySql,
    Redis,
    Kafka,
    /// Prometheus, and the tools around it: Alertmanager, the exporters, the proxy that it watches.
    Prometheus,
    /// The service, and this tool beside it.
    Booking,
}

/// What [`build`] had to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Built {
    Anew,
    UpToDate,
}

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The builder's files, its log or its archive could not be written or read.
    #[error(
        "cannot use {path} while building {image}; the builder needs about 1 GB there (TMPDIR chooses another place)"
    )]
    Files {
        image: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The builder gave up.
    #[error("the builder of {image} failed ({status}); the end of its log:\n{log}")]
    Builder {
        image: &'static str,
        status: std::process::ExitStatus,
        log: String,
    },
    /// The daemon refused the archive, or the question whether there is an image.
    #[error("the container daemon failed to {what} {image}")]
    Daemon {
        image: &'static str,
        what: &'static str,
        #[source]
        source: ApiError,
    },
}

/// `(path inside harness/images, contents)` of every file named, relative to the folder `$name`.
macro_rules! embed {
    ($name:literal: $($file:literal),+) => {
        &[
            ("lib.sh", include_str!("../../images/lib.sh")),
            $((concat!($name, "/", $file), include_str!(concat!("../../images/", $name, "/", $file)))),+
        ]
    };
}

impl StandIn {
    /// Every one, in the order of building: what most runs need first.
    pub const ALL: [Self; 5] = [Self::MySql, Self::Redis, Self::Kafka, Self::Prometheus, Self::Booking];

    /// The image's name and tag; never an official one.
    pub const fn image(self) -> &'static str {
        match self {
            Self::MySql => "soundcheck/mysql:9.7",
            Self::Redis => "soundcheck/redis:8",
            Self::Kafka => "soundcheck/kafka:4",
            Self::Prometheus => "soundcheck/prometheus:2",
            Self::Booking => concat!("soundcheck/booking:", env!("CARGO_PKG_VERSION")),
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::Redis => "redis",
            Self::Kafka => "kafka",
            Self::Prometheus => "prometheus",
            Self::Booking => "booking",
        }
    }

    const fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::MySql => embed!("mysql": "build.sh", "entrypoint.sh", "image.conf", "my.cnf"),
            Self::Redis => embed!("redis": "build.sh", "entrypoint.sh", "image.conf"),
            Self::Kafka => {
                embed!("kafka": "build.sh", "image.conf", "log4j2.yaml", "pom.xml", "run.sh", "server.properties")
            }
            Self::Prometheus => embed!("prometheus": "build.sh", "image.conf", "prometheus.yml"),
            Self::Booking => embed!("booking": "build.sh", "image.conf"),
        }
    }

    /// The program that the image holds, where it is this one.
    fn program(self) -> Result<Option<PathBuf>, BuildError> {
        let is_wanted = self == Self::Booking;
        let program = is_wanted.then(|| std::env::current_exe().map_err(self.unusable(Path::new("/proc/self/exe"))));
        program.transpose()
    }

    /// The hash of everything that decides what the image becomes, but for the packages themselves.
    fn content_hash(self) -> Result<String, BuildError> {
        let mut hash = Sha256::new();
        for (path, contents) in self.files() {
            for part in [path, contents] {
                hash.update(part.len().to_le_bytes());
                hash.update(part);
            }
        }
        if let Some(program) = self.program()? {
            hash_file(&mut hash, &program).map_err(self.unusable(&program))?;
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The instructions that the image carries.
    fn instructions(self, content_hash: &str) -> Vec<String> {
        let conf = self
            .files()
            .iter()
            .find(|(path, _)| path.ends_with("/image.conf"))
            .map_or("", |(_, text)| text);
        let label = format!("LABEL {LABEL_BUILDER}={content_hash}");
        conf.lines().map(str::to_owned).chain([label]).collect()
    }

    fn failed(self, what: &'static str) -> impl Fn(ApiError) -> BuildError {
        move |source| BuildError::Daemon {
            image: self.image(),
            what,
            source,
        }
    }

    fn unusable(self, path: &Path) -> impl Fn(std::io::Error) -> BuildError {
        move |source| BuildError::Files {
            image: self.image(),
            path: path.to_owned(),
            source,
        }
    }
}

/// Builds `stand_in` and imports it, unless the daemon has one from the same files; `rebuild` builds it anyway.
///
/// # Errors
/// The builder fails (the error repeats the end of its log), or the daemon refuses.
pub async fn build(daemon: &Daemon, stand_in: StandIn, rebuild: bool) -> Result<Built, BuildError> {
    let content_hash = stand_in.content_hash()?;
    if !rebuild && is_up_to_date(daemon, stand_in, &content_hash).await? {
        return Ok(Built::UpToDate);
    }
    let folder = tempfile::Builder::new()
        .prefix("soundcheck-image-")
        .tempdir()
        .map_err(stand_in.unusable(&std::env::temp_dir()))?;
    let archive = folder.path().join("image.tar");
    write_archive(stand_in, folder.path(), &archive).await?;
    import(daemon, stand_in, &archive, &content_hash).await?;
    Ok(Built::Anew)
}

async fn is_up_to_date(daemon: &Daemon, stand_in: StandIn, content_hash: &str) -> Result<bool, BuildError> {
    match daemon.api().inspect_image(stand_in.image()).await {
        Ok(image) => {
            let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
            Ok(labels.get(LABEL_BUILDER).is_some_and(|known| known == content_hash))
        }
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(stand_in.failed("look for")(error)),
    }
}

/// A piece at a time: a program with its debug information is large.
fn hash_file(hash: &mut Sha256, path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::File::open(path)?;
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(()),
            n_bytes => hash.update(&chunk[..n_bytes]),
        }
    }
}

/// Unpacks the builder into `folder` and runs it.
async fn write_archive(stand_in: StandIn, folder: &Path, archive: &Path) -> Result<(), BuildError> {
    for (path, contents) in stand_in.files() {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(stand_in.unusable(parent))?;
        }
        std::fs::write(&path, contents).map_err(stand_in.unusable(&path))?;
    }
    let log_path = folder.join("log");
    let log = std::fs::File::create(&log_path).map_err(stand_in.unusable(&log_path))?;
    let log_too = log.try_clone().map_err(stand_in.unusable(&log_path))?;
    let script = folder.join(stand_in.folder()).join("build.sh");
    let mut builder = Command::new("sh");
    if let Some(program) = stand_in.program()? {
        builder.env("SOUNDCHECK_PROGRAM", program);
    }
    let status = builder
        .arg(&script)
        .arg(archive)
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too)
        .kill_on_drop(true)
        .status()
        .await
        .map_err(stand_in.unusable(&script))?;
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&log_path).map_err(stand_in.unusable(&log_path))?;
    Err(BuildError::Builder {
        image: stand_in.image(),
        status,
        log: last_lines(&text),
    })
}

async fn import(daemon: &Daemon, stand_in: StandIn, archive: &Path, content_hash: &str) -> Result<(), BuildError> {
    let (repo, tag) = stand_in.image().split_once(':').unwrap_or((stand_in.image(), "latest"));
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(repo.to_owned()),
        tag: Some(tag.to_owned()),
        changes: stand_in.instructions(content_hash),
        ..CreateImageOptions::default()
    };
    let file = File::open(archive).await.map_err(stand_in.unusable(archive))?;
    let mut progress = Box::pin(
        daemon
            .api()
            .create_image(Some(options), Some(body_try_stream(chunks(file))), None),
    );
    while let Some(step) = progress.next().await {
        step.map_err(stand_in.failed("import"))?;
    }
    Ok(())
}

/// The file's contents, a piece at a time: an image does not fit every machine's memory.
fn chunks(file: File) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    const CHUNK_BYTES: usize = 256 * 1024;
    stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let n_bytes = file.read_buf(&mut chunk).await?;
        Ok((n_bytes > 0).then(|| (Bytes::from(chunk), file)))
    })
}

fn last_lines(text: &str) -> String {
    // Progress is drawn over one line with carriage returns.
    let lines: Vec<&str> = text
        .split(['\n', '\r'])
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(N_LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builder_has_a_script_and_instructions() {
        for stand_in in StandIn::ALL {
            let paths: Vec<_> = stand_in.files().iter().map(|(path, _)| *path).collect();
            assert!(paths.contains(&"lib.sh"), "{paths:?}");
            assert!(
                paths.contains(&format!("{}/build.sh", stand_in.folder()).as_str()),
                "{paths:?}"
            );
            assert!(
                stand_in.instructions("0").iter().any(|line| line.starts_with("CMD ")),
                "{stand_in:?}"
            );
            assert!(
                stand_in.image().starts_with("soundcheck/"),
                "an official name must not be taken"
            );
        }
    }

    #[test]
    fn every_file_of_a_builder_is_embedded() {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
        for stand_in in StandIn::ALL {
            let mut on_disk: Vec<String> = std::fs::read_dir(images.join(stand_in.folder()))
                .unwrap()
                .map(|entry| format!("{}/{}", stand_in.folder(), entry.unwrap().file_name().display()))
                .collect();
            on_disk.sort();
            let mut embedded: Vec<_> = stand_in.files()[1..]
                .iter()
                .map(|(path, _)| (*path).to_owned())
                .collect();
            embedded.sort();
            assert_eq!(embedded, on_disk);
        }
    }

    /// Who has built the tool anew gets its service, and not the one of before.
    #[test]
    fn the_image_of_this_program_is_another_when_the_program_is() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|text| {
            let path = folder.path().join(text);
            std::fs::write(&path, text).unwrap();
            let mut hash = Sha256::new();
            hash_file(&mut hash, &path).unwrap();
            hash.finalize()
        });
        assert_eq!(one, Sha256::digest("one"));
        assert_ne!(one, other);
        for stand_in in StandIn::ALL {
            let is_this = stand_in.program().unwrap() == Some(std::env::current_exe().unwrap());
            assert_eq!(is_this, stand_in == StandIn::Booking);
        }
    }

    #[test]
    fn a_log_is_cut_to_its_end() {
        let text = (0..40).map(|n| format!("line {n}\n")).collect::<String>();
        let end = last_lines(&text);
        assert_eq!(end.lines().count(), N_LOG_LINES);
        assert!(end.ends_with("line 39"));
        assert_eq!(last_lines("10%\r20%\rdone\n"), "10%\n20%\ndone");
    }
}
