//! Assertions about what a service published, and about what it subscribes to.

use serde::de::DeserializeOwned;

use super::{TestApp, ledger::listed};
use crate::program::RouteSummary;
use loafer_core::event::Event;
use loafer_core::message::EVENT_TYPE;
use loafer_core::{
    message::Message,
    policy::Selector,
    translate::{Envelope, Json, TranslateError, Translator},
};

/// How many characters of a body a failed assertion shows.
const SHOWN: usize = 200;

/// What the test itself publishes does not count. Topics have the names that the program gives them: `friend-created`, or `sqs:orders` for
/// a queue.
impl TestApp {
    /// Returns the messages that the service published to a topic since its start, in order.
    pub fn published(&self, topic: &str) -> Vec<Message> {
        let all = self.ledger().all_published();
        let ours = all.into_iter().filter(|(to, _)| to == topic);
        ours.map(|(_, message)| message).collect()
    }

    /// Returns the events of this type that the service published, in order.
    ///
    /// # Panics
    ///
    /// If a message to its topic does not decode as one.
    #[track_caller]
    pub fn published_events<E: Event>(&self) -> Vec<E>
    where
        E::Encoding: Envelope + for<'m> Translator<'m, E>,
    {
        let encoding = E::Encoding::default();
        self.decoded(E::TOPIC, |message| {
            let opened = encoding.open(message)?;
            encoding.translate(&opened)
        })
    }

    /// Asserts that an event was published for which the closure returns `true`.
    ///
    /// # Panics
    ///
    /// If there was none. The message lists all that was published. Also if a message to the event's topic does not decode as one.
    #[track_caller]
    pub fn assert_published<E: Event>(&self, holds: impl Fn(&E) -> bool)
    where
        E::Encoding: Envelope + for<'m> Translator<'m, E>,
    {
        self.assert_holds(E::TOPIC, self.published_events::<E>().iter().any(holds));
    }

    /// Asserts that a JSON value was published to a topic for which the closure returns `true`: `|invoice: &Invoice| invoice.cents == 3`,
    /// `|value: &Value| value["cents"] == 3`.
    ///
    /// # Panics
    ///
    /// Like [`assert_published`](Self::assert_published).
    #[track_caller]
    pub fn assert_published_to<T: DeserializeOwned>(
        &self,
        topic: &str,
        holds: impl Fn(&T) -> bool,
    ) {
        let values = self.decoded(topic, |message| Json.translate(message));
        self.assert_holds(topic, values.iter().any(holds));
    }

    #[track_caller]
    fn assert_holds(&self, topic: &str, holds: bool) {
        if !holds {
            let found = match self.published(topic).len() {
                0 => "expected a message, found none".to_owned(),
                number => format!(
                    "expected a message for which the closure returns true; it returned false for {number}"
                ),
            };
            self.fail_published(topic, &found);
        }
    }

    /// Asserts that no event of this type was published.
    ///
    /// # Panics
    ///
    /// If one was: the message lists all that was published.
    #[track_caller]
    pub fn assert_not_published<E: Event>(&self) {
        self.assert_not_published_to(E::TOPIC);
    }

    /// Asserts that nothing was published to a topic.
    ///
    /// # Panics
    ///
    /// If something was: the message lists all that was published.
    #[track_caller]
    pub fn assert_not_published_to(&self, topic: &str) {
        self.assert_published_count_to(topic, 0);
    }

    /// Asserts that nothing was published to any topic.
    ///
    /// # Panics
    ///
    /// If something was: the message lists all that was published.
    #[track_caller]
    pub fn assert_nothing_published(&self) {
        if let published @ 1.. = self.ledger().all_published().len() {
            panic!(
                "expected nothing published, found {published}\n{}\n",
                self.all_published()
            );
        }
    }

    /// Asserts how many events of this type were published.
    ///
    /// # Panics
    ///
    /// If it was another number: the message lists all that was published.
    #[track_caller]
    pub fn assert_published_count<E: Event>(&self, events: usize) {
        self.assert_published_count_to(E::TOPIC, events);
    }

    /// Asserts how many messages were published to a topic.
    ///
    /// # Panics
    ///
    /// If it was another number: the message lists all that was published.
    #[track_caller]
    pub fn assert_published_count_to(&self, topic: &str, messages: usize) {
        let found = self.published(topic).len();
        if found != messages {
            self.fail_published(topic, &format!("expected {messages}, found {found}"));
        }
    }

