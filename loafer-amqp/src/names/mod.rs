//! What queues are called.

pub mod headers;
pub(crate) mod routing;

use std::time::Duration;

/// The queue of an event for an app: lower case, spaces to dots, so that two apps each have their own and two processes of one app share one.
pub(crate) fn queue(event: &str, app: Option<&str>) -> String {
    let name = match app {
        Some(app) => format!("{event}.{app}"),
        None => event.to_owned(),
    };
    name.to_lowercase().replace(' ', ".")
}

/// The queue of its dead letters.
pub(crate) fn dead(queue: &str) -> String {
    format!("{queue}.dead")
}

/// The queue in which its retries wait for so long.
pub(crate) fn rung(queue: &str, delay: Duration) -> String {
    format!("{queue}.retry.{}s", delay.as_secs())
}

/// The queue whose retries wait in one of this name; any other name is its own.
pub(crate) fn of_rung(name: &str) -> &str {
    let Some((queue, delay)) = name.rsplit_once(".retry.") else {
        return name;
    };
    match delay.strip_suffix('s').map(str::parse::<u64>) {
        Some(Ok(_)) => queue,
        _ => name,
    }
}

/// The queue in which what is bound for this key on an exchange waits first.
pub(crate) fn delayed(exchange: &str, key: &str, delay: Duration) -> String {
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
        assert_eq!(rung("a.b", Duration::from_secs(16)), "a.b.retry.16s");
        assert_eq!(of_rung("a.b.retry.16s"), "a.b");
        assert_eq!(of_rung("a.retry.b"), "a.retry.b");
    }
}
