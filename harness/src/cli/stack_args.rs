//! Options that every subcommand with a stack has.

use crate::stack::options::{ExternalUrls, ImageOverride, ImageOverrides};
use crate::stack::{Observer, StackChoice, StackOptions};

/// Which stack, and from what.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Stack")]
pub struct StackArgs {
    /// Where MySQL, Redis and Kafka come from.
    #[arg(long, value_enum, default_value_t, env = "SOUNDCHECK_STACK")]
    pub stack: StackChoice,

    /// An image to use, as mysql=IMAGE, redis=IMAGE or kafka=IMAGE [env: SOUNDCHECK_MYSQL_IMAGE, …].
    #[arg(long = "image", value_name = "COMPONENT=IMAGE")]
    pub images: Vec<ImageOverride>,

    /// With --stack external: `mysql://USER[:PASSWORD]@HOST:PORT`. Without any of the three addresses, the servers of
    /// docker-compose.yml are used.
    #[arg(long, value_name = "URL", env = "SOUNDCHECK_MYSQL_URL", hide_env_values = true)]
    pub mysql: Option<String>,

    /// With --stack external: redis://HOST:PORT.
    #[arg(long, value_name = "URL", env = "SOUNDCHECK_REDIS_URL", hide_env_values = true)]
    pub redis: Option<String>,

    /// With --stack external: HOST:PORT, or several with commas.
    #[arg(long, value_name = "BROKERS", env = "SOUNDCHECK_KAFKA_BROKERS")]
    pub kafka: Option<String>,
}

impl StackArgs {
    /// What was typed, as options of a stack with every component.
    ///
    /// # Errors
    /// The running program's path is not to be had.
    pub fn options(&self, observer: Observer) -> std::io::Result<StackOptions> {
        Ok(StackOptions {
            choice: self.stack,
            images: ImageOverrides::new(&self.images, |name| std::env::var(name).ok()),
            external: self.external(),
            observer,
            ..StackOptions::from_env(self.stack)?
        })
    }

    /// The servers of an external stack.
    pub(super) fn external(&self) -> ExternalUrls {
        let typed = ExternalUrls {
            mysql: self.mysql.clone(),
            redis: self.redis.clone(),
            kafka: self.kafka.clone(),
        };
        typed.or_of_compose(|name| std::env::var(name).ok())
    }
}
