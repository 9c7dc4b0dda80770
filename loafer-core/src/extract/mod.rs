//! What a handler takes beside its message: extractors.

mod app;
mod batch;
mod extension;
mod message;
mod metadata;
mod optional;
mod resources;
mod route_name;
mod state;

use std::{fmt, sync::Arc};

use crate::message::Message;

pub use self::{
    app::FromApp,
    batch::{Batch, BatchItem, BatchOutcome, IntoBatchOutcome},
    extension::Extension,
    metadata::Metadata,
    optional::OptionalFromContext,
    resources::Resources,
    route_name::RouteName,
    state::{Shareable, State},
};

/// One argument of a handler after the first: says at startup what it needs, and makes itself for each message.
///
/// ```
/// use loafer::{Context, FromContext, Missing, Rejection, extract::Resources};
///
/// /// The tenant a message speaks for.
/// struct Tenant(String);
///
/// impl FromContext for Tenant {
///     type Needs = ();
///
///     fn needs(_: &Resources) -> Result<(), Missing> {
///         Ok(())
///     }
///
///     fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
///         let tenant = context.message().headers().get("tenant");
///         tenant.map(|tenant| Self(tenant.to_owned())).ok_or_else(|| Rejection::new("there is no header `tenant`"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor",
    label = "not an extractor",
    note = "the first argument of a handler is its message; the others are `Metadata`, `State<S>` for what `app.state(value)` was given, `Headers`, `Message`, `Bus`, or types that derive or implement `loafer::FromContext`"
)]
pub trait FromContext: Sized {
    /// What it keeps from startup, for every message.
    type Needs: Send + Sync + 'static;

    /// Finds what it needs among the app's resources.
    ///
    /// # Errors
    ///
    /// Where the app lacks it: the program says so and does not start.
    fn needs(resources: &Resources) -> Result<Self::Needs, Missing>;

    /// Makes the argument for one message.
    ///
    /// # Errors
    ///
    /// Where the message lacks it: the handler is not called, and the message is treated as if it had returned an error.
    fn from_context(needs: &Self::Needs, context: &Context<'_>) -> Result<Self, Rejection>;
}

/// One message on its way into a handler.
#[derive(Debug)]
pub struct Context<'m> {
    message: &'m Message,
    raw: &'m Message,
    route: &'m Arc<RouteName>,
}

impl<'m> Context<'m> {
    /// Returns the context of a message: as it is with its envelope opened, as the broker delivered it, and its route's names.
    pub fn new(message: &'m Message, raw: &'m Message, route: &'m Arc<RouteName>) -> Self {
        Self {
            message,
            raw,
            route,
        }
    }

    /// The message, its envelope opened.
    pub fn message(&self) -> &'m Message {
        self.message
    }

    /// The message as the broker delivered it.
    pub fn raw(&self) -> &'m Message {
        self.raw
    }

    /// The route's name.
    pub fn route(&self) -> &'m str {
        &self.route.route
    }

    /// The queue it came from.
    pub fn queue(&self) -> &'m str {
        &self.route.queue
    }

    /// The names of its route: shared by all messages of the route.
    pub fn names(&self) -> &'m Arc<RouteName> {
        self.route
    }
}

/// What an extractor did not find in the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(String);

impl Missing {
    /// Says what is missing and how to give it.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Why an extractor refused a message. The text goes to logs: it must not quote the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection(String);

impl Rejection {
    /// Says what the message lacks.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Rejection {}
