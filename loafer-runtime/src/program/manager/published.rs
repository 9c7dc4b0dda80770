//! The topics that a program publishes to: found, and made.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;

use super::{
    Manager,
    plan::combined,
    topics::{self, Publishers},
};
use crate::{
    bus::{Bus, erased::DynPublisher, form},
    program::Config,
};
use loafer_core::{
    Error,
    broker::{Finding, Level, Open, Topic},
};

/// The handlers that publish to each topic, as the program calls it. None of them means that the configuration alone names the topic.
type Named<'m> = BTreeMap<&'m str, Vec<String>>;

/// The topics that a program publishes to.
pub(super) struct Published {
    of_publishers: Vec<OfPublisher>,
    /// What may be done about topics that are missing.
    open: Open,
}

/// The topics of one publisher.
struct OfPublisher {
    publisher: Arc<dyn DynPublisher>,
    topics: Vec<Topic>,
    /// Who publishes to each of the topics.
    handlers: Vec<Vec<String>>,
}

impl Published {
    /// Makes the topics that are missing, as the manager may.
    ///
    /// # Errors
    ///
    /// If one is missing and can't be made. The error says all of them at once.
    pub(super) async fn make(&self) -> Result<(), Error> {
        let found = self.check().await.into_iter();
        let problems = found.filter(|finding| finding.level == Level::Problem);
        combined(problems.map(|finding| finding.text).collect()).map_or(Ok(()), Err)
    }

    /// Returns the rights that publishing to the topics needs, for each publisher that has a form for them.
    pub(super) fn rights(&self) -> Vec<serde_json::Value> {
        let of_publishers = self.of_publishers.iter();
        of_publishers
            .filter_map(|of| of.publisher.rights(&of.topics))
            .collect()
    }

    /// Looks at the topics, and makes what is missing if the manager may.
    pub(super) async fn check(&self) -> Vec<Finding> {
        let found = join_all(self.of_publishers.iter().map(async |of| {
            let found = of.publisher.check(&of.topics, self.open).await;
            let of_topics = of.topics.iter().zip(&of.handlers);
            let told = found.into_iter().zip(of_topics);
            told.map(|(finding, (topic, handlers))| of.told(&finding, topic, handlers))
                .collect::<Vec<_>>()
        }));
        found.await.into_iter().flatten().collect()
    }
}

/// Finds the topics of a program, and their publishers.
pub(super) fn published(manager: &Manager) -> Published {
    // The bus of the app is connected when the program starts, and only once.
    let bus = Bus::default();
    let mut publishers = Publishers::default();
    for plan in &manager.plans {
        publishers.of(&plan.instance);
    }
    topics::connect(
        &bus,
        &manager.app,
        &manager.config,
        &manager.topics,
        &manager.instances,
        &mut publishers,
    );
    let mut all: Vec<OfPublisher> = Vec::new();
    for (topic, handlers) in named(manager) {
        let Some((publisher, topic)) = bus.target(&Topic::from(topic)) else {
            continue;
        };
        let same =
            |of: &OfPublisher| std::ptr::addr_eq(&raw const *of.publisher, &raw const *publisher);
        let at = all.iter().position(same).unwrap_or_else(|| {
            all.push(OfPublisher {
                publisher,
                topics: Vec::new(),
                handlers: Vec::new(),
            });
            all.len() - 1
        });
        // Two names in the program may be one topic on its broker.
        if !all[at].topics.contains(&topic) {
            all[at].topics.push(topic);
            all[at].handlers.push(handlers);
        }
    }
    Published {
        of_publishers: all,
        open: manager.open,
    }
}

impl OfPublisher {
    /// Adds who publishes, and to what works also what it can carry.
    fn told(&self, finding: &Finding, topic: &Topic, handlers: &[String]) -> Finding {
        let handlers: Vec<_> = handlers.iter().map(|name| format!("`{name}`")).collect();
        let by = match handlers.as_slice() {
            [] => "named by the configuration".to_owned(),
            handlers => format!("published to by {}", handlers.join(", ")),
        };
        let text = match finding.level {
            Level::Good => format!(
                "{}; {by}; it carries: {}",
                finding.text,
                self.publisher.capabilities(topic)
            ),
            Level::Warning | Level::Problem => format!("{}; it is {by}", finding.text),
        };
        Finding {
            text,
            level: finding.level,
        }
    }
}

/// Returns the topics that handlers publish to, and those that the configuration names.
fn named(manager: &Manager) -> Named<'_> {
    let mut named = Named::new();
    for planned in manager.plans.iter().flat_map(|plan| &plan.handlers) {
        for topic in &planned.route.publishes {
            let handlers = named.entry(&**topic).or_default();
            let handler = planned.route.handler.as_ref();
            if !handlers.iter().any(|known| known == handler) {
                handlers.push(handler.to_owned());
            }
        }
    }
    for topic in configured(&manager.config, &named) {
        named.insert(topic, Vec::new());
    }
    named
}

/// Returns the topics of the configuration that no handler names. The environment may name a topic by its form alone.
fn configured<'m>(config: &'m Config, named: &Named<'_>) -> Vec<&'m str> {
    let forms: Vec<String> = named.keys().map(|topic| form(topic)).collect();
    let known = |topic: &str| forms.contains(&form(topic));
    let topics = config.topics.keys().map(String::as_str);
    topics.filter(|topic| !known(topic)).collect()
}
