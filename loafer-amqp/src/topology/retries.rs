//! The delay queues of a service: its retries wait in them, whatever queue they come back to. Other brokers delay messages where they are.
//!
//! A retry waits in the delay queue of its step, comes to the queue of due messages, and is published from there to the exchange that each queue of the
//! service is bound to by its name.

use std::time::Duration;

use lapin::{ExchangeKind, types::FieldTable};
use loafer_core::Error;

use super::{DECLARING, Plan, arguments, find, make};
use crate::{
    client::Link,
    error::{self, ACCESS_REFUSED, PRECONDITION_FAILED},
    names,
    options::{Declare, QueueType},
};

/// Makes the queue of due messages, and the exchange behind it.
pub(crate) async fn make_due(link: &Link, delays: &str) -> Result<(), Error> {
    let none = FieldTable::default();
    let answer = make::exchange(link, delays, ExchangeKind::Direct, none, delays).await?;
    if may_exist(&answer) && find::exchange(link, delays, delays).await? {
        tracing::debug!(exchange = delays, "not declared: used as it is");
    } else {
        answer.map_err(|failed| error::unreachable(make::DECLARING_EXCHANGE, delays, failed))?;
    }
    let arguments = arguments::unlimited(QueueType::Quorum);
    queue(link, &names::due_queue(delays), arguments).await
}

/// Makes the delay queue in which retries wait this long.
pub(crate) async fn make_retry_queue(
    link: &Link,
    delays: &str,
    delay: Duration,
) -> Result<(), Error> {
    let arguments = arguments::delay(delay, "", Some(&names::due_queue(delays)));
    queue(link, &names::retry_queue(delays, delay), arguments).await
}

impl Plan {
    /// Makes what retries come back by. If we may not bind the queue, and may only verify what others declared, then they bound it.
    pub(crate) async fn declare_way_back(&self, link: &Link) -> Result<(), Error> {
        make_due(link, &self.delays).await?;
        let bound = make::bind(link, &self.queue, &self.delays, &self.queue).await?;
        let refused = bound.as_ref().err().and_then(error::code) == Some(ACCESS_REFUSED);
        if refused && self.declare == Declare::Verify && self.made.get().is_none() {
            tracing::debug!(queue = self.queue, "not bound: taken to be bound");
            return Ok(());
        }
        bound.map_err(|failed| error::unreachable(make::BINDING, &self.queue, failed))
    }
}

/// Declares a queue. One that exists in another form is used as it is, and so is one that we may not make.
async fn queue(link: &Link, name: &str, arguments: FieldTable) -> Result<(), Error> {
    let answer = make::queue(link, DECLARING, name, arguments).await?;
    if may_exist(&answer) && find::queue(link, name).await?.is_some() {
        tracing::debug!(queue = name, "not declared: used as it is");
        return Ok(());
    }
    answer.map_err(|failed| error::unreachable(DECLARING, name, failed))
}

fn may_exist(answer: &lapin::Result<()>) -> bool {
    let refused = answer.as_ref().err().and_then(error::code);
    matches!(refused, Some(ACCESS_REFUSED | PRECONDITION_FAILED))
}
