//! A route: provider, translator, handler and options under one name.

use std::{borrow::Cow, fmt, future::Future, sync::Arc};

use crate::{
    handler::{BatchHandler, Failure, Handler, OnError, PreparedHandler, on_error},
    program::{BrokerKind, RouteOptions},
};
use loafer_core::extract::Resources;
use loafer_core::{
    broker::Broker, extract::Missing, outcome::IntoOutcome, policy::Selector, translate::Envelope,
};

type MakeReady = Arc<dyn Fn(&Resources) -> Result<PreparedHandler, Missing> + Send + Sync>;

/// Provider, translator, handler and options, under one name.
///
/// ```
/// use loafer::{Json, Memory, Metadata, Route, RouteOptions};
///
/// let route = Route::new("order-placed")
///     .provider::<Memory>()
///     .options(RouteOptions::new().concurrency(4))
///     .handler(Json, async |order: serde_json::Value, metadata: Metadata| order["id"].is_number() && metadata.attempt() < 5);
/// ```
#[derive(Clone)]
pub struct Route {
    pub(crate) name: Cow<'static, str>,
    pub(crate) handler: Cow<'static, str>,
    pub(crate) translator: &'static str,
    /// File and line of the handler.
    pub(crate) location: (&'static str, u32),
    /// `None` means the program's default broker.
    pub(crate) broker: Option<BrokerKind>,
    pub(crate) options: RouteOptions,
    /// Which messages its handler takes. `None` means every message.
    pub(crate) on: Option<Selector>,
    /// Whether its handler takes batches.
    pub(crate) batches: bool,
    /// Whether its handler replies to requests.
    pub(crate) replies: bool,
    /// The topics that its handler publishes to, as the program calls them.
    pub(crate) publishes: Vec<Cow<'static, str>>,
    on_error: Option<OnError>,
    ready: Option<MakeReady>,
}

impl Route {
    /// Returns a route without a handler yet. Unless [`provider`](Self::provider) is called, it runs on the program's default broker; if
    /// the program has none, [`build`](crate::program::ManagerBuilder::build) returns an error.
    #[track_caller]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        let caller = std::panic::Location::caller();
        Self {
            name: name.into(),
            handler: Cow::Borrowed("closure"),
            translator: "",
            location: (caller.file(), caller.line()),
            broker: None,
            options: RouteOptions::new(),
            on: None,
            batches: false,
            replies: false,
            publishes: Vec::new(),
            on_error: None,
            ready: None,
        }
    }

    /// Sets the broker that the route runs on.
    #[must_use]
    pub fn provider<B: Broker>(mut self) -> Self {
        self.broker = Some(BrokerKind::of::<B>());
        self
    }

    /// Sets the route's options. The configuration overrides them.
    #[must_use]
    pub fn options(mut self, options: RouteOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the handler, and the translator that decodes its messages.
    #[must_use]
    pub fn handler<T, A, H>(mut self, translator: T, handler: H) -> Self
    where
        T: Envelope + Clone,
        H: Handler<T, A>,
    {
        self.handler = Cow::Borrowed(std::any::type_name::<H>());
        self.translator = short_name::<T>();
        self.batches = false;
        self.ready = Some(Arc::new(move |resources| {
            handler.clone().ready(translator.clone(), resources)
        }));
        self
    }

    /// Sets a batch handler, and the translator that decodes its messages.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use loafer::{Batch, BatchOutcome, Json, Route, RouteOptions};
    ///
    /// let route = Route::new("order-placed")
    ///     .options(RouteOptions::new().batch(25).linger(Duration::from_millis(200)))
    ///     .batch_handler(Json, async |orders: Batch<u64>| -> BatchOutcome { orders.values().map(|cents| *cents > 0).collect() });
    /// ```
    #[must_use]
    pub fn batch_handler<T, A, H>(mut self, translator: T, handler: H) -> Self
    where
        T: Envelope + Clone,
        H: BatchHandler<T, A>,
    {
        self.handler = Cow::Borrowed(std::any::type_name::<H>());
        self.translator = short_name::<T>();
        self.batches = true;
        self.ready = Some(Arc::new(move |resources| {
            handler.clone().ready(translator.clone(), resources)
        }));
        self
    }

    /// Sets the name of the handler, which logs, reports and dead letters show. Unless it is called after the handler is set, that is the path of
    /// the function or closure. A program that makes many routes of one closure tells them apart by it.
    #[must_use]
    pub fn handler_name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.handler = name.into();
        self
    }

    /// Sets which messages the handler takes. Other routes of this name take the others, each with a handler of its own.
    ///
    /// ```
    /// # fn main() -> Result<(), loafer::Error> {
    /// use loafer::{Json, Memory, Route, program::Manager};
    ///
    /// let placed = Route::new("orders").provider::<Memory>().on("order.placed".parse()?).handler(Json, async |id: u64| id > 0);
    /// let others = Route::new("orders").provider::<Memory>().handler(Json, async |_: serde_json::Value| true);
    /// let manager = Manager::builder().route(placed).route(others).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on(mut self, messages: Selector) -> Self {
        self.on = Some(messages);
        self
    }

    /// Sets a function that decides about a message that failed. Its answer may ack the message.
    #[must_use]
    pub fn on_error<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Failure) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoOutcome> + Send + 'static,
    {
        self.on_error = Some(on_error(handler));
        self
    }

    /// Makes the handler reply to requests, with a [`Replier`](crate::bus::Replier). If a request fails for good, its requester gets a
    /// notice.
    #[must_use]
    pub fn replying(mut self) -> Self {
        self.replies = true;
        self
    }

    /// Says that the handler publishes to these topics, beside those that were said before. The command `check` looks whether they exist, and
    /// `--create` makes those that are missing. A handler with `publish` in its attribute says it by itself.
    #[must_use]
    pub fn publishes<T: Into<Cow<'static, str>>>(
        mut self,
        topics: impl IntoIterator<Item = T>,
    ) -> Self {
        self.publishes.extend(topics.into_iter().map(Into::into));
        self
    }

    /// Sets what the attribute found.
    #[doc(hidden)]
    #[must_use]
    pub fn declared(
        mut self,
        (handler, location): (&'static str, (&'static str, u32)),
        translator: &'static str,
        ready: fn(&Resources) -> Result<PreparedHandler, Missing>,
    ) -> Self {
        (self.location, self.translator) = (location, translator);
        self.handler = Cow::Borrowed(handler);
        self.ready = Some(Arc::new(ready));
        self
    }

    /// Records that the handler takes batches.
    #[doc(hidden)]
    #[must_use]
    pub fn of_batches(mut self) -> Self {
        self.batches = true;
        self
    }

    /// Returns the route's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Prepares the handler. `None` if there is none.
    pub(crate) fn ready(&self, resources: &Resources) -> Option<Result<PreparedHandler, Missing>> {
        let ready = (self.ready.as_ref()?)(resources).map(|mut ready| {
            ready.on_error = self.on_error.clone().or(ready.on_error);
            ready
        });
        Some(ready)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("name", &self.name)
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}

/// Returns a type's name without its path: `Json`, `Sns<…>`.
fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let path = name.split('<').next().unwrap_or(name);
    &name[path.rfind("::").map_or(0, |at| at + 2)..]
}
