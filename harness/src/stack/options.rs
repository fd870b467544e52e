//! What a caller may ask of a stack, and what it is told meanwhile.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::component::{Component, StackKind};
use super::ports::Ports;
use crate::units::Bytes;

/// Which stack was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum StackChoice {
    /// Containers where a daemon answers and has (or soon gets) the images, else embedded.
    #[default]
    Auto,
    /// MySQL, Redis and Kafka in containers.
    Containers,
    /// Servers that run already, by their URLs.
    External,
    /// SQLite and a mock broker: nothing needs to be installed.
    Embedded,
}

/// Images by name, where the defaults are not wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageOverrides {
    pub mysql: Option<String>,
    pub redis: Option<String>,
    pub kafka: Option<String>,
}

/// `mysql=IMAGE`, as typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageOverride {
    pub component: Component,
    pub image: String,
}

/// The text names no component's image.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` names no image; expected mysql=IMAGE, redis=IMAGE or kafka=IMAGE")]
pub struct ImageOverrideError(String);

impl FromStr for ImageOverride {
    type Err = ImageOverrideError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ImageOverrideError(text.to_owned());
        let (name, image) = text.split_once('=').ok_or_else(error)?;
        let component = Component::ALL
            .into_iter()
            .find(|component| component.name() == name)
            .ok_or_else(error)?;
        if image.is_empty() {
            return Err(error());
        }
        Ok(Self {
            component,
            image: image.to_owned(),
        })
    }
}

impl ImageOverrides {
    /// What was typed; beneath it SOUNDCHECK_MYSQL_IMAGE, SOUNDCHECK_REDIS_IMAGE and SOUNDCHECK_KAFKA_IMAGE.
    pub fn new(typed: &[ImageOverride], env: impl Fn(&str) -> Option<String>) -> Self {
        let choose = |component: Component| {
            let from_env = || env(&format!("SOUNDCHECK_{}_IMAGE", component.name().to_uppercase()));
            let typed = typed
                .iter()
                .rev()
                .find(|one| one.component == component)
                .map(|one| one.image.clone());
            typed.or_else(from_env).filter(|image| !image.is_empty())
        };
        Self {
            mysql: choose(Component::Database),
            redis: choose(Component::Redis),
            kafka: choose(Component::Kafka),
        }
    }

    /// The image asked for, if any.
    pub fn get(&self, component: Component) -> Option<&str> {
        match component {
            Component::Database => self.mysql.as_deref(),
            Component::Redis => self.redis.as_deref(),
            Component::Kafka => self.kafka.as_deref(),
        }
    }
}

/// The addresses of an external stack.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ExternalUrls {
    pub mysql: Option<String>,
    pub redis: Option<String>,
    pub kafka: Option<String>,
}

impl ExternalUrls {
    /// What was given; where nothing was, the servers of `docker-compose.yml`. Of several servers none is guessed, since
    /// somebody's database beside a broker of this machine would be a stack that nobody meant.
    #[must_use]
    pub fn or_of_compose(self, env: impl Fn(&str) -> Option<String>) -> Self {
        if self == Self::default() {
            Self::of_compose(env)
        } else {
            self
        }
    }

    /// The servers of `docker-compose.yml`, on the ports that its variables give them.
    pub fn of_compose(env: impl Fn(&str) -> Option<String>) -> Self {
        let address = |component: Component, usual: &str| {
            let port = env(&format!("SOUNDCHECK_{}_PORT", component.name().to_uppercase()));
            let port = port.filter(|port| !port.is_empty());
            format!("127.0.0.1:{}", port.as_deref().unwrap_or(usual))
        };
        Self {
            mysql: Some(format!("mysql://root@{}", address(Component::Database, "3306"))),
            redis: Some(format!("redis://{}", address(Component::Redis, "6379"))),
            kafka: Some(address(Component::Kafka, "9092")),
        }
    }
}

impl fmt::Debug for ExternalUrls {
    /// The URLs may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |url: &Option<String>| url.as_deref().map(super::component::without_password);
        f.debug_struct("ExternalUrls")
            .field("mysql", &masked(&self.mysql))
            .field("redis", &masked(&self.redis))
            .field("kafka", &masked(&self.kafka))
            .finish()
    }
}

/// What is told while a stack comes up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StackEvent {
    /// Which kind, and why, when it was left open.
    Chosen { kind: StackKind, why: String },
    /// Containers that a dead run had left were removed.
    Swept { names: Vec<String> },
    /// An image is not local.
    Pulling { component: Component, image: String },
    /// How much of it has arrived, of what is known to come; more may become known.
    Fetched {
        component: Component,
        fetched: Bytes,
        known: Bytes,
    },
    /// It is local now.
    Pulled {
        component: Component,
        image: String,
        took: Duration,
    },
    /// A component is starting, or being probed.
    Starting { component: Component, what: String },
    /// It answers.
    Ready { component: Component, took: Duration },
}

