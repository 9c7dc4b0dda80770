//! What the command `check` says about a queue.
//!
//! AMQP shows whether a queue exists, how many messages are ready, and how many consumers it has. How it was declared shows only to a client that declares
//! it differently. Its bindings and policies can't be seen at all.

use bytes::Bytes;
use humantime::format_duration;
use lapin::BasicProperties;
use loafer_core::{
    broker::{Capabilities, Finding},
    message::MessageId,
    policy::Policy,
};

use crate::{
    client::Link,
    error::ACCESS_REFUSED,
    names,
    options::{Declare, QueueType},
    outgoing::Entry,
    publisher::channels::{PublishChannels, Unsent},
    topology::{Plan, compare::Comparison, find, retries},
};

/// Returns what there is to say about a route's queue once it is open.
pub(crate) async fn check(
    (link, channels): (&Link, &PublishChannels),
    plan: &Plan,
    policy: &Policy,
    capabilities: &Capabilities,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if !queue(link, plan, &mut found).await {
        return found;
    }
    let consumed = find::may_consume(link, &plan.queue).await.err();
    found.extend(consumed.map(|error| Finding::problem(error.to_string())));
    bindings(link, plan, &mut found).await;
    dead_letters(link, plan, &mut found).await;
    delay_queues(link, plan, &mut found).await;
    found.extend(isolated(link, plan).await);
    let copied = "retries and dead letters can't be sent";
    found.extend(may_publish(channels, plan, "", copied).await);
    found.extend(way_back(link, channels, plan).await);
    found.extend(limit(plan, policy));
    let section = link.identity().section();
    found.extend(times(policy, capabilities, &section));
    found
}

/// Says whether the queue exists, and how it was made. Returns whether it exists.
async fn queue(link: &Link, plan: &Plan, found: &mut Vec<Finding>) -> bool {
    let (queue, route) = (&plan.queue, &plan.route);
    let there = match find::queue(link, queue).await {
        Ok(Some(there)) => there,
        Ok(None) if plan.declare == Declare::Create => {
            found.push(Finding::warning(format!(
                "queue `{queue}` does not exist yet: the program makes it when it starts, and `check --create` makes it now"
            )));
            return false;
        }
        Ok(None) => {
            let remedy = plan.remedy();
            let text = format!("queue `{queue}` does not exist: {remedy}");
            found.push(Finding::problem(text));
            return false;
        }
        Err(error) => {
            found.push(Finding::problem(error.to_string()));
            return false;
        }
    };
    let (messages, consumers) = (there.messages, there.consumers);
    found.push(Finding::good(format!(
        "queue `{queue}` is there: {messages} messages ready, {consumers} consumers"
    )));
    found.extend(match plan.compare(link).await {
        Comparison::Same => plan.about_limit().map(Finding::warning),
        Comparison::Differs(how) => Some(Finding::warning(format!(
            "queue `{queue}` is not as the route would make it: {how}. RabbitMQ tells the first difference only. Set `queue_type` and `arguments` under \
             [routes.{route}.options] to what it was made with, or delete it once it is empty"
        ))),
        Comparison::Unknown(why) => Some(Finding::warning(format!(
            "how queue `{queue}` was made can't be seen: {why}; let the user configure it, or look at RabbitMQ's own page"
        ))),
    });
    if plan.queue_type == QueueType::Classic {
        found.push(Finding::warning(format!(
            "queue `{queue}` is a classic one, which does not count deliveries: a message that ends its process is redelivered for ever; and what RabbitMQ itself \
             dead-letters from it may be lost on the way. Leave `queue_type` under [routes.{route}.options] out"
        )));
    }
    true
}

/// Says which events the queue gets.
async fn bindings(link: &Link, plan: &Plan, found: &mut Vec<Finding>) {
    let (queue, exchange) = (&plan.queue, &plan.exchange);
    if exchange.is_empty() {
        let text = format!("queue `{queue}` is bound to no exchange: it gets no events");
        return found.push(Finding::good(text));
    }
    let keys: Vec<_> = plan.bindings.iter().map(|key| format!("`{key}`")).collect();
    let keys = keys.join(", ");
    if plan.made.get().is_some() {
        let text = format!("queue `{queue}` is bound to the exchange `{exchange}` by {keys}");
        return found.push(Finding::good(text));
    }
    if plan.declare == Declare::Create {
        return found.push(Finding::good(format!(
            "queue `{queue}` is bound to the exchange `{exchange}` by {keys}, by the start at the latest"
        )));
    }
    found.push(
        match plan.exchange_exists(link, exchange, &plan.remedy()).await {
            Ok(()) => Finding::warning(format!(
                "whether queue `{queue}` is bound to the exchange `{exchange}` by {keys} can't be seen over AMQP: `check --create` binds it"
            )),
            Err(error) => Finding::problem(error.to_string()),
        },
    );
}