    /// Asserts that a route consumes the queue of this name: the route's `queue`, or else the name that its broker gives the queue, for
    /// example `sample.event.billing` for the route `sample.event` of the app `billing` on RabbitMQ.
    ///
    /// # Panics
    ///
    /// If no route does: the message lists the routes and their queues.
    #[track_caller]
    pub fn assert_consuming(&self, queue: &str) {
        let routes = self.running().routes();
        let queue_of = |route: &String| self.running().queue(route).unwrap_or_default();
        if !routes.iter().any(|route| queue_of(route) == queue) {
            let routes = routes
                .iter()
                .map(|route| format!("route `{route}`: queue `{}`", queue_of(route)));
            panic!(
                "expected a route that consumes queue `{queue}`, found:{}\n",
                listed(&routes.collect::<Vec<_>>())
            );
        }
    }

    /// Asserts that a route subscribes to the topic of this event, by its name or by its `topics`: [`publish_event`](Self::publish_event)
    /// reaches a route.
    ///
    /// # Panics
    ///
    /// If no route does: the message lists the topics that routes subscribe to.
    #[track_caller]
    pub fn assert_consuming_event<E: Event>(&self) {
        self.assert_subscribed(E::TOPIC);
    }

    #[track_caller]
    pub(super) fn assert_subscribed(&self, topic: &str) {
        if self.memory().subscribers(topic).is_empty() {
            let topics = self.memory().subscriptions();
            let topics: Vec<_> = topics.iter().map(|topic| format!("`{topic}`")).collect();
            panic!(
                "no route subscribes to `{topic}`: in memory a route subscribes to its `topics`, else to the topic of its name. Subscribed topics: {}{}
",
                topics.join(", "),
                self.ways_to(topic)
            );
        }
    }

    /// Lists the routes, and how to put an event on one of them that its topic does not reach.
    fn ways_to(&self, topic: &str) -> String {
        let event = Message::new("").with_header(EVENT_TYPE, topic);
        let takes = |handler: &RouteSummary| {
            let on: Option<Selector> = handler.on.as_ref().and_then(|on| on.parse().ok());
            on.is_some_and(|on| on.takes(&event))
        };
        let line = |handler: &RouteSummary| {
            let (route, on) = (&handler.route, handler.on.as_deref());
            match on {
                Some(on) if takes(handler) => format!(
                    "route `{route}` takes such events (`on = {on:?}`): `app.publish_event_on({route:?}, &event)` puts one on its queue"
                ),
                Some(on) => format!("route `{route}` (`on = {on:?}`)"),
                None => format!("route `{route}`"),
            }
        };
        // Those that take the event come first.
        let (taking, others): (Vec<_>, Vec<_>) =
            self.handlers().iter().partition(|handler| takes(handler));
        let hint = match taking.is_empty() {
            true => ". `app.publish_event_on(ROUTE, &event)` puts one on the queue of another",
            false => "",
        };
        let lines: Vec<_> = taking.into_iter().chain(others).map(line).collect();
        format!("{hint}{}", listed(&lines))
    }

    #[track_caller]
    fn decoded<T>(
        &self,
        topic: &str,
        decode: impl Fn(&Message) -> Result<T, TranslateError>,
    ) -> Vec<T> {
        match self.published(topic).iter().map(decode).collect() {
            Ok(values) => values,
            Err(error) => self.fail_published(
                topic,
                &format!(
                    "a message does not decode as `{}`: {error}",
                    std::any::type_name::<T>()
                ),
            ),
        }
    }

    #[track_caller]
    fn fail_published(&self, topic: &str, found: &str) -> ! {
        panic!(
            "published to topic `{topic}`: {found}\n{}\n",
            self.all_published()
        );
    }

    fn all_published(&self) -> String {
        let line = |(topic, message): &(String, Message)| {
            let body = String::from_utf8_lossy(message.payload());
            let cut = if body.chars().nth(SHOWN).is_some() {
                "…"
            } else {
                ""
            };
            let body: String = body.chars().take(SHOWN).collect();
            format!("topic `{topic}`, {}: {body}{cut}", message.id())
        };
        match self.ledger().all_published().as_slice() {
            [] => "the service published nothing".to_owned(),
            published => {
                let lines: Vec<_> = published.iter().map(line).collect();
                format!("the service published:{}", listed(&lines))
            }
        }
    }
}
