//! The registry: the handlers of every linked crate.

use crate::program::Route;

/// What `#[handler]` leaves in the program: a function that makes its route.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    /// Makes the route.
    route: fn() -> Route,
}

impl Registration {
    /// Returns the registration of a function that makes a route.
    #[must_use]
    pub const fn new(route: fn() -> Route) -> Self {
        Self { route }
    }
}

inventory::collect!(Registration);

/// Returns the registered routes, sorted by name and location: the order never depends on the linker.
pub(crate) fn registered() -> Vec<Route> {
    let mut routes: Vec<_> = inventory::iter::<Registration>
        .into_iter()
        .map(|known| (known.route)())
        .collect();
    routes
        .sort_by(|a, b| (&a.name, &a.handler, a.location).cmp(&(&b.name, &b.handler, b.location)));
    routes
}