/// Says how many dead letters there are, and how their queue was made.
async fn dead_letters(link: &Link, plan: &Plan, found: &mut Vec<Finding>) {
    let (dead, route) = (plan.dead_letter_queue(), &plan.route);
    let target = &plan.dead_letter;
    match find::queue(link, dead).await {
        Ok(Some(there)) => {
            found.push(match there.messages {
                0 => Finding::good(format!("dead-letter queue `{dead}` is empty")),
                count => Finding::warning(format!(
                    "dead-letter queue `{dead}` holds {count} messages: look with `dead-letters {route} list`"
                )),
            });
            if there.consumers > 0 {
                found.push(Finding::warning(format!(
                    "dead-letter queue `{dead}` is consumed by {}: dead letters may be gone before anybody looks at them",
                    there.consumers
                )));
            }
            if let Comparison::Differs(how) = plan.compare_dead(link).await {
                found.push(Finding::warning(format!(
                    "dead-letter queue `{dead}` is not as Loafer makes it: {how}. A quorum queue with a delivery limit (RabbitMQ 4: 20, unless set) drops \
                     dead letters that were looked at more often: move them away, delete it once it is empty, and run `check --create`"
                )));
            }
        }
        Ok(None) if target.exchange.is_empty() || target.queue.is_some() => found.push(Finding::problem(format!(
            "dead-letter queue `{dead}` does not exist: {}",
            match plan.dead {
                Some(_) => "run `check --create`".to_owned(),
                None => format!(
                    "make it, or change `dead_letter_queue` and `dead_letter_routing_key` under [routes.{route}.options]"
                ),
            }
        ))),
        Ok(None) => found.push(Finding::warning(format!(
            "which queue gets the dead letters from the exchange `{}` by `{}` can't be seen over AMQP: set `dead_letter_queue = \"…\"` under \
             [routes.{route}.options], and `dead-letters` finds them",
            target.exchange, target.routing_key
        ))),
        Err(error) => found.push(Finding::problem(error.to_string())),
    }
}

/// Looks for the delay queues, unless a retry would make them. Makes them for `check --create`.
async fn delay_queues(link: &Link, plan: &Plan, found: &mut Vec<Finding>) {
    if plan.declare == Declare::Create {
        return;
    }
    let mut missing = Vec::new();
    for delay in plan.steps.iter() {
        let name = names::retry_queue(&plan.delays, delay);
        let there = match plan.made.get() {
            Some(()) => retries::make_retry_queue(link, &plan.delays, delay)
                .await
                .map(|()| true),
            None => find::queue(link, &name).await.map(|there| there.is_some()),
        };
        match there {
            Ok(true) => {}
            Ok(false) => missing.push(name),
            Err(error) => return found.push(Finding::problem(error.to_string())),
        }
    }
    found.push(match &missing[..] {
        [] => Finding::good("the queues in which retries wait are there"),
        [first, ..] => {
            let are = if missing.len() == 1 { "is" } else { "are" };
            let (count, all) = (missing.len(), plan.steps.iter().len());
            let missing = format!("{count} of {all} queues {are} missing, first `{first}`");
            match plan.declare {
                Declare::Off => Finding::problem(format!(
                    "retries have nowhere to wait: {missing}; run `check --create`, or make them by hand"
                )),
                _ => Finding::warning(format!(
                    "queues in which retries wait: {missing}; the first retry makes them, where the user may configure `{}.*`",
                    plan.delays
                )),
            }
        }
    });
}

/// Looks for the queue of isolated messages, unless the first of them would make it. Makes it for `check --create`.
async fn isolated(link: &Link, plan: &Plan) -> Option<Finding> {
    if plan.declare == Declare::Create {
        return None;
    }
    let name = names::isolated(&plan.queue);
    let there = match plan.made.get() {
        Some(()) => plan.declare_isolated(link).await.map(|()| true),
        None => find::queue(link, &name).await.map(|there| there.is_some()),
    };
    match there {
        Ok(true) => None,
        Ok(false) => Some(Finding::warning(format!(
            "queue `{name}` is missing: a message that ends its process again and again needs it, so that it runs alone; run `check --create`"
        ))),
        Err(error) => Some(Finding::problem(error.to_string())),
    }
}

/// Says whether retries whose time has come can be carried on.
async fn way_back(link: &Link, channels: &PublishChannels, plan: &Plan) -> Option<Finding> {
    let due = names::due_queue(&plan.delays);
    if let Err(error) = find::may_consume(link, &due).await {
        return Some(Finding::problem(error.to_string()));
    }
    match find::exchange(link, &plan.delays, &plan.queue).await {
        Ok(true) => may_publish(channels, plan, &plan.delays, "retries can't come back").await,
        // The program makes it when it starts.
        Ok(false) if plan.declare == Declare::Create => None,
        Ok(false) => Some(Finding::problem(format!(
            "retries can't come back: there is no exchange `{}`, which queue `{}` would be bound to by its name; run `check --create`",
            plan.delays, plan.queue
        ))),
        Err(error) => Some(Finding::problem(error.to_string())),
    }
}

