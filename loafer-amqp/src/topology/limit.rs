//! The delivery limit of a route's queue: what RabbitMQ's quorum queues have, and nobody can change later.

use lapin::types::FieldTable;
use loafer_core::Error;

use super::{Plan, arguments::DELIVERY_LIMIT, make};
use crate::{
    client::Link,
    error::{PRECONDITION_FAILED, cause, code},
    options::{Declare, QueueType},
};

/// The argument with the limit: how often RabbitMQ takes a message back before it dead-letters it at the next time.
pub(super) const ARGUMENT: &str = "x-delivery-limit";

impl Plan {
    /// Declares the route's queue, and returns RabbitMQ's answer. If the queue exists with another delivery limit, declares it with that one, so that
    /// other differences show.
    pub(super) async fn declare_own(
        &self,
        link: &Link,
        what: &'static str,
    ) -> Result<lapin::Result<()>, Error> {
        let arguments = self.queue_arguments();
        let answer = make::queue(link, what, &self.queue, arguments.clone()).await?;
        let Some(limit) = answer.as_ref().err().and_then(other_limit) else {
            return Ok(answer);
        };
        let mut theirs = FieldTable::default();
        for (name, value) in &arguments {
            if name.as_str() != ARGUMENT {
                theirs.insert(name.clone(), value.clone());
            }
        }
        if let Some(limit) = limit {
            theirs.insert(ARGUMENT.into(), limit.into());
        }
        let answer = make::queue(link, what, &self.queue, theirs).await?;
        if answer.is_ok() {
            _ = self.other_limit.set(limit);
        }
        Ok(answer)
    }

    /// Returns what to know about a queue with another delivery limit than the route's. `None` means that no other limit was found.
    pub(crate) fn about_limit(&self) -> Option<String> {
        let limit = match self.other_limit.get()? {
            Some(limit) => format!("`{ARGUMENT}` {limit}"),
            None => format!("no `{ARGUMENT}` (RabbitMQ 4 then gives up after 20)"),
        };
        let own = self.wanted_limit().unwrap_or(DELIVERY_LIMIT);
        Some(format!(
            "queue `{}` has {limit} where this route would set {own}: it is used as it is. RabbitMQ dead-letters a message that \
             returns to it more often, by lost connections, crashes and deploys. No policy can raise it: delete the queue once it is empty, and it is made again with {own}; or set the \
             argument `{ARGUMENT}` under [routes.{}.options] to what it has",
            self.queue, self.route
        ))
    }

    /// Returns after how many deliveries RabbitMQ itself dead-letters a message. `None` means never, or that nobody knows.
    pub(crate) fn max_receives(&self) -> Option<u32> {
        if self.queue_type == QueueType::Classic {
            return None;
        }
        let found = self.other_limit.get().copied();
        let limit = found.unwrap_or_else(|| self.wanted_limit())?;
        // A negative limit is none.
        Some(u32::try_from(limit).ok()?.saturating_add(1))
    }

    /// Returns the limit that the queue has unless another one was found. `None` means that others made the queue and the route does not say.
    fn wanted_limit(&self) -> Option<i64> {
        let ours = self.declare == Declare::Create || self.made.get().is_some();
        self.whole_number(ARGUMENT)
            .or(ours.then_some(DELIVERY_LIMIT))
    }
}

/// Returns the limit that a queue has, if RabbitMQ refused to declare it with another one: "inequivalent arg 'x-delivery-limit' for queue 'paid' in vhost
/// '/': received '100' but current is '20'". `Some(None)` means that it has none.
fn other_limit(failed: &lapin::Error) -> Option<Option<i64>> {
    if code(failed) != Some(PRECONDITION_FAILED) {
        return None;
    }
    current(&cause(failed))
}

fn current(text: &str) -> Option<Option<i64>> {
    let (_, text) = text.split_once(&format!("inequivalent arg '{ARGUMENT}'"))?;
    let (_, current) = text.rsplit_once("but current is ")?;
    match current.starts_with("none") {
        true => Some(None),
        false => current.split('\'').nth(1)?.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_queue_is_read_from_the_refusal() {
        let text = |argument: &str, current: &str| {
            format!(
                "PRECONDITION_FAILED - inequivalent arg '{argument}' for queue 'paid' in vhost '/': received {current}"
            )
        };
        for (current, expected) in [
            ("'100' but current is '20'", Some(Some(20))),
            (
                "the value '100' of type 'long' but current is the value '-1' of type 'signedint'",
                Some(Some(-1)),
            ),
            (
                "the value '100' of type 'signedint' but current is none",
                Some(None),
            ),
            ("'100' but current is 'a lot'", None),
        ] {
            assert_eq!(super::current(&text(ARGUMENT, current)), expected);
        }
        let other = text("x-overflow", "'100' but current is '20'");
        assert_eq!(current(&other), None);
    }
}
