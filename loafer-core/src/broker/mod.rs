//! The contract of a broker crate: brokers, providers, publishers, replies and dead letters.

mod capabilities;
mod dead_letters;
mod delay_steps;
mod finding;
mod instance;
mod notice;
mod options;
mod provider;
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
        BrokerMove, DeadLetterInfo, DeadLetterQueue, Destination, Origin, Progress, ProgressFn,
    },
    delay_steps::{DelaySteps, Step},
    finding::{Finding, Level},
    instance::Instance,
    notice::Notice,
    options::{BrokerOptions, NoOptions},
    provider::{Delivery, Open, Provider},
    publisher::{Publisher, Topic},
    replies::{REPLY_ERROR, REPLY_TO, REQUEST_ID, Replies, is_reply_queue, reply_queue},
    rounds::{Pauses, Rounds},
    settings::Settings,
    settlement::{DeadLetter, Renewed, Settle, Settled, Settlement},
    source::Source,
    unsupported::Unsupported,
};

use std::future::Future;

use crate::Error;

/// A broker: `provider = Sqs` of `#[handler]` names one.
///
/// A program makes one value of each broker that it uses, by `Default` or in code, tells it what the configuration says of it, and asks it for
/// a provider a route. Nothing here connects but [`start`](Self::start); providers connect by [`Provider::open`].
///
/// A program may use several brokers of one kind, each an [`Instance`] with a name.
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

    /// What kind of broker it is, for example `sqs`: the name of its first instance.
    const KIND: &'static str;

    /// Whether topics have names of their own on this broker, which `[topics.TOPIC] name` of the configuration gives. `false` if topics are
    /// always called what the program calls them.
    const RENAMES_TOPICS: bool = true;

    /// Returns the queue of a route that names none, for this consumer: the route's `consumer`, else the app's name.
    fn queue_name(route: &str, consumer: Option<&str>) -> String {
        _ = consumer;
        route.to_owned()
    }

    /// Reads what the configuration says of this instance: it overrides what code said. Called once, before all else. The test kit does not
    /// call it.
    ///
    /// # Errors
    ///
    /// If a key is unknown, or a value is invalid. Unless implemented, any settings are an error.
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

    /// Makes a provider for one route's source, with the options that are the broker's own.
    ///
    /// # Errors
    ///
    /// If the route asks for what this broker can't do.
    fn provider(&self, source: &Source, options: &Self::Options) -> Result<Self::Provider, Error>;

    /// Makes its publisher.
    fn publisher(&self) -> Self::Publisher;

    /// Starts what all routes of this instance share, for example a listener. Called once, after all providers are open and before any
    /// receives. Unless implemented, there is nothing to start.
    ///
    /// # Errors
    ///
    /// If it can't be started: the program says why and does not start.
    fn start(&self) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Closes what all routes of this instance share. Called once, after its providers and its publisher are closed. Unless implemented,
    /// there is nothing to close.
    ///
    /// # Cancellation
    ///
    /// Dropped at the end of the program's time to stop.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Returns the dead letters of one source, if this broker keeps them so that they can be worked with. Does not connect.
    ///
    /// # Errors
    ///
    /// If it does not.
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

    /// Where replies to the requests of an app come to, where this broker has that. Connects to nothing yet. The app's name, where it has one,
    /// tells operators whose they are.
    ///
    /// # Errors
    ///
    /// Where it has not.
    fn replies(&self, app: Option<&str>) -> Result<impl Replies, Error> {
        _ = app;
        Err::<Unsupported, _>(Error::Config(format!(
            "the broker `{}` has no request and reply",
            Self::KIND
        )))
    }

    /// The topic by which a reply gets to an address that a request named in [`REPLY_TO`], for this broker's publisher.
    ///
    /// The address comes from outside, from whoever could send a request: what is not a private address of this broker's own form is refused.
    /// Asked only for requests that came by this broker. The publisher answers [`Error::UnknownQueue`] where the address is gone.
    ///
    /// # Errors
    ///
    /// Where the address is none of this broker's; without quoting it.
    fn reply_topic(&self, address: &str) -> Result<Topic, Error> {
        _ = address;
        Err(Error::Config(format!(
            "the broker `{}` has no request and reply",
            Self::KIND
        )))
    }

    /// Returns a queue as a topic of this broker's publisher: `sqs:QUEUE`.
    fn queue_topic(&self, queue: &str) -> Topic {
        Topic::from(format!("{}:{queue}", Self::KIND))
    }
}
