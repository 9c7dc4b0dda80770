//! Extractors: the arguments of a handler after its message.
//!
//! | item | what it is |
//! |---|---|
//! | [`FromContext`], [`OptionalFromContext`], [`FromApp`] | what makes a type an extractor |
//! | [`Context`], [`Resources`] | what an extractor sees: one message, and what the app holds |
//! | [`Missing`], [`Rejection`] | why there is no value: for the whole program, or for one message |
//! | [`State`], [`Metadata`], [`Extension`] | extractors, beside [`Headers`](crate::message::Headers) and [`Message`] |
//! | [`Batch`], [`BatchItem`], [`BatchOutcome`] | the first argument of a batch handler, and what it returns |

mod app;
mod batch;
mod extension;
mod message;
mod metadata;
mod optional;
mod resources;
mod route_name;
mod state;

use std::{borrow::Cow, fmt, sync::Arc};

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

/// A type that a handler can take as an argument after the first.
///
/// At startup it finds what it needs, so that a program which lacks something does not start. Then it makes a value for each message, from what
/// it needs and from the message. `#[derive(FromContext)]` makes it of a struct whose fields are extractors.
///
/// ```
/// use loafer::extract::{Context, FromContext, Missing, Rejection, Resources};
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
///         // No retry gives it a header.
///         tenant.map(|tenant| Self(tenant.to_owned())).ok_or_else(|| Rejection::reject("there is no header `tenant`"))
///     }
/// }
/// ```
///
/// # Why it is not async
///
/// A lease ages while an extractor waits, and neither the route's `timeout` nor its `concurrency` would count that wait. What needs I/O is taken
/// as a handle that does it when the handler asks, for example a pool in [`State`]. The handler is async: it waits, its `timeout` bounds the wait,
/// and it decides what a failure means.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor",
    label = "not an extractor",
    note = "the first argument of a handler is its message; the others are `Metadata`, `State<S>` for what `app.state(value)` was given, `Headers`, `Message`, `Bus`, or types that derive or implement `loafer::FromContext`"
)]
pub trait FromContext: Sized {
    /// What it keeps from startup. All messages share it.
    type Needs: Send + Sync + 'static;

    /// Finds what it needs among the resources of the app. Called once for each handler that takes it, before the program starts.
    ///
    /// # Errors
    ///
    /// If the app lacks something. The program says so and does not start.
    fn needs(resources: &Resources) -> Result<Self::Needs, Missing>;

    /// Makes the argument for one message.
    ///
    /// # Errors
    ///
    /// If the message is not fit for it. The handler is not called, and the message is treated as if the handler had returned an error, or
    /// [`Outcome::Reject`](crate::outcome::Outcome::Reject) if the refusal is [for good](Rejection::reject).
    fn from_context(needs: &Self::Needs, context: &Context<'_>) -> Result<Self, Rejection>;
}

/// One message on its way to a handler: what an extractor sees of it.
#[derive(Debug)]
pub struct Context<'m> {
    message: &'m Message,
    raw: &'m Message,
    route: &'m Arc<RouteName>,
}

impl<'m> Context<'m> {
    /// Returns the context of a message: `message` with its envelope opened, `raw` as the broker delivered it, and the names of its route.
    pub fn new(message: &'m Message, raw: &'m Message, route: &'m Arc<RouteName>) -> Self {
        Self {
            message,
            raw,
            route,
        }
    }

    /// Returns the message with its envelope opened.
    pub fn message(&self) -> &'m Message {
        self.message
    }

    /// Returns the message as the broker delivered it.
    pub fn raw(&self) -> &'m Message {
        self.raw
    }

    /// Returns the name of the route.
    pub fn route(&self) -> &'m str {
        &self.route.route
    }

    /// Returns the queue that the message came from, as it is configured.
    pub fn queue(&self) -> &'m str {
        &self.route.queue
    }

    /// Returns the names of the route, which all its messages share.
    pub fn names(&self) -> &'m Arc<RouteName> {
        self.route
    }
}

/// What an extractor did not find in the app: the program does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(String);

impl Missing {
    /// Returns an error with this text, which says what is missing and how to give it.
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

/// Why an extractor refused a message. The text goes to logs and dead letters and must not quote the payload.
///
/// ```
/// use loafer::extract::Rejection;
///
/// assert!(!Rejection::new("the tenant `acme` is not loaded yet").is_for_good());
/// assert!(Rejection::reject("there is no header `tenant`").is_for_good());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    reason: Cow<'static, str>,
    is_for_good: bool,
}

impl Rejection {
    /// Returns a refusal that may pass. The text says what is wrong with the message. The message is retried, as after an error of its handler.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            reason: what.into().into(),
            is_for_good: false,
        }
    }

    /// Returns a refusal for good: no retry makes the message fit. It is dead-lettered now with this reason, as after
    /// [`Outcome::Reject`](crate::outcome::Outcome::Reject).
    pub fn reject(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            is_for_good: true,
        }
    }

    /// Returns whether no retry makes the message fit.
    pub fn is_for_good(&self) -> bool {
        self.is_for_good
    }

    /// Returns the text.
    pub fn into_reason(self) -> Cow<'static, str> {
        self.reason
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Rejection {}
