//! The source of a route: what a provider is made from.

use crate::policy::Policy;

/// What a route asks of its broker: all that a provider may need to know of the route.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Source {
    /// The name of the route.
    pub route: String,
    /// The queue: a name, or an address in the broker's own form.
    pub queue: String,
    /// Whether the attribute or the configuration names the queue. If `false`, the name is that of
    /// [`Broker::queue_name`](crate::broker::Broker::queue_name).
    pub named: bool,
    /// The topics that the queue is subscribed to, by their names on the broker. Each may be a pattern: `*` matches one word, `#` any number of
    /// words.
    pub topics: Vec<String>,
    /// The name of the consumer, which tells its queue from those of other services with the same topics: the route's `consumer`, otherwise the name
    /// of the app. `None` means that neither is set.
    pub consumer: Option<String>,
    /// The translators of the route's handlers, for example `Json` or `Sns<Text>`, each once.
    pub translators: Vec<String>,
    /// How the route behaves: its lease, its attempts, its groups, its limits. Its `batch` is set if the handler takes batches, and only then.
    pub policy: Policy,
}

impl Source {
    /// Returns a source with the default policy, subscribed to the topic that has the name of the route.
    pub fn new(route: impl Into<String>, queue: impl Into<String>) -> Self {
        let (route, queue) = (route.into(), queue.into());
        let mut policy = Policy::new(&*route);
        policy.queue.clone_from(&queue);
        Self {
            topics: vec![route.clone()],
            translators: Vec::new(),
            route,
            queue,
            named: true,
            consumer: None,
            policy,
        }
    }
}
