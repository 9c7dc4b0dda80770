//! The SNS topic that feeds a queue: whether it is there, subscribed, and may send; and how each is made.

mod policy;

use aws_sdk_sns::{Client, error::SdkError};
use loafer_core::Error;

pub(crate) use self::policy::{Leave, leave, with_leave};
use crate::{
    error::{Call, Place},
    queue::{is_arn, is_denied, is_fifo},
    remedy::quoted,
};

/// A topic and the queue that should hear it.
pub(crate) struct Topic<'t> {
    pub(crate) client: &'t Client,
    /// Where SNS is.
    pub(crate) place: &'t Place,
    /// The topic's own.
    pub(crate) arn: String,
    pub(crate) queue_arn: &'t str,
}

/// What could be seen of something.
pub(crate) enum Seen {
    Yes,
    No,
    /// This action is not allowed.
    Denied(&'static str),
}

impl<'t> Topic<'t> {
    /// The topic of this name or ARN: by name, that of the queue's account and region.
    pub(crate) fn of(
        client: &'t Client,
        place: &'t Place,
        topic: &str,
        queue_arn: &'t str,
    ) -> Option<Self> {
        let arn = if is_arn(topic) {
            topic.to_owned()
        } else {
            // arn:aws:sqs:REGION:ACCOUNT:NAME
            let parts: Vec<_> = queue_arn.split(':').collect();
            let [arn, partition, _, region, account, _] = parts[..] else {
                return None;
            };
            format!("{arn}:{partition}:sns:{region}:{account}:{topic}")
        };
        Some(Self {
            client,
            place,
            arn,
            queue_arn,
        })
    }

    pub(crate) fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    fn call<'c>(&'c self, what: &'static str) -> Call<'c> {
        Call {
            what,
            queue: self.name(),
            route: None,
            place: self.place,
        }
    }

    /// Whether SNS can deliver from it to the queue: only a FIFO topic feeds a FIFO queue (SNS guide, "message delivery for FIFO topics").
    pub(crate) fn fits(&self) -> bool {
        is_fifo(&self.arn) || !is_fifo(self.queue_arn)
    }

    pub(crate) async fn exists(&self) -> Result<Seen, Error> {
        let look = self.client.get_topic_attributes().topic_arn(&self.arn);
        match Box::pin(look.send()).await {
            Ok(_) => Ok(Seen::Yes),
            Err(SdkError::ServiceError(error)) if error.err().is_not_found_exception() => {
                Ok(Seen::No)
            }
            Err(error) if is_denied(&error) => Ok(Seen::Denied("sns:GetTopicAttributes")),
            Err(error) => Err(self.call("finding").failed(&error)),
        }
    }

    pub(crate) async fn is_subscribed(&self) -> Result<Seen, Error> {
        let mut from = None;
        loop {
            let page = self
                .client
                .list_subscriptions_by_topic()
                .topic_arn(&self.arn)
                .set_next_token(from);
            let page = match Box::pin(page.send()).await {
                Ok(page) => page,
                Err(error) if is_denied(&error) => {
                    return Ok(Seen::Denied("sns:ListSubscriptionsByTopic"));
                }
                Err(error) => return Err(self.call("listing subscriptions").failed(&error)),
            };
            // Instead of an ARN it may say that it waits to be confirmed.
            let mut ours = page.subscriptions().iter().filter(|one| {
                one.endpoint() == Some(self.queue_arn) && one.subscription_arn().is_some_and(is_arn)
            });
            if ours.next().is_some() {
                return Ok(Seen::Yes);
            }
            from = page.next_token;
            if from.is_none() {
                return Ok(Seen::No);
            }
        }
    }

    pub(crate) async fn create(&self) -> Result<(), Error> {
        let mut create = self.client.create_topic().name(self.name());
        if is_fifo(&self.arn) {
            create = create.attributes("FifoTopic", "true");
        }
        match Box::pin(create.send()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.call("making a topic").failed(&error)),
        }
    }

    /// With the envelope: raw delivery off.
    pub(crate) async fn subscribe(&self) -> Result<(), Error> {
        let subscribe = self.client.subscribe().topic_arn(&self.arn);
        let subscribe = subscribe.protocol("sqs").endpoint(self.queue_arn);
        match Box::pin(subscribe.send()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.call("subscribing").failed(&error)),
        }
    }

    /// The command that makes it.
    pub(crate) fn create_line(&self) -> String {
        let fifo = if is_fifo(&self.arn) {
            " --attributes FifoTopic=true"
        } else {
            ""
        };
        format!(
            "aws sns create-topic{} --name {}{fifo}",
            self.place.options(),
            self.name()
        )
    }

    /// The command that subscribes the queue.
    pub(crate) fn subscribe_line(&self) -> String {
        format!(
            "aws sns subscribe{} --topic-arn {} --protocol sqs --notification-endpoint {}",
            self.place.options(),
            quoted(&self.arn),
            quoted(self.queue_arn)
        )
    }
}
