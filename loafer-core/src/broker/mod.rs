//! The contract of a broker crate: brokers, providers, publishers, replies and dead letters.
//!
#![doc = include_str!("guide.md")]

mod capabilities;
mod dead_letters;
mod delay_steps;
mod depth;
mod due_time;
mod finding;
mod instance;
mod notice;
mod options;
mod packed;
mod provider;
mod publish_capabilities;
mod publisher;
mod replies;
mod rounds;
mod settings;
mod settlement;
mod source;
mod unsupported;

pub use self::{
    capabilities::Capabilities,
    dead_letters::{
        BrokerMove, DeadLetterCapabilities, DeadLetterInfo, DeadLetterQueue, Destination, Origin,
        Progress, ProgressFn,
    },
    delay_steps::{DelaySteps, Step},
    depth::Depth,
    due_time::DueTime,
    finding::{Finding, Level},
    instance::Instance,
    notice::{Fenced, Leaving, Notice},
    options::{BrokerOptions, NoOptions},
    packed::PackedDeadLetter,
    provider::{Delivery, Isolated, Open, Provider},
    publish_capabilities::PublishCapabilities,
    publisher::{Publisher, Topic},
    replies::{
        REPLY_ERROR, REPLY_TO, REQUEST_ID, Replies, is_reply_queue, reply_queue, reply_queue_prefix,
    },
    rounds::{Pauses, Rounds},
    settings::Settings,
    settlement::{DeadLetter, Renewed, Settle, Settled, Settlement},
    source::Source,
    unsupported::Unsupported,
};

use std::future::Future;

use crate::Error;

/// A broker, for example `Sqs` in `#[handler(provider = Sqs)]`. It makes the values that do the work.
///
/// A program may use several brokers of one kind, each an [`Instance`] with a name. It has one value per instance that it uses, made by `Default` or
/// in code. It configures that value, and asks it for one provider per route and for one publisher. Providers connect in [`Provider::open`], and only
/// [`start`](Self::start) connects here.
///
/// [The guide](self#the-life-of-an-instance) says in which order everything is called.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a provider",
    label = "not a provider",
    note = "use `Sqs` or `Memory`, or a type of your own that implements `loafer::broker::Broker`"
)]
pub trait Broker: Default + Send + Sync + 'static {
    /// What leases messages from one of its queues.
    type Provider: Provider;
    /// What publishes to it.
    type Publisher: Publisher;
    /// What a route may set that only this broker knows; [`NoOptions`] if there is nothing.
    type Options: BrokerOptions;

    /// The name of this kind of broker, for example `sqs`. The first instance of the kind has the same name, and topics of queues begin with it.
    const KIND: &'static str;

    /// Whether it stands in for other brokers, as the one in memory does in tests and on a developer's machine.
    ///
    /// On a broker that stands in, topics are called what the program calls them, whatever `[topics.TOPIC] name` of the configuration says.
    /// Under `--provider`, where it takes the place of every route's own broker, queues keep the names that their own brokers give them, and
    /// options of other brokers are ignored.
    const STANDS_IN: bool = false;

    /// Returns the name of the queue of a route that names none. `consumer` is the route's `consumer`, otherwise the name of the app. By default the
    /// queue has the name of the route.
    fn queue_name(route: &str, consumer: Option<&str>) -> String {
        _ = consumer;
        route.to_owned()
    }

    /// Reads what the configuration says of this instance. It overrides what code said. Called once, before everything else. The test kit does not
    /// call it.
    ///
    /// # Errors
    ///
    /// If a key is unknown or a value is invalid. By default any settings are an error.
    fn configure(&mut self, instance: &Instance<'_>) -> Result<(), Error> {
        match instance.settings() {
            Some(settings) => Err(Error::Config(format!(
                "`[{}]`: the broker `{}` takes no settings: leave the section out",
                settings.section(),
                Self::KIND
            ))),
            None => Ok(()),
        }
    }

    /// Makes the provider of one route. It does not connect.
    ///
    /// # Errors
    ///
    /// If the route asks for something that this broker can't do. The engine adds the name of the route.
    fn provider(&self, source: &Source, options: &Self::Options) -> Result<Self::Provider, Error>;

    /// Makes the publisher. It does not connect. A mistake in the configuration that shows only here is the answer to each message. Called like
    /// [`start`](Self::start), so that a publisher can connect there later.
    fn publisher(&self) -> Self::Publisher;

    /// Starts what all routes of this instance share, for example a listener. Called once, after the providers of its first routes are open and
    /// before any of them receives; routes that join the running program follow. Not called if no route runs on this instance. By default there
    /// is nothing to start. What it spawns runs where no handler blocks a thread; see [the life of a provider](crate::broker#the-life-of-a-provider).
    ///
    /// # Errors
    ///
    /// If it can't be started. The program says why and does not start. If the program runs already, the route that needs it is not added, and
    /// the next such route calls this again.
    ///
    /// # Cancellation
    ///
    /// The program gives it 12 s, or until it is stopped. After that it drops the future: this is a failure to start.
    fn start(&self) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Closes what all routes of this instance share. Called once, after its providers and its publisher are closed, also if it was not started.
    /// By default there is nothing to close.
    ///
    /// # Cancellation
    ///
    /// The future is dropped when the time to stop is over.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Returns the dead letters of one route, so that people can look at them and try them again. It does not connect.
    ///
    /// # Errors
    ///
    /// If this broker gives no access to dead letters. That is the default.
    fn dead_letters(
        &self,
        source: &Source,
        options: &Self::Options,
    ) -> Result<impl DeadLetterQueue, Error> {
        _ = options;
        Err::<Unsupported, _>(Error::Config(format!(
            "route `{}`: the broker `{}` gives no access to dead letters",
            source.route,
            Self::KIND
        )))
    }

    /// Returns what receives the replies to the requests of this process. It does not connect. `app` is the name of the app, so that operators see
    /// whose address it is.
    ///
    /// # Errors
    ///
    /// If this broker has no request and reply. That is the default.
    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        _ = app;
        Err::<Unsupported, _>(Error::Config(format!(
            "the broker `{}` has no request and reply",
            Self::KIND
        )))
    }

    /// Returns the topic by which this broker's publisher sends a reply to the address that a request named in [`REPLY_TO`]. Called only for requests
    /// that this broker delivered.
    ///
    /// The address comes from outside: anybody who can send a request chooses it. So refuse everything that is not a private address in this
    /// broker's own form. If the requester has gone, the publisher answers [`Error::UnknownQueue`].
    ///
    /// # Errors
    ///
    /// If the address is not an address of this broker, or if the broker has no request and reply, which is the default. The error does not quote the
    /// address.
    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        _ = address;
        Err(Error::Config(format!(
            "the broker `{}` has no request and reply",
            Self::KIND
        )))
    }

    /// Returns the topic by which this broker's publisher sends to a queue. By default that is `KIND:QUEUE`.
    fn queue_topic(&self, queue: &str) -> Topic {
        Topic::from(format!("{}:{queue}", Self::KIND))
    }
}
