//! Configuration: `loafer.toml`, and the environment that outranks it.

mod environment;
mod keys;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use toml::Table;

use crate::program::RouteOptions;
use loafer_core::{Error, broker::Settings, policy::parse_duration, translate::location};

/// The file that is read where no other is named, in the working directory.
const FILE: &str = "loafer.toml";

/// What whoever operates a service says of it: `loafer.toml`, then the environment.
///
/// ```
/// # use loafer::{Error, program::Config};
/// # fn main() -> Result<(), Error> {
/// let file = r#"
///     drain = "20s"
///
///     [routes.friend-created]
///     queue = "foobar-friend-created"
/// "#;
/// let environment = [("LOAFER_ROUTES__FRIEND_CREATED__CONCURRENCY".to_owned(), "50".to_owned())];
/// let config = Config::parse(file, environment, &["friend-created"])?;
/// # Ok(())
/// # }
/// ```
// Unknown keys are found before, by `keys`; sections of brokers are left to these.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Names what is made for this service.
    pub(crate) app: Option<String>,
    #[serde(deserialize_with = "drain")]
    pub(crate) drain: Option<Duration>,
    /// Whether bodies may be logged: development only.
    pub(crate) log_bodies: Option<bool>,
    /// Whether dead letters say their reason in words.
    pub(crate) dead_letter_reasons: Option<bool>,
    /// The most bytes of a payload that was unpacked.
    pub(crate) max_unpacked_bytes: Option<usize>,
    pub(crate) routes: BTreeMap<String, RouteOptions>,
    pub(crate) topics: BTreeMap<String, TopicOptions>,
    /// What is said of each broker instance, by its name; it reads that itself.
    #[serde(skip)]
    pub(crate) brokers: BTreeMap<String, BrokerSection>,
}

/// What the configuration says of one broker instance.
#[derive(Clone, Debug)]
pub(crate) struct BrokerSection {
    /// Its kind, where its name does not say.
    pub(crate) kind: Option<String>,
    pub(crate) settings: Settings,
}

/// What can be set of a topic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicOptions {
    /// What the broker calls it; names differ from one environment to another.
    pub(crate) name: Option<String>,
    /// The broker it is published on, where it is another than the service's.
    pub(crate) publisher: Option<String>,
}

impl Config {
    /// Reads this file, or `loafer.toml` where there is one, and the environment, for a program with these routes.
    ///
    /// # Errors
    ///
    /// Where the file that was named can't be read, or something in either is unknown or not what it should be: with the place, and the nearest known name.
    pub fn load(file: Option<&Path>, routes: &[&str]) -> Result<Self, Error> {
        let path = file.map_or_else(|| PathBuf::from(FILE), Path::to_path_buf);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                String::new()
            }
            Err(error) => {
                return Err(Error::Config(format!(
                    "the configuration `{}` can't be read: {error}",
                    path.display()
                )));
            }
        };
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::read(&text, &path.display().to_string(), environment, routes)
    }

    /// The same from a text and an environment given by hand.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse(
        file: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        routes: &[&str],
    ) -> Result<Self, Error> {
        Self::read(file, FILE, environment, routes)
    }

    fn read(
        text: &str,
        name: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        routes: &[&str],
    ) -> Result<Self, Error> {
        let fault = |what: String| Error::Config(format!("`{name}`: {what}"));
        let mut table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| fault(syntax(text, &error)))?;
        keys::check(&table, routes).map_err(fault)?;
        // Deserialized once before the environment has its say, so that a wrong value is told with its place in the file.
        toml::from_str::<Self>(text).map_err(|error| fault(misfit(text, &error)))?;
        keys::same_names(&mut table);
        environment::overlay(&mut table, environment, routes)?;
        let brokers = keys::brokers(&mut table)?;
        let config: Self = serde_path_to_error::deserialize(table).map_err(|error| {
            Error::Config(format!(
                "a variable `LOAFER_…` of the environment has a wrong value{}: {}",
                location(error.path()),
                error.inner().message()
            ))
        })?;
        if config
            .app
            .as_deref()
            .is_some_and(|app| app.trim().is_empty())
        {
            return Err(Error::Config(
                "`app` is empty: queues are named after it, so name the app, or leave it out to call it as its package is called"
                    .to_owned(),
            ));
        }
        Ok(Self { brokers, ..config })
    }

    /// What the configuration calls topics, by what the program calls them, or by how the environment writes that.
    pub(crate) fn topic_names(&self) -> impl Iterator<Item = (String, String)> {
        self.topics
            .iter()
            .filter_map(|(topic, options)| Some((topic.clone(), options.name.clone()?)))
    }

    /// The brokers that topics are published on by name, by the topics.
    pub(crate) fn topic_publishers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.topics
            .iter()
            .filter_map(|(topic, options)| Some((topic.as_str(), options.publisher.as_deref()?)))
    }

    /// Sets how much time running handlers get at shutdown: the command line outranks the rest.
    #[must_use]
    pub fn with_drain(mut self, drain: Option<Duration>) -> Self {
        self.drain = drain.or(self.drain);
        self
    }

    /// Sets whether bodies are logged, unless the configuration says so.
    #[must_use]
    pub fn with_log_bodies_by_default(mut self, log_bodies: bool) -> Self {
        self.log_bodies.get_or_insert(log_bodies);
        self
    }
}

/// What does not fit, and where, with its line; but for a line that has options of a broker besides, which may be secret.
fn misfit(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let before = before.rsplit('\n').next();
    let line = before.into_iter().chain(after.lines().next());
    match line.collect::<String>().contains("options") {
        true => syntax(text, error),
        false => error.to_string(),
    }
}

/// What is wrong with the file, and where. Its line is not shown: it may hold a broker's password.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {}", error.message())
}

fn drain<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}
