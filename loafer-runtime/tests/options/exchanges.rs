//! Memory as a broker that has exchanges, and settings of its own.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use loafer_core::{
    Error,
    broker::{Broker, Instance, NoOptions, Replies, Source, Topic},
    policy::Names,
    translate::Json,
};
use loafer_memory::{Memory, MemoryProvider, MemoryPublisher};
use loafer_runtime::{
    program::{App, BrokerKind, Config, Manager, Route, RouteOptions},
    testing,
    testing::TestBuilder,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

thread_local! {
    /// Those that the program of this test configured, by the names of their instances: a broker that only the configuration names is made by
    /// the program.
    static CONFIGURED: RefCell<BTreeMap<String, Exchanges>> = RefCell::default();
}

/// The broker of this name, as the program of this test configured it.
pub(crate) fn configured(name: &str) -> Option<Exchanges> {
    CONFIGURED.with_borrow(|known| known.get(name).cloned())
}

/// A broker, and what it was told.
#[derive(Clone, Default)]
pub(crate) struct Exchanges {
    pub(crate) memory: Memory,
    pub(crate) link: Arc<Mutex<Link>>,
    pub(crate) app: Arc<Mutex<Option<String>>>,
    /// Whether it is the first of its kind, each time it was configured.
    pub(crate) is_first: Arc<Mutex<Vec<bool>>>,
    pub(crate) sources: Arc<Mutex<Vec<(Source, Options)>>>,
}

/// What a route may set.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exchange: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) binding: Option<Names>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue_type: Option<QueueType>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) arguments: BTreeMap<String, Argument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) declare: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<u8>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueueType {
    Quorum,
    Classic,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged, expecting = "true, false, a whole number or a text")]
pub(crate) enum Argument {
    Bool(bool),
    Int(i64),
    String(String),
}

impl Options {
    pub(crate) fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.exchange = Some(exchange.into());
        self
    }

    pub(crate) fn binding(mut self, binding: impl Into<Names>) -> Self {
        self.binding = Some(binding.into());
        self
    }

    pub(crate) fn argument(mut self, name: &str, value: i64) -> Self {
        self.arguments.insert(name.to_owned(), Argument::Int(value));
        self
    }
}

/// What the configuration may say of one.
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

/// What quotes what it was given when that is wrong.
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
    type Options = Options;
    const KIND: &'static str = "ex-changes";

    fn queue_name(route: &str, consumer: Option<&str>) -> String {
        format!("{}.{route}", consumer.unwrap_or("nobody"))
    }

    fn configure(&mut self, instance: &Instance<'_>) -> Result<(), Error> {
        if let Some(settings) = instance.settings() {
            *self.link.lock().unwrap() = settings.read()?;
        }
        *self.app.lock().unwrap() = instance.app().map(str::to_owned);
        self.is_first.lock().unwrap().push(instance.is_first());
        let name = instance.name().to_owned();
        CONFIGURED.with_borrow_mut(|known| known.insert(name, self.clone()));
        Ok(())
    }

    fn provider(&self, source: &Source, options: &Options) -> Result<MemoryProvider, Error> {
        if options.binding.as_ref().is_some_and(Names::is_blank) {
            return Err(Error::Config(
                "`binding` names no routing key, or an empty one".to_owned(),
            ));
        }
        let told = (source.clone(), options.clone());
        self.sources.lock().unwrap().push(told);
        self.memory.provider(source, &NoOptions {})
    }

    fn publisher(&self) -> MemoryPublisher {
        self.memory.publisher()
    }

    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        self.memory.replies(app)
    }

    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        self.memory.reply_topic(address)
    }
}

/// Memory by another name, that takes no options and no settings.
#[derive(Clone, Default)]
pub(crate) struct Plain(pub(crate) Memory);

impl Broker for Plain {
    type Provider = MemoryProvider;
    type Publisher = MemoryPublisher;
    type Options = NoOptions;
    const KIND: &'static str = "plain";

    fn provider(&self, source: &Source, options: &NoOptions) -> Result<MemoryProvider, Error> {
        self.0.provider(source, options)
    }

    fn publisher(&self) -> MemoryPublisher {
        self.0.publisher()
    }
}

/// An app for which memory stands in.
pub(crate) fn in_memory() -> App {
    let memory = BrokerKind::of::<Memory>();
    App::new().brokers([memory]).provider("memory")
}

/// A test's service of these routes: memory stands in for their broker.
pub(crate) fn in_kit(routes: Vec<Route>) -> TestBuilder {
    let kit = testing::app();
    routes.into_iter().fold(kit, |all, one| all.route(one))
}

/// Options of a route with these of its broker.
pub(crate) fn of_broker(options: Options) -> RouteOptions {
    RouteOptions::new().broker_options::<Exchanges>(options)
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

/// Why these routes can't be planned.
pub(crate) fn fault(
    app: App,
    file: &str,
    environment: &[(&str, &str)],
    routes: Vec<Route>,
) -> String {
    let planned = plan(app, file, environment, routes);
    planned.unwrap_err().to_string()
}
