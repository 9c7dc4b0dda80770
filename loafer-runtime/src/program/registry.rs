//! The handlers of every linked crate, as their attributes registered them.

use crate::program::Route;

/// What `#[handler]` leaves in the program: a function that makes its route.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Registration {
    /// Makes the route.
    route: fn() -> Route,
}

impl Registration {
    /// Of the function that makes the route.
    #[must_use]
    pub const fn new(route: fn() -> Route) -> Self {
        Self { route }
    }
}

inventory::collect!(Registration);

/// The registered routes, sorted by name and place: the order never depends on the linker.
pub(crate) fn registered() -> Vec<Route> {
    let mut routes: Vec<_> = inventory::iter::<Registration>
        .into_iter()
        .map(|known| (known.route)())
        .collect();
    routes.sort_by(|a, b| (&a.name, a.handler, a.location).cmp(&(&b.name, b.handler, b.location)));
    routes
}