impl fmt::Display for StackEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen { kind, why } => write!(f, "stack {kind}: {why}"),
            Self::Swept { names } => write!(f, "removed what a dead run had left: {}", names.join(", ")),
            Self::Pulling { component, image } => write!(f, "{component}: pulling {image}"),
            Self::Fetched {
                component,
                fetched,
                known,
            } => {
                let megabytes = |bytes: &Bytes| bytes.0 as f64 / 1e6;
                let (fetched, known) = (megabytes(fetched), megabytes(known));
                write!(f, "{component}: {fetched:.1} MB of {known:.1} MB pulled")
            }
            Self::Pulled { component, image, took } => {
                write!(f, "{component}: pulled {image} after {:.1} s", took.as_secs_f64())
            }
            Self::Starting { component, what } => write!(f, "{component}: starting {what}"),
            Self::Ready { component, took } => write!(f, "{component}: ready after {:.1} s", took.as_secs_f64()),
        }
    }
}

/// Is told what happens.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&StackEvent) + Send + Sync>);

impl Observer {
    /// Calls `tell` for every event, from any thread.
    pub fn new(tell: impl Fn(&StackEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, event: &StackEvent) {
        (self.0)(event);
    }
}

impl Default for Observer {
    /// Logs what happens.
    fn default() -> Self {
        Self::new(|event| tracing::info!("{event}"))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// Everything that decides what a stack becomes.
#[derive(Clone, Debug)]
pub struct StackOptions {
    pub choice: StackChoice,
    /// Components to start; the endpoints of others are missing. An index experiment needs no broker.
    pub components: Vec<Component>,
    pub images: ImageOverrides,
    pub external: ExternalUrls,
    /// The address at which the service is to find the broker, when a proxy stands in front. It must be bound already.
    pub kafka_advertised: Option<SocketAddr>,
    /// Host ports of containers.
    pub ports: Ports,
    /// This tool's program, for the watchdog.
    pub program: PathBuf,
    pub observer: Observer,
}

impl StackOptions {
    /// Everything by default, with images and URLs from the environment.
    ///
    /// # Errors
    /// The running program's path is not to be had.
    pub fn from_env(choice: StackChoice) -> std::io::Result<Self> {
        let env = |name: &str| std::env::var(name).ok();
        Ok(Self {
            choice,
            components: Component::ALL.to_vec(),
            images: ImageOverrides::new(&[], env),
            external: ExternalUrls {
                mysql: env("SOUNDCHECK_MYSQL_URL"),
                redis: env("SOUNDCHECK_REDIS_URL"),
                kafka: env("SOUNDCHECK_KAFKA_BROKERS"),
            }
            .or_of_compose(env),
            kafka_advertised: None,
            ports: Ports::default(),
            program: crate::watchdog::handle::this_program()?,
            observer: Observer::default(),
        })
    }

    pub(super) fn wants(&self, component: Component) -> bool {
        self.components.contains(&component)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_comes_before_the_environment() {
        let typed = ["mysql=a", "mysql=b:1"].map(|text| text.parse().unwrap());
        let env = |name: &str| Some(format!("env-{name}"));
        let images = ImageOverrides::new(&typed, env);
        assert_eq!(images.get(Component::Database), Some("b:1"));
        assert_eq!(images.get(Component::Redis), Some("env-SOUNDCHECK_REDIS_IMAGE"));
        assert_eq!(
            ImageOverrides::new(&[], |_| Some(String::new())),
            ImageOverrides::default()
        );
    }

    #[test]
    fn what_names_no_image_is_refused() {
        for text in ["mysql", "mysql=", "postgres=a", "=a"] {
            let error = text.parse::<ImageOverride>().unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("mysql=IMAGE"), "{error}");
        }
    }

    #[test]
    fn without_any_address_the_servers_of_compose_are_meant_and_otherwise_none_is_guessed() {
        let of = |urls: ExternalUrls| [urls.mysql, urls.redis, urls.kafka].map(|url| url.unwrap_or_default());
        let usual = ExternalUrls::default().or_of_compose(|_| None);
        let expected = [
            "mysql://root@127.0.0.1:3306",
            "redis://127.0.0.1:6379",
            "127.0.0.1:9092",
        ];
        assert_eq!(of(usual), expected);

        let env = |name: &str| match name {
            "SOUNDCHECK_MYSQL_PORT" => Some("3307".to_owned()),
            "SOUNDCHECK_KAFKA_PORT" => Some(String::new()),
            _ => None,
        };
        let elsewhere = of(ExternalUrls::default().or_of_compose(env));
        assert_eq!(elsewhere, ["mysql://root@127.0.0.1:3307", expected[1], expected[2]]);

        let one = ExternalUrls {
            redis: Some("redis://h".into()),
            ..ExternalUrls::default()
        };
        assert_eq!(one.clone().or_of_compose(|_| None), one);
    }

    #[test]
    fn passwords_of_urls_are_not_printed() {
        let urls = ExternalUrls {
            mysql: Some("mysql://u:geheim@h".into()),
            ..ExternalUrls::default()
        };
        assert!(!format!("{urls:?}").contains("geheim"));
    }
}
