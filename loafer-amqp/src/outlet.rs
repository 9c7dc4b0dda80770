//! The way out: one channel with publisher confirms, for events, retries and dead letters.

use std::{pin::pin, time::Duration};

use futures_util::future::join_all;
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use loafer_core::Error;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    error::{cause, code},
    link::{Link, answered},
};

/// How long the broker may take to confirm a message.
const CONFIRM: Duration = Duration::from_secs(15);

/// One message, and where to.
#[derive(Debug)]
pub(crate) struct Parcel<'p> {
    pub(crate) exchange: &'p str,
    pub(crate) routing_key: &'p str,
    pub(crate) properties: BasicProperties,
    pub(crate) payload: &'p [u8],
    /// Whether it comes back where no queue takes it.
    pub(crate) mandatory: bool,
}

/// Why a message was not published.
#[derive(Clone, Debug)]
pub(crate) enum Unsent {
    /// No queue took it.
    Unroutable,
    /// The broker would not have it, as a queue that is full.
    Refused(String),
    /// The channel was closed over something said on it: `code`, and why. It may have been another message of the same channel.
    Closed(u16, String),
    /// It may or may not have been published.
    Unknown(String),
}

/// The way out: one channel with confirms, opened again when it breaks.
pub(crate) struct Outlet {
    pub(crate) link: Link,
    channel: Mutex<Option<Channel>>,
}

impl Outlet {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            channel: Mutex::default(),
        }
    }

    /// Publishes messages together: all frames are handed over before the first answer is waited for. One answer a message, in order.
    pub(crate) async fn send(
        &self,
        what: &str,
        parcels: Vec<Parcel<'_>>,
    ) -> Vec<Result<(), Unsent>> {
        let wanted = parcels.len();
        let channel = match self.channel(what).await {
            Ok(channel) => channel,
            Err(error) => {
                let unsent = Unsent::Unknown(error.to_string());
                return parcels.iter().map(|_| Err(unsent.clone())).collect();
            }
        };
        let handed_over = parcels.into_iter().map(|parcel| {
            let options = BasicPublishOptions {
                mandatory: parcel.mandatory,
                ..BasicPublishOptions::default()
            };
            channel.basic_publish(
                parcel.exchange.into(),
                parcel.routing_key.into(),
                options,
                parcel.payload,
                parcel.properties,
            )
        });
        let mut answers = Vec::with_capacity(wanted);
        {
            let mut answering = pin!(async {
                for handed_over in join_all(handed_over).await {
                    answers.push(match handed_over {
                        Ok(confirm) => said(confirm.await),
                        Err(error) => Err(failed(&error)),
                    });
                }
            });
            let blocked = self.link.blocked();
            // While the broker says that it takes nothing, it is waited for.
            while timeout(CONFIRM, answering.as_mut()).await.is_err() {
                if blocked.borrow().is_none() {
                    break;
                }
            }
        }
        if answers.len() < wanted {
            // What it still confirms would be taken for something else's.
            self.channel.lock().await.take();
            let late = Unsent::Unknown(format!("RabbitMQ did not confirm it within {CONFIRM:?}"));
            answers.resize_with(wanted, || Err(late.clone()));
        }
        answers
    }

    /// Ends the connection.
    pub(crate) async fn close(&self) {
        self.channel.lock().await.take();
        self.link.close().await;
    }

    async fn channel(&self, what: &str) -> Result<Channel, Error> {
        let mut known = self.channel.lock().await;
        if let Some(channel) = known
            .as_ref()
            .filter(|channel| channel.status().connected())
        {
            return Ok(channel.clone());
        }
        let channel = self.link.channel("publishing", what).await?;
        let selected = channel.confirm_select(ConfirmSelectOptions::default());
        answered("publishing", what, selected).await?;
        Ok(known.insert(channel).clone())
    }
}

fn said(confirmed: lapin::Result<Confirmation>) -> Result<(), Unsent> {
    match confirmed {
        Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => Ok(()),
        Ok(Confirmation::Ack(Some(_))) => Err(Unsent::Unroutable),
        Ok(Confirmation::Nack(_)) => Err(Unsent::Refused(
            "RabbitMQ would not take it, as a queue that is full".to_owned(),
        )),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &lapin::Error) -> Unsent {
    match code(error) {
        Some(code) => Unsent::Closed(code, cause(error)),
        None => Unsent::Unknown(cause(error)),
    }
}
