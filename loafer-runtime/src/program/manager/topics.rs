//! Topics, and the brokers they are published on: that of the service, or another that the configuration names.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    bus::erased::DynPublisher,
    bus::replier::ReplyPath,
    bus::requests::Requests,
    bus::{Elsewhere, Way},
    program::erased::DynBroker,
    program::{App, BrokerKind, Config, Route},
};
use loafer_core::{broker::Broker, policy::unknown};
use loafer_memory::Memory;

/// A broker of a program, by its name, and its publisher.
type Exit = (&'static str, Arc<dyn DynBroker>, Arc<dyn DynPublisher>);

/// The publishers of a program: one a broker.
#[derive(Default)]
pub(super) struct Publishers(Vec<Exit>);

impl Publishers {
    /// That of this broker, made where there is none yet.
    pub(super) fn of(
        &mut self,
        name: &'static str,
        broker: &Arc<dyn DynBroker>,
    ) -> Arc<dyn DynPublisher> {
        if let Some((.., publisher)) = self.0.iter().find(|(known, ..)| *known == name) {
            return publisher.clone();
        }
        let publisher = broker.publisher();
        self.0.push((name, broker.clone(), publisher.clone()));
        publisher
    }

    /// How replies get out on each broker.
    fn reply_paths(&self) -> Vec<ReplyPath> {
        let path = |(name, broker, publisher): &Exit| {
            let broker = broker.clone();
            ReplyPath {
                broker: (*name).into(),
                topic: Arc::new(move |address| broker.reply_topic(address)),
                publisher: publisher.clone(),
            }
        };
        self.0.iter().map(path).collect()
    }

    pub(super) fn all(&self) -> Vec<Arc<dyn DynPublisher>> {
        let publishers = self.0.iter();
        publishers
            .map(|(.., publisher)| publisher.clone())
            .collect()
    }
}

/// The brokers of topics that the configuration sends elsewhere, and what is wrong with what it says.
pub(super) fn brokers(
    routes: &[Route],
    app: &App,
    config: &Config,
) -> (BTreeMap<String, BrokerKind>, Vec<String>) {
    let of_routes = routes.iter().map(|route| route.broker);
    let known = of_routes.chain(app.provider).chain(app.default_provider);
    let known: BTreeMap<&str, BrokerKind> = known
        .chain(app.known.iter().copied())
        .map(|kind| (kind.name, kind))
        .collect();
    let mut brokers = BTreeMap::new();
    let mut faults = Vec::new();
    for (topic, name) in config.topic_publishers() {
        match known.get(name) {
            // What stands in for the brokers of all routes does so for those of topics.
            Some(kind) if app.provider.is_none() => {
                brokers.insert(topic.to_owned(), *kind);
            }
            Some(_) => {}
            None => {
                let names: Vec<&str> = known.keys().copied().collect();
                let fault = unknown(name, &names, "", "broker");
                faults.push(format!("`publisher` of [topics.{topic}]: {fault}"));
            }
        }
    }
    (brokers, faults)
}

/// Connects the bus: to the broker of the service, and to those of topics that go elsewhere.
pub(super) fn connect(
    app: &App,
    config: &Config,
    topics: &BTreeMap<String, BrokerKind>,
    publishers: &mut Publishers,
) {
    let of_routes = publishers.0.iter();
    let wanted = app.default_provider.map(|kind| kind.name);
    let default = of_routes.clone().find(|(name, ..)| Some(*name) == wanted);
    let Some((default, broker, publisher)) = default.or(publishers.0.first()).cloned() else {
        return;
    };
    app.bus.repliers().connect(publishers.reply_paths());
    let program = config.app.as_deref().or(app.name.as_deref());
    app.bus.requests().connect(broker.replies(program));
    // One a broker, however many topics lead there.
    let mut others: BTreeMap<&'static str, Elsewhere> = BTreeMap::new();
    let of_topics = config.topics.iter().map(|(topic, options)| {
        let other = topics.get(topic);
        // In memory topics are called what the program calls them: that is what its routes hear.
        let renamed = other.map_or(default, |kind| kind.name) != Memory::KIND;
        let elsewhere = other.map(|kind| {
            let other = others.entry(kind.name).or_insert_with(|| {
                let broker = app.broker_of(*kind);
                let requests = Arc::<Requests>::default();
                requests.connect(broker.replies(program));
                let publisher = publishers.of(kind.name, &broker);
                Elsewhere {
                    publisher,
                    requests,
                }
            });
            other.clone()
        });
        let way = Way {
            name: options.name.clone().filter(|_| renamed),
            elsewhere,
        };
        (topic.clone(), way)
    });
    let ways: HashMap<_, _> = of_topics.collect();
    app.bus.lead(ways);
    app.bus.connect(publisher);
}