/// Says whether messages can be published to an exchange. It publishes a message to no queue at all, which RabbitMQ refuses if a right is missing, and
/// returns otherwise. `what` is what can't be done then.
async fn may_publish(
    channels: &PublishChannels,
    plan: &Plan,
    exchange: &str,
    what: &str,
) -> Option<Finding> {
    let nowhere = format!("loafer-check-{}", MessageId::new());
    let probe = Entry {
        exchange: exchange.into(),
        routing_key: nowhere.into(),
        properties: BasicProperties::default(),
        payload: Bytes::new(),
        mandatory: true,
    };
    let answers = channels.publish(&plan.queue, &[probe].into()).await;
    match answers.into_iter().next()? {
        Ok(()) | Err(Unsent::Unroutable) => None,
        Err(Unsent::Closed(ACCESS_REFUSED, cause)) => {
            Some(Finding::problem(format!("{what}: {cause}")))
        }
        Err(Unsent::Refused(cause) | Unsent::Closed(_, cause) | Unsent::Unknown(cause)) => {
            let text = format!("a message can't be published: {cause}");
            Some(Finding::problem(text))
        }
    }
}

/// Compares RabbitMQ's limit of deliveries with the route's.
fn limit(plan: &Plan, policy: &Policy) -> Option<Finding> {
    let (queue, route, most) = (&plan.queue, &policy.route, plan.max_receives()?);
    let deliveries = policy.max_deliveries;
    (most <= deliveries).then(|| {
        Finding::warning(format!(
            "queue `{queue}` gives a message up after {most} deliveries, also of deploys and lost connections, before `max_deliveries = {deliveries}` finds out              whether it ends its process: raise the argument `x-delivery-limit` to 100, or set `max_deliveries` under [routes.{route}] to less than {most}"
        ))
    })
}

/// Compares the route's times with RabbitMQ's.
fn times(policy: &Policy, capabilities: &Capabilities, section: &str) -> Option<Finding> {
    let (route, timeout) = (&policy.route, policy.timeout?);
    let ceiling = capabilities.lease_ceiling?;
    // Without a prefetch of its own, a route whose handlers are slow holds no more than they work on, unless groups wait for one another.
    let grouped = policy.group_by.as_ref().map(|_| capabilities.prefetch);
    let ahead = policy.prefetch.or(grouped).unwrap_or(0);
    // The last of the messages that are held waits until all before it are done.
    let rounds = ahead.div_ceil(policy.concurrency.max(1)).saturating_add(1);
    let longest = timeout.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
    let (held, most) = (format_duration(longest), format_duration(ceiling));
    if timeout >= ceiling {
        return Some(Finding::problem(format!(
            "`timeout` under [routes.{route}] is {}, and RabbitMQ takes back what was not settled for {most}: shorten it, or raise `consumer_timeout` in \
             rabbitmq.conf and say so by `consumer_timeout` under [{section}]",
            format_duration(timeout)
        )));
    }
    (longest >= ceiling).then(|| {
        Finding::warning(format!(
            "with `timeout` and {ahead} messages held ahead of {} handlers one may wait {held}, and RabbitMQ takes back what was not settled for {most}: \
             set `prefetch` under [routes.{route}] to {} or less",
            policy.concurrency,
            policy.concurrency
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use loafer_core::broker::Level;

    use super::*;

    fn finding(timeout: Option<Duration>, prefetch: Option<usize>) -> Option<Finding> {
        let mut policy = Policy::new("orders");
        (policy.timeout, policy.prefetch) = (timeout, prefetch);
        let capabilities = Capabilities {
            lease_ceiling: Some(Duration::from_secs(30 * 60)),
            prefetch: 100,
            ..Capabilities::default()
        };
        times(&policy, &capabilities, "brokers.amqp")
    }

    #[test]
    fn a_timeout_beyond_the_consumer_timeout_is_a_problem() {
        let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
        assert!(finding(None, None).is_none());
        assert!(finding(minutes(2), None).is_none());
        let longest = finding(minutes(30), None).unwrap();
        assert_eq!(longest.level, Level::Problem);
        assert!(longest.text.contains("[brokers.amqp]"), "{}", longest.text);
        assert!(finding(minutes(5), None).is_none());
        // 100 ahead of 10 handlers: eleven rounds of five minutes.
        let long = finding(minutes(5), Some(100)).unwrap();
        assert_eq!(long.level, Level::Warning);
        assert!(long.text.contains("may wait 55m,"), "{}", long.text);
        assert!(finding(minutes(5), Some(10)).is_none());
    }
}
