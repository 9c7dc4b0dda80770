//! What a provider is made from.

use std::time::Duration;

use crate::policy::Topology;

/// What a route asks of its broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Source {
    /// The route's name.
    pub route: String,
    /// The queue, by name or by the broker's own address of it.
    pub queue: String,
    /// Whether somebody gave the queue this name; else it is the broker's [`queue_name`](Broker::queue_name).
    pub named: bool,
    /// The lease; none: the queue's own.
    pub visibility_timeout: Option<Duration>,
    /// The topic of the route's name, as the broker calls it.
    pub topic: String,
    /// The route's translator, as `Json` or `Sns`; empty where that is not known.
    pub translator: String,
    /// The app's name, where it has one.
    pub app: Option<String>,
    /// Where the queue hangs, on a broker that has exchanges.
    pub topology: Topology,
}

impl Source {
    /// A source with the queue's own lease, and a topic that is named as the route is.
    pub fn new(route: impl Into<String>, queue: impl Into<String>) -> Self {
        let route = route.into();
        Self {
            topic: route.clone(),
            translator: String::new(),
            route,
            queue: queue.into(),
            named: true,
            visibility_timeout: None,
            app: None,
            topology: Topology::default(),
        }
    }
}
