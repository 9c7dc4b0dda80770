//! Topics, and the brokers they are published on: that of the service, or another that the configuration names.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    bus::{
        Bus, OtherBroker, Queues, Way, erased::DynPublisher, replier::ReplyPath, requests::Requests,
    },
    program::{
        App, BrokerKind, Config,
        instances::{Instance, Instances},
    },
};

/// The publishers of a program: one a broker.
#[derive(Default)]
pub(in crate::program) struct Publishers(Vec<(Instance, Arc<dyn DynPublisher>)>);

impl Publishers {
    /// That of this broker, made where there is none yet.
    pub(super) fn of(&mut self, instance: &Instance) -> Arc<dyn DynPublisher> {
        if let Some((_, publisher)) = self.find(instance) {
            return publisher.clone();
        }
        let publisher = instance.broker.publisher();
        self.0.push((instance.clone(), publisher.clone()));
        publisher
    }

    fn find(&self, instance: &Instance) -> Option<&(Instance, Arc<dyn DynPublisher>)> {
        self.0.iter().find(|(known, _)| known.name == instance.name)
    }

    /// That of the broker of the service: the first instance of the default kind, else the first instance that a route runs on, else that of
    /// the first route. So a route that moves to a second instance takes nothing else along.
    fn of_service(&self, wanted: Option<BrokerKind>) -> Option<(Instance, Arc<dyn DynPublisher>)> {
        let is_first = |of: &Instance| *of.name == *of.kind.name();
        let firsts = || self.0.iter().filter(|(of, _)| is_first(of));
        let default = firsts().find(|(of, _)| Some(of.kind) == wanted);
        default
            .or_else(|| firsts().next())
            .or(self.0.first())
            .cloned()
    }

    /// All of them, each with the name of its broker's instance.
    pub(in crate::program) fn all(&self) -> Vec<(Arc<str>, Arc<dyn DynPublisher>)> {
        let publishers = self.0.iter();
        publishers
            .map(|(instance, publisher)| (instance.name.clone(), publisher.clone()))
            .collect()
    }

    /// How replies get out on each broker.
    fn reply_paths(&self) -> Vec<ReplyPath> {
        let paths = self.0.iter();
        paths
            .map(|(instance, publisher)| reply_path(instance, publisher))
            .collect()
    }
}

fn reply_path(instance: &Instance, publisher: &Arc<dyn DynPublisher>) -> ReplyPath {
    let broker = instance.broker.clone();
    ReplyPath {
        broker: instance.name.clone(),
        topic: Arc::new(move |address| broker.reply_topic(address)),
        publisher: publisher.clone(),
    }
}

/// The brokers of topics that the configuration sends elsewhere, and what is wrong with what it says.
pub(super) fn brokers(
    app: &App,
    config: &Config,
    instances: &mut Instances,
) -> (BTreeMap<String, Instance>, Vec<String>) {
    let mut brokers = BTreeMap::new();
    let mut faults = Vec::new();
    for (topic, name) in config.topic_publishers() {
        if let Err(fault) = instances.check(name) {
            faults.push(format!("`publisher` of [topics.{topic}]: {fault}"));
            continue;
        }
        // What stands in for the brokers of all routes does so for those of topics.
        if app.provider.is_some() {
            continue;
        }
        // What is wrong with a broker is said once, and not of each topic.
        match instances.get(name) {
            Ok(instance) => _ = brokers.insert(topic.to_owned(), instance),
            Err(fault) => faults.push(fault),
        }
    }
    (brokers, faults)
}

/// Connects a bus: to the broker of the service, and to those of topics that go elsewhere.
pub(super) fn connect(
    bus: &Bus,
    app: &App,
    config: &Config,
    topics: &BTreeMap<String, Instance>,
    instances: &Instances,
    publishers: &mut Publishers,
) {
    let Some((default, publisher)) = publishers.of_service(app.default_provider) else {
        return;
    };
    bus.repliers().connect(publishers.reply_paths());
    let program = instances.app();
    bus.requests().connect(default.broker.replies(program));
    // One a broker, however many topics lead there.
    let mut others: BTreeMap<Arc<str>, OtherBroker> = BTreeMap::new();
    let mut other_broker = |instance: &Instance| -> Option<OtherBroker> {
        if instance.name == default.name {
            return None;
        }
        let other = others.entry(instance.name.clone()).or_insert_with(|| {
            let requests = Arc::<Requests>::default();
            requests.connect(instance.broker.replies(program));
            OtherBroker {
                publisher: publishers.of(instance),
                requests,
            }
        });
        Some(other.clone())
    };
    let of_topics = config.topics.iter().map(|(topic, options)| {
        let other = topics.get(topic);
        // In memory topics are called what the program calls them: that is what its routes hear.
        let renamed = !other.unwrap_or(&default).kind.stands_in();
        let way = Way {
            name: options.name.clone().filter(|_| renamed),
            other_broker: other.and_then(&mut other_broker),
        };
        (topic.clone(), way)
    });
    let ways: HashMap<_, _> = of_topics.collect();
    let queues = instances.used().map(|instance| {
        let queues = Queues {
            kind: instance.kind.name(),
            other_broker: other_broker(instance),
        };
        (instance.name.to_string(), queues)
    });
    let queues: HashMap<_, _> = queues.collect();
    bus.ways().lead(ways, queues);
    bus.connect(publisher);
}

/// Connects the bus to the broker of a route that is added to the program of this name, unless it was connected before.
pub(super) fn join(
    app: &App,
    instance: &Instance,
    program: Option<&str>,
    publishers: &mut Publishers,
) {
    let is_new = publishers.find(instance).is_none();
    let publisher = publishers.of(instance);
    // Known brokers without routes had no requests to answer.
    let path = reply_path(instance, &publisher);
    app.bus.repliers().connect([path]);
    if is_new {
        let requests = Arc::<Requests>::default();
        requests.connect(instance.broker.replies(program));
        let queues = Queues {
            kind: instance.kind.name(),
            other_broker: Some(OtherBroker {
                publisher,
                requests,
            }),
        };
        app.bus.ways().lead_to(&instance.name, queues);
    }
}
