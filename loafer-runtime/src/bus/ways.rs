//! Where topics lead: to the broker of the service, or to another one.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard},
};

use super::{erased::DynPublisher, requests::Requests};
use loafer_core::broker::Topic;

/// Where topics lead.
#[derive(Default)]
pub(crate) struct Ways {
    /// What the configuration says about topics, by the topic's name or by its form in environment variables.
    topics: OnceLock<HashMap<String, Way>>,
    /// The queues of the program's brokers, by the name of the instance: what stands before the `:` of `legacy:orders`.
    queues: RwLock<HashMap<String, Queues>>,
}

/// What the configuration says about one topic.
pub(crate) struct Way {
    /// The topic's name on its broker. `None` means the same name.
    pub(crate) name: Option<String>,
    /// The broker that the topic is on. `None` means the broker of the service.
    pub(crate) other_broker: Option<OtherBroker>,
}

/// A broker other than that of the service.
#[derive(Clone)]
pub(crate) struct OtherBroker {
    pub(crate) publisher: Arc<dyn DynPublisher>,
    /// Requests that wait for replies on that broker.
    pub(crate) requests: Arc<Requests>,
}

/// The queues of one broker, and whatever else a topic may name behind the broker's name and a colon.
#[derive(Clone)]
pub(crate) struct Queues {
    /// What the broker's publisher reads before the colon: its kind.
    pub(crate) kind: &'static str,
    /// The broker that they are on. `None` means the broker of the service.
    pub(crate) other_broker: Option<OtherBroker>,
}

impl Ways {
    /// Sets where topics lead, and the queues of brokers. Called once, when the program starts.
    pub(crate) fn lead(&self, topics: HashMap<String, Way>, queues: HashMap<String, Queues>) {
        _ = self.topics.set(topics);
        for (broker, queues) in queues {
            self.lead_to(&broker, queues);
        }
    }

    /// Sets where the queues of a broker are. What was known of it stays.
    pub(crate) fn lead_to(&self, broker: &str, queues: Queues) {
        let known = self.queues.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        known.entry(broker.to_owned()).or_insert(queues);
    }

    fn known(&self) -> RwLockReadGuard<'_, HashMap<String, Queues>> {
        let queues = self.queues.read();
        queues.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the broker whose queue this topic names (`legacy:orders`), and the queue. `None` if it names no queue of a broker.
    fn queue<'t>(&self, topic: &'t Topic) -> Option<(Queues, &'t str)> {
        let (broker, queue) = topic.as_str().split_once(':')?;
        Some((self.known().get(broker)?.clone(), queue))
    }

    /// Returns the broker that a topic leads to, and the topic's name there. `None` means the broker of the service.
    pub(super) fn resolve(&self, topic: &Topic) -> (Option<OtherBroker>, Topic) {
        if let Some(way) = self.way(topic) {
            let name = way.name.as_deref();
            let name = name.map_or_else(|| topic.clone(), Topic::from);
            return (way.other_broker.clone(), name);
        }
        match self.queue(topic) {
            Some((queues, address)) => {
                let topic = format!("{}:{address}", queues.kind);
                (queues.other_broker, Topic::from(topic))
            }
            None => (None, topic.clone()),
        }
    }

    /// Returns what the configuration says about this topic.
    fn way(&self, topic: &Topic) -> Option<&Way> {
        let topics = self.topics.get().filter(|topics| !topics.is_empty())?;
        let exact = topics.get(topic.as_str());
        exact.or_else(|| topics.get(&form(topic.as_str())))
    }

    /// Returns the brokers that topics lead to, other than that of the service. One may be among them several times.
    pub(super) fn others(&self) -> Vec<OtherBroker> {
        let topics = self.topics.get().into_iter().flat_map(HashMap::values);
        let of_topics = topics.filter_map(|way| way.other_broker.clone());
        let queues = self.known();
        let of_queues = queues
            .values()
            .filter_map(|queues| queues.other_broker.clone());
        of_topics.chain(of_queues).collect()
    }
}

/// Returns how a name is written in environment variables.
pub(crate) fn form(name: &str) -> String {
    name.to_uppercase().replace(['-', '.'], "_")
}
