//! The contract of a broker crate: brokers, providers, publishers, replies and dead letters.

mod capabilities;
mod dead_letters;
mod finding;
mod notice;
mod provider;
mod publisher;
mod replies;
mod settings;
mod settlement;
mod source;
mod unsupported;

pub use self::{
    capabilities::Capabilities,
    dead_letters::{
        BrokerMove, DeadLetterInfo, DeadLetterQueue, Destination, Origin, Progress, ProgressFn,
    },
    finding::{Finding, Level},
    notice::Notice,
    provider::{Delivery, Open, Provider},
    publisher::{Publisher, Topic},
    replies::{REPLY_ERROR, REPLY_TO, REQUEST_ID, Replies, is_reply_queue, reply_queue},
    settings::Settings,
    settlement::{DeadLetter, Renewed, Settle, Settled, Settlement},
    source::Source,
    unsupported::Unsupported,
};

use crate::Error;

/// A broker, as `#[handler(provider = Sqs)]` names it.
///
/// An `App` makes one value of each broker its routes name, by `Default`, and asks it for a provider a route. Nothing
/// here connects: that is [`Provider::open`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no provider",
    label = "no provider",
    note = "use `Sqs` or `Memory`, or a type of your own that implements `loafer::Broker`"
)]
pub trait Broker: Default + Send + Sync + 'static {
    /// What leases messages from one of its queues.
    type Provider: Provider;
    /// What publishes to it.
    type Publisher: Publisher;
    /// What the command line calls it: `--provider sqs`.
    const KIND: &'static str;

    /// Whether its routes have a [`Topology`]: exchange, bindings and how their queues are made. Where not, a route that sets one can't start.
    const TOPOLOGY: bool = false;

    /// The queue of a route that names none; the app's name is as `loafer.toml` has it, else as the program is called.
    fn queue_name(route: &str, app: Option<&str>) -> String {
        _ = app;
        route.to_owned()
    }

    /// Takes in the name of the app, and what `loafer.toml` and the environment say in the section of its name: they outrank what code said.
    /// Called once, before all else; not by the test kit, for which neither has a say.
    ///
    /// # Errors
    ///
    /// Where it does not know a key, or what it says can't be.
    fn configure(&mut self, settings: Option<&Settings>, app: Option<&str>) -> Result<(), Error> {
        _ = app;
        match settings {
            Some(settings) => Err(Error::Config(format!(
                "`[{0}]`: the broker `{0}` takes no settings from `loafer.toml`: leave the section out",
                settings.broker()
            ))),
            None => Ok(()),
        }
    }

    /// A provider for one route's source.
    ///
    /// # Errors
    ///
    /// Where the route asks for what this broker can't do.
    fn provider(&self, source: &Source) -> Result<Self::Provider, Error>;

    /// Its publisher.
    fn publisher(&self) -> Self::Publisher;

    /// The dead letters of one source, where this broker keeps them so that they can be worked with. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// Where it does not.
    fn dead_letters(&self, source: &Source) -> Result<impl DeadLetterQueue, Error> {
        Err::<Unsupported, _>(Error::Config(format!(
            "route `{}`: dead letters on the broker `{}` can't be worked with yet",
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
            "the broker `{}` has no replies yet",
            Self::KIND
        )))
    }

    /// The topic by which a reply gets to an address that a request named in [`REPLY_TO`](crate::broker::REPLY_TO), for this broker's publisher.
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
            "the broker `{}` has no replies yet",
            Self::KIND
        )))
    }

    /// How a queue is written where a topic is asked for: `sqs:QUEUE`.
    fn queue_topic(&self, queue: &str) -> Topic {
        Topic::from(format!("{}:{queue}", Self::KIND))
    }
}
