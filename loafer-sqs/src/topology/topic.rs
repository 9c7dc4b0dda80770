//! The SNS topics that feed a queue: found, made, subscribed, allowed to send. Only SQS is fed by another service.

use aws_sdk_sns::{Client, error::SdkError, types::Tag};
use loafer_core::Error;
use serde_json::{Value, json};

use crate::{
    client::Tags,
    error::{Call, is_denied},
    names::{Arn, Endpoint, is_fifo, quoted},
};

/// A topic, and the queue that should receive from it.
pub(crate) struct SnsTopic<'t> {
    client: &'t Client,
    endpoint: &'t Endpoint,
    /// The topic as it was named, by name or ARN.
    named: &'t str,
    /// The ARN of the topic.
    pub(crate) arn: String,
    queue_arn: &'t str,
}

/// What we could see of something.
pub(crate) enum Seen {
    Yes,
    No,
    /// We lack the permission for this action.
    Denied(&'static str),
}

/// What a queue's policy says of a topic. Only [`SnsTopic::statement`] itself is recognised: we do not evaluate policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// It contains the statement.
    Stated,
    /// It may allow the topic in other words, or forbid it.
    NotJudged,
    /// The queue has no policy, so the topic may not send.
    NoPolicy,
}

impl<'t> SnsTopic<'t> {
    /// Returns the topic of this name or ARN. A name means a topic in the queue's account and region. `None` means that the queue's ARN can't
    /// be read.
    pub(crate) fn new(
        client: &'t Client,
        endpoint: &'t Endpoint,
        named: &'t str,
        queue_arn: &'t str,
    ) -> Option<Self> {
        let arn = match Arn::parse(named) {
            Some(_) => named.to_owned(),
            None => Arn::parse(queue_arn)?.of_topic(named),
        };
        Some(Self {
            client,
            endpoint,
            named,
            arn,
            queue_arn,
        })
    }

    pub(crate) fn name(&self) -> &str {
        Arn::parse(&self.arn).map_or(self.named, |arn| arn.name())
    }

    pub(crate) fn is_named_by_arn(&self) -> bool {
        self.named == self.arn
    }

    /// Returns whether it is named by a pattern, which SNS does not know.
    pub(crate) fn is_pattern(&self) -> bool {
        self.named.contains(['*', '#'])
    }

    fn call<'c>(&'c self, what: &'static str) -> Call<'c> {
        Call::new(what, self.name(), self.endpoint)
    }

    /// Returns whether SNS can deliver from the topic to the queue. Only a FIFO topic feeds a FIFO queue (SNS guide, "message delivery for
    /// FIFO topics").
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
            // A subscription that waits to be confirmed says so in place of its ARN.
            let mut ours = page.subscriptions().iter().filter(|one| {
                let arn = one.subscription_arn().and_then(Arn::parse);
                one.endpoint() == Some(self.queue_arn) && arn.is_some()
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

    pub(crate) async fn create(&self, tags: &Tags) -> Result<(), Error> {
        let call = self.call("making a topic");
        create_topic(self.client, self.name(), tags, call).await
    }

    /// Subscribes the queue without raw message delivery, so that messages come in their envelope.
    pub(crate) async fn subscribe(&self) -> Result<(), Error> {
        let subscribe = self.client.subscribe().topic_arn(&self.arn);
        let subscribe = subscribe.protocol("sqs").endpoint(self.queue_arn);
        match Box::pin(subscribe.send()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.call("subscribing").failed(&error)),
        }
    }

    /// Returns the command line that makes the topic.
    pub(crate) fn create_line(&self) -> String {
        create_topic_line(self.endpoint, self.name())
    }

    /// Returns the command line that subscribes the queue.
    pub(crate) fn subscribe_line(&self) -> String {
        format!(
            "aws sns subscribe{} --topic-arn {} --protocol sqs --notification-endpoint {}",
            self.endpoint.options(),
            quoted(&self.arn),
            quoted(self.queue_arn)
        )
    }

    /// Returns the statement with which a queue's policy lets the topic send.
    fn statement(&self) -> Value {
        json!({
            "Effect": "Allow",
            "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": self.queue_arn,
            "Condition": { "ArnEquals": { "aws:SourceArn": self.arn } },
        })
    }

    /// Looks for the statement in a queue's policy. Its id, `Sid`, does not matter.
    pub(crate) fn permission(&self, policy: Option<&str>) -> Permission {
        let Some(policy) = policy.filter(|policy| !policy.is_empty()) else {
            return Permission::NoPolicy;
        };
        let policy = serde_json::from_str(policy).unwrap_or(Value::Null);
        let wanted = self.statement();
        let is_stated = statements(&policy).any(|statement| {
            let mut statement = statement.clone();
            if let Some(statement) = statement.as_object_mut() {
                statement.remove("Sid");
            }
            statement == wanted
        });
        match is_stated {
            true => Permission::Stated,
            false => Permission::NotJudged,
        }
    }
}

/// Makes a topic. It is FIFO if its name says so.
pub(crate) async fn create_topic(
    client: &Client,
    name: &str,
    tags: &Tags,
    call: Call<'_>,
) -> Result<(), Error> {
    let mut create = client.create_topic().name(name);
    for (key, value) in tags {
        let tag = Tag::builder().key(key).value(value).build();
        create = create.tags(tag.map_err(|error| call.unsendable(&error))?);
    }
    if is_fifo(name) {
        create = create.attributes("FifoTopic", "true");
    }
    match Box::pin(create.send()).await {
        Ok(_) => Ok(()),
        Err(error) => Err(call.failed(&error)),
    }
}

/// Returns the command line that makes a topic.
pub(crate) fn create_topic_line(endpoint: &Endpoint, name: &str) -> String {
    let fifo = match is_fifo(name) {
        true => " --attributes FifoTopic=true",
        false => "",
    };
    format!(
        "aws sns create-topic{} --name {name}{fifo}",
        endpoint.options()
    )
}

/// Returns a queue's policy with the statements of these topics added where they are missing. All that it contains stays.
pub(crate) fn policy<'t>(
    policy: Option<&str>,
    topics: impl IntoIterator<Item = &'t SnsTopic<'t>>,
) -> Value {
    let missing = topics
        .into_iter()
        .filter(|topic| topic.permission(policy) != Permission::Stated)
        .map(SnsTopic::statement)
        .collect::<Vec<_>>();
    let mut policy = policy
        .and_then(|policy| serde_json::from_str::<Value>(policy).ok())
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({ "Version": "2012-10-17" }));
    let stated = statements(&policy).cloned();
    policy["Statement"] = stated.chain(missing).collect();
    policy
}

