//! What a handler takes beside its message: extractors.

mod app;
mod extension;
mod message;
mod metadata;
mod optional;
mod state;

use std::{fmt, sync::Arc};

use crate::{App, Message};

pub use self::{
    app::FromApp,
    extension::Extension,
    metadata::Metadata,
    optional::OptionalFromContext,
    state::{Shareable, State},
};

/// One argument of a handler after the first: says at startup what it needs, and makes itself for each message.
///
/// ```
/// use loafer_core::{App, Context, FromContext, Missing, Rejection};
///
/// /// The tenant a message speaks for.
/// struct Tenant(String);
///
/// impl FromContext for Tenant {
///     type Needs = ();
///
///     fn needs(_: &App) -> Result<(), Missing> {
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

    /// Finds what it needs in the app.
    ///
    /// # Errors
    ///
    /// Where the app lacks it: the program says so and does not start.
    fn needs(app: &App) -> Result<Self::Needs, Missing>;

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

/// The names of a route, shared by all its messages.
#[derive(Debug)]
pub(crate) struct RouteName {
    /// The route.
    pub(crate) route: Arc<str>,
    /// Its queue, as configured.
    pub(crate) queue: Arc<str>,
    /// The handler's path.
    pub(crate) handler: &'static str,
    /// Its broker, as the command line calls it.
    pub(crate) broker: &'static str,
}

impl<'m> Context<'m> {
    pub(crate) fn new(message: &'m Message, raw: &'m Message, route: &'m Arc<RouteName>) -> Self {
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

    pub(crate) fn names(&self) -> &'m Arc<RouteName> {
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
