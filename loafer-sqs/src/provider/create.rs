//! What is made for a route where it is missing: its queue, dead letters, topic, subscription. What is there is not touched.

use aws_sdk_sqs::types::QueueAttributeName as Name;
use loafer_core::Error;

use super::{Opened, SqsProvider};
use crate::{
    queue::{self, Attributes},
    topic::{Seen, Topic, with_leave},
};

impl SqsProvider {
    /// Makes what the redrive policy and the translator of a queue ask for; `new` says that the queue was made just now.
    pub(super) async fn complete(
        &self,
        opened: &Opened,
        attributes: &Attributes,
        new: bool,
    ) -> Result<(), Error> {
        if let Some(redrive) = &attributes.redrive {
            self.complete_letters(opened, &redrive.target, attributes)
                .await?;
        }
        let Some(topic) = self.topic(opened, attributes) else {
            return Ok(());
        };
        if let Err(error) = self.feed_by(&topic, opened, new).await {
            // The queue can be consumed without; `check` tells what is missing.
            tracing::warn!(queue = self.queue, %error, "not fed by its topic");
        }
        Ok(())
    }

    async fn feed_by(&self, topic: &Topic<'_>, opened: &Opened, new: bool) -> Result<(), Error> {
        let named_by_arn = self.topic.as_deref() == Some(&*topic.arn);
        if !topic.fits() {
            return Ok(());
        }
        match topic.exists().await? {
            Seen::No if !named_by_arn => {
                topic.create().await?;
                self.tell(format!("made the SNS topic `{}`", topic.name()));
            }
            Seen::Yes => {}
            // What can't be seen may be there, and a topic of somebody else is theirs to make.
            Seen::No | Seen::Denied(_) => return Ok(()),
        }
        if matches!(topic.is_subscribed().await?, Seen::No) {
            topic.subscribe().await?;
            self.tell(format!(
                "subscribed queue `{}` to the SNS topic `{}`",
                self.queue,
                topic.name()
            ));
        }
        if new {
            let policy = with_leave(None, topic.queue_arn, &topic.arn).to_string();
            let call = self.call("setting the policy", &opened.clients.place);
            let set = opened.clients.sqs.set_queue_attributes();
            let set = set.queue_url(&opened.url).attributes(Name::Policy, policy);
            Box::pin(set.send())
                .await
                .map_err(|error| call.failed(&error))?;
            self.tell(format!(
                "let the SNS topic `{}` send to queue `{}`",
                topic.name(),
                self.queue
            ));
        }
        Ok(())
    }

    fn tell(&self, made: String) {
        tracing::info!(queue = self.queue, "{made}");
        self.made().push(made);
    }

    /// A dead-letter queue that a redrive policy names and that is not there, in the same account.
    async fn complete_letters(
        &self,
        opened: &Opened,
        target: &str,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let home = |arn: &str| arn.rsplit_once(':').map(|(home, _)| home.to_owned());
        if attributes.arn.as_deref().and_then(home) != home(target) {
            return Ok(());
        }
        let (sqs, letters) = (&opened.clients.sqs, queue::name(target));
        let call = self.call("opening", &opened.clients.place);
        if let Err(Error::UnknownQueue { .. }) = queue::url_of_arn(sqs, target, call).await {
            queue::make_letters(sqs, letters, call).await?;
            self.tell(format!("made the dead-letter queue `{letters}`"));
        }
        Ok(())
    }
}