/// Returns the statements of a policy, which AWS also writes as a single one.
fn statements(policy: &Value) -> impl Iterator<Item = &Value> {
    let (one, several) = match &policy["Statement"] {
        Value::Array(several) => (None, several.as_slice()),
        Value::Null => (None, &[][..]),
        one => (Some(one), &[][..]),
    };
    one.into_iter().chain(several)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sns::config::{BehaviorVersion, Config};

    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:1:orders";
    const QUEUE: &str = "arn:aws:sqs:eu-west-1:1:orders";

    fn with_topic<T>(topic: &str, test: impl FnOnce(&SnsTopic<'_>) -> T) -> T {
        let config = Config::builder().behavior_version(BehaviorVersion::latest());
        let client = Client::from_conf(config.build());
        let endpoint = Endpoint::new("sns", "eu-west-1", None);
        test(&SnsTopic::new(&client, &endpoint, topic, QUEUE).unwrap())
    }

    fn permission(policy: Option<&Value>) -> Permission {
        let policy = policy.map(Value::to_string);
        with_topic(TOPIC, |topic| topic.permission(policy.as_deref()))
    }

    #[test]
    fn a_topic_has_the_queues_account_unless_its_arn_says_otherwise() {
        with_topic("orders", |topic| {
            assert_eq!((topic.name(), &*topic.arn), ("orders", TOPIC));
            assert!(!topic.is_named_by_arn());
        });
        with_topic("arn:aws:sns:eu-west-1:2:others", |topic| {
            assert_eq!(topic.name(), "others");
            assert!(topic.is_named_by_arn());
        });
    }

    #[test]
    fn the_policy_that_is_made_has_the_statement_and_keeps_what_was_there() {
        let policy = with_topic("others", |others| super::policy(None, [others]));
        assert_eq!(permission(Some(&policy)), Permission::NotJudged);
        let text = policy.to_string();
        let both = with_topic(TOPIC, |topic| super::policy(Some(&text), [topic]));
        assert_eq!(permission(Some(&both)), Permission::Stated);
        let both = both.to_string();
        let others = with_topic("others", |others| others.permission(Some(&both)));
        assert_eq!(others, Permission::Stated);
    }

    #[test]
    fn a_statement_may_have_an_id_and_stand_alone() {
        let mut policy = with_topic(TOPIC, |topic| super::policy(None, [topic]));
        policy["Statement"][0]["Sid"] = "sns".into();
        assert_eq!(permission(Some(&policy)), Permission::Stated);
        let alone = json!({ "Statement": policy["Statement"][0] });
        assert_eq!(permission(Some(&alone)), Permission::Stated);
    }

    #[test]
    fn another_policy_is_not_judged() {
        let all = json!({ "Effect": "Allow", "Principal": "*", "Action": "sqs:*" });
        for policy in [json!({ "Statement": all }), json!({}), json!("no policy")] {
            assert_eq!(permission(Some(&policy)), Permission::NotJudged);
        }
    }

    #[test]
    fn without_a_policy_a_topic_may_not_send() {
        assert_eq!(permission(None), Permission::NoPolicy);
        let empty = with_topic(TOPIC, |topic| topic.permission(Some("")));
        assert_eq!(empty, Permission::NoPolicy);
    }
}
