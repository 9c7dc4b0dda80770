//! The names of a route, as its messages carry them.

use std::sync::Arc;

/// The names of a route, shared by all its messages.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteName {
    /// The route.
    pub route: Arc<str>,
    /// Its queue, as configured.
    pub queue: Arc<str>,
    /// The handler's path.
    pub handler: &'static str,
    /// Its broker, by the instance's name.
    pub broker: Arc<str>,
}

impl RouteName {
    /// Returns the names of a route, its queue, its handler and the broker instance it runs on.
    pub fn new(
        route: impl Into<Arc<str>>,
        queue: impl Into<Arc<str>>,
        handler: &'static str,
        broker: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            route: route.into(),
            queue: queue.into(),
            handler,
            broker: broker.into(),
        }
    }
}
