//! What a provider is made from.

use crate::policy::Policy;

/// What a route asks of its broker: all that a provider may need to know of the route.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Source {
    /// The route's name.
    pub route: String,
    /// The queue, by name or by the broker's own address of it.
    pub queue: String,
    /// Whether somebody gave the queue this name. If not, it is the broker's [`queue_name`](crate::broker::Broker::queue_name).
    pub named: bool,
    /// The topics that the queue receives, as the broker calls them. Each may be a pattern: `*` is one word, `#` any number of words.
    pub topics: Vec<String>,
    /// Whose queue it is among all who receive the topics: the route's `consumer`, else the app's name. `None` if neither is known.
    pub consumer: Option<String>,
    /// The route's translator, for example `Json` or `Sns`; empty if that is not known.
    pub translator: String,
    /// How the route behaves: its lease, its attempts, its groups, its limits.
    pub policy: Policy,
}

impl Source {
    /// Returns a source with the default policy, that receives the topic of the route's name.
    pub fn new(route: impl Into<String>, queue: impl Into<String>) -> Self {
        let (route, queue) = (route.into(), queue.into());
        let mut policy = Policy::new(&*route);
        policy.queue.clone_from(&queue);
        Self {
            topics: vec![route.clone()],
            translator: String::new(),
            route,
            queue,
            named: true,
            consumer: None,
            policy,
        }
    }
}
