//! Names: of queues, of headers, and of what a topic stands for.
//!
//! | module | what it is |
//! |---|---|
//! | [`headers`] | headers that stand for properties of AMQP, and those that Loafer writes |
//! | `routing` | [`Routing`](routing::Routing): the exchange and routing key that a topic stands for |
//! | `replies` | addresses of replies |

pub mod headers;
pub(crate) mod replies;
pub(crate) mod routing;

use std::time::Duration;

/// The longest name of a queue, exchange, routing key or header, and the longest property, in bytes (AMQP 0-9-1, short strings).
pub(crate) const MAX_BYTES: usize = 255;

/// Returns the queue of an event for an app, in lower case and with dots for spaces. Two apps have a queue each, and processes of one app share one.
pub(crate) fn queue(event: &str, app: Option<&str>) -> String {
    let name = match app {
        Some(app) => format!("{event}.{app}"),
        None => event.to_owned(),
    };
    name.to_lowercase().replace(' ', ".")
}

/// Returns the dead-letter queue of a queue.
pub(crate) fn dead(queue: &str) -> String {
    format!("{queue}.dead")
}

/// Returns the queue of a queue's isolated messages.
pub(crate) fn isolated(queue: &str) -> String {
    format!("{queue}.isolated")
}

/// Returns the name that the delay queues of a service begin with, which is also that of the exchange behind them. A
/// service without a name has them for each of its queues: shared with other such services, they would wait for the slowest of these.
pub(crate) fn delays(service: &str) -> String {
    queue(service, Some("delays"))
}

/// Returns the delay queue of a service in which retries wait this long.
pub(crate) fn retry_queue(delays: &str, delay: Duration) -> String {
    format!("{delays}.{}s", delay.as_secs())
}

/// Returns the queue of a service's retries whose time has come.
pub(crate) fn due_queue(delays: &str) -> String {
    format!("{delays}.due")
}

/// Returns how long messages wait in this delay queue of a service. `None` means that it is none of them.
pub(crate) fn waited(delays: &str, queue: &str) -> Option<Duration> {
    let seconds = queue.strip_prefix(delays)?.strip_prefix('.')?;
    seconds
        .strip_suffix('s')?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// Returns the delay queue in which messages that are published to a queue wait this long.
pub(crate) fn delay_queue(queue: &str, delay: Duration) -> String {
    format!("{queue}.retry.{}s", delay.as_secs())
}

/// Returns the queue whose messages wait in the delay queue of this name. Any other name is returned as it is.
pub(crate) fn without_delay(name: &str) -> &str {
    let Some((queue, delay)) = name.rsplit_once(".retry.") else {
        return name;
    };
    match delay.strip_suffix('s').map(str::parse::<u64>) {
        Some(Ok(_)) => queue,
        _ => name,
    }
}

/// Returns whether this is the name of a delay queue.
pub(crate) fn is_delay_queue(name: &str) -> bool {
    let mut of = [".delay.", ".delays."].into_iter();
    let delay = of.find_map(|of| name.rsplit_once(of));
    let is_delay = |delay: &str| {
        delay
            .strip_suffix('s')
            .is_some_and(|s| s.parse::<u64>().is_ok())
    };
    without_delay(name) != name || delay.is_some_and(|(_, delay)| is_delay(delay))
}

/// Returns the delay queue in which messages for this routing key on an exchange wait this long.
pub(crate) fn delay_queue_to(exchange: &str, key: &str, delay: Duration) -> String {
    let exchange = routing::encoded(exchange);
    format!("{exchange}/{key}.delay.{}s", delay.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_the_event_and_the_app_in_lower_case_with_dots_for_spaces() {
        assert_eq!(
            queue("Sample Event", Some("Billing")),
            "sample.event.billing"
        );
        assert_eq!(queue("#", Some("audit")), "#.audit");
        assert_eq!(queue("order.closed", None), "order.closed");
    }

    #[test]
    fn dead_letters_and_retries_are_beside_their_queue() {
        assert_eq!(dead("a.b"), "a.b.dead");
        assert_eq!(delay_queue("a.b", Duration::from_secs(16)), "a.b.retry.16s");
        assert_eq!(without_delay("a.b.retry.16s"), "a.b");
        assert_eq!(without_delay("a.retry.b"), "a.retry.b");
        let delays = delays("Sample App");
        assert_eq!(due_queue(&delays), "sample.app.delays.due");
        assert!(!is_delay_queue(&due_queue(&delays)));
        for delay_queue in [
            "a.b.retry.16s",
            "event/a.b.delay.1s",
            "loafer.delay.2048s",
            &retry_queue(&delays, Duration::from_secs(16)),
        ] {
            assert!(is_delay_queue(delay_queue), "{delay_queue}");
        }
        assert!(!is_delay_queue("a.delay.b") && !is_delay_queue("loafer.delay.due"));
    }
}
