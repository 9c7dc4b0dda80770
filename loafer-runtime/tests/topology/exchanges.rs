//! Memory as a broker that has exchanges, and settings of its own.

use std::sync::{Arc, Mutex};

use loafer_core::{
    Error,
    broker::{Broker, Settings, Source},
    translate::Json,
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher};
use loafer_runtime::{
    program::{App, Config, Manager, Route, RouteOptions},
    testing,
    testing::TestBuilder,
};
use serde::Deserialize;
use serde_json::Value;

/// What it was told.
#[derive(Clone, Default)]
pub(crate) struct Exchanges {
    pub(crate) memory: Memory,
    pub(crate) link: Arc<Mutex<Link>>,
    pub(crate) app: Arc<Mutex<Option<String>>>,
    pub(crate) sources: Arc<Mutex<Vec<Source>>>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Link {
    pub(crate) url: Option<Url>,
    pub(crate) port: u16,
    pub(crate) tls: Option<bool>,
    pub(crate) share: f64,
    pub(crate) mode: Mode,
    pub(crate) peers: Vec<String>,
    pub(crate) login: Login,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    #[default]
    Plain,
    Scram,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// What says what it was given, where it is wrong.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Url(pub(crate) String);

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(url: String) -> Result<Self, String> {
        if url.starts_with("link://") {
            Ok(Self(url))
        } else {
            Err(format!("{url:?} is no address: write link://HOST"))
        }
    }
}

impl Broker for Exchanges {
    type Provider = MemoryProvider;
    type Publisher = MemoryPublisher;
    const KIND: &'static str = "ex-changes";
    const TOPOLOGY: bool = true;

    fn queue_name(route: &str, app: Option<&str>) -> String {
        format!("{}.{route}", app.unwrap_or("nobody"))
    }

    fn configure(&mut self, settings: Option<&Settings>, app: Option<&str>) -> Result<(), Error> {
        if let Some(settings) = settings {
            *self.link.lock().unwrap() = settings.read()?;
        }
        *self.app.lock().unwrap() = app.map(str::to_owned);
        Ok(())
    }

    fn provider(&self, source: &Source) -> Result<MemoryProvider, Error> {
        self.sources.lock().unwrap().push(source.clone());
        self.memory.provider(source)
    }

    fn publisher(&self) -> MemoryPublisher {
        self.memory.publisher()
    }
}

/// A test's service of these routes: memory stands in for their broker.
pub(crate) fn in_kit(routes: Vec<Route>) -> TestBuilder {
    let kit = testing::app();
    routes.into_iter().fold(kit, |all, one| all.route(one))
}

/// A route that acks all.
pub(crate) fn route(name: &'static str, options: RouteOptions) -> Route {
    Route::new(name)
        .provider::<Exchanges>()
        .options(options)
        .handler(Json, async |_: Value| true)
}

pub(crate) fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The manager of these routes.
pub(crate) fn plan(
    app: App,
    file: &str,
    environment: &[(&str, &str)],
    routes: Vec<Route>,
) -> Result<Manager, Error> {
    let names: Vec<String> = routes.iter().map(|route| route.name().to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let config = Config::parse(file, variables(environment), &names)?;
    let manager = Manager::builder().app(app).config(config);
    let manager = routes.into_iter().fold(manager, |all, one| all.route(one));
    manager.build()
}
