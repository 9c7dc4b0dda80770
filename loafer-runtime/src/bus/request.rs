//! Requests: what a handler asks other services.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout_at;

use super::{Bus, replier};
use crate::clock::after;
use loafer_core::event::{Event, encoded};
use loafer_core::{
    Error,
    broker::{REPLY_TO, REQUEST_ID, Topic},
    message::{Message, MessageId, Outgoing},
    translate::decode_json,
};

impl Bus {
    /// Sends a value, as JSON, to a topic, and waits for the reply, which is JSON too. `timeout` counts from the call.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use loafer::{Bus, Error};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize)]
    /// struct PriceWanted { item: u64 }
    ///
    /// #[derive(Deserialize)]
    /// struct Quote { cents: u64 }
    ///
    /// async fn order_placed(item: u64, bus: Bus) -> Result<bool, Error> {
    ///     let quote: Quote = bus.request("price-wanted", &PriceWanted { item }, Duration::from_secs(5)).await?;
    ///     Ok(quote.cents < 100_000)
    /// }
    /// ```
    ///
    /// The reply arrives at a private address of this process, which is opened at its first request. A handler that waits keeps its message
    /// on lease and its worker busy, so `timeout` should be shorter than the route's. A topic may have several subscribers: the first reply
    /// counts.
    ///
    /// # Errors
    ///
    /// - [`Error::NoReply`] if no reply arrived within `timeout`, and [`Error::Timeout`] if no address could be opened within it.
    /// - [`Error::RequestFailed`] if the service that handled the request reports that it failed for good.
    /// - [`Error::UndecodableReply`] if the reply does not decode as `R`.
    /// - If the request can't be encoded, or the broker did not confirm it.
    /// - If the broker of this bus has no replies, or can't open an address; and if 10,000 requests already wait for replies.
    ///
    /// # Cancellation
    ///
    /// Safe for the caller: when dropped, the request may still be handled, and its reply is dropped.
    pub async fn request<R: DeserializeOwned>(
        &self,
        topic: impl Into<Topic>,
        value: &(impl Serialize + ?Sized),
        timeout: Duration,
    ) -> Result<R, Error> {
        let topic = topic.into();
        let request = encoded(topic.as_str(), value)?.into();
        decoded(&topic, &self.ask(&topic, request, timeout).await?)
    }

    /// Sends an event, in its encoding, to its topic, and waits for the reply, which is JSON. See [`request`](Self::request).
    ///
    /// # Errors
    ///
    /// Those of [`request`](Self::request).
    ///
    /// # Cancellation
    ///
    /// That of [`request`](Self::request).
    pub async fn request_event<R: DeserializeOwned>(
        &self,
        event: &impl Event,
        timeout: Duration,
    ) -> Result<R, Error> {
        let (topic, request) = addressed(event)?;
        decoded(&topic, &self.ask(&topic, request, timeout).await?)
    }

    /// Sends a message as it is, and waits for the reply. Returns the reply as it arrived: payload and headers. See
    /// [`request`](Self::request).
    ///
    /// # Errors
    ///
    /// Those of [`request`](Self::request), except that the reply is not decoded.
    ///
    /// # Cancellation
    ///
    /// That of [`request`](Self::request).
    pub async fn request_message(
        &self,
        topic: impl Into<Topic>,
        message: impl Into<Outgoing>,
        timeout: Duration,
    ) -> Result<Message, Error> {
        self.ask(&topic.into(), message.into(), timeout).await
    }

    async fn ask(
        &self,
        topic: &Topic,
        request: Outgoing,
        within: Duration,
    ) -> Result<Message, Error> {
        let until = after(within);
        let requests = self.requests_to(topic);
        let replies = requests.replies(topic)?;
        let address = timeout_at(until, replies.address()).await;
        let address = address.map_err(|_| Error::Timeout {
            what: "opening a reply address for a request",
            queue: topic.to_string(),
            after: within,
        })??;
        let id = MessageId::new();
        let request = request
            .header(REPLY_TO, address)
            .header(REQUEST_ID, id.to_string());
        // Registered before the request is sent: a reply may be faster than the confirmation.
        let mut waiting = requests.wait(&id, topic)?;
        let answered = async {
            self.send(topic.clone(), request).await?;
            waiting.reply(topic).await
        };
        match timeout_at(until, answered).await {
            Ok(reply) => replier::opened(topic, reply?),
            Err(_) => Err(Error::NoReply {
                topic: topic.to_string(),
                request_id: id.to_string(),
                after: within,
            }),
        }
    }
}

/// Returns an event as a request, and its topic. This is a function of its own, so that no value of the caller lives across an await
/// without need.
fn addressed<E: Event>(event: &E) -> Result<(Topic, Outgoing), Error> {
    Ok((E::TOPIC.into(), Outgoing::event(event)?))
}

fn decoded<R: DeserializeOwned>(topic: &Topic, reply: &Message) -> Result<R, Error> {
    decode_json(reply.payload(), "the type asked for").map_err(|source| Error::UndecodableReply {
        topic: topic.to_string(),
        request_id: reply
            .headers()
            .get(REQUEST_ID)
            .unwrap_or_default()
            .to_owned(),
        source,
    })
}
