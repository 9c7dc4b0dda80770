//! The names of a route, which each of its messages carries.

use std::sync::Arc;

/// The names of a route, shared by all its messages.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteName {
    /// The name of the route.
    pub route: Arc<str>,
    /// Its queue, as it is configured.
    pub queue: Arc<str>,
    /// The handler: its path, for example `orders::order_placed`, or the name that its route gives it.
    pub handler: Arc<str>,
    /// The name of the broker instance that it runs on.
    pub broker: Arc<str>,
}

impl RouteName {
    /// Returns the names of a route, its queue, its handler and the broker instance that it runs on.
    pub fn new(
        route: impl Into<Arc<str>>,
        queue: impl Into<Arc<str>>,
        handler: impl Into<Arc<str>>,
        broker: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            route: route.into(),
            queue: queue.into(),
            handler: handler.into(),
            broker: broker.into(),
        }
    }
}
