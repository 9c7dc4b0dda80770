//! The queue that dead letters are sent to. It may be in another region, which only SQS has.

use std::sync::{Arc, PoisonError};

use loafer_core::{Error, broker::Destination};

use super::Found;
use crate::{client::Clients, error::Call, names::QueueAddress, outgoing::SQS_BYTES, topology};

/// A queue that dead letters are sent to, with the clients for its region.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) clients: Clients,
    pub(super) url: Arc<str>,
    /// `None` means that we may not read it.
    pub(super) arn: Option<String>,
    /// The most bytes that a message can have there: its `MaximumMessageSize`, or SQS's own limit if we may not read that.
    pub(super) limit: usize,
}

impl Found {
    /// Returns where dead letters go.
    pub(super) async fn target(&self, to: &Destination) -> Result<Target, Error> {
        let queue = match to {
            Destination::Source => {
                return Ok(Target {
                    clients: self.clients.clone(),
                    url: self.source.url.as_str().into(),
                    arn: Some(self.source.arn.clone()),
                    limit: self.source.limit,
                });
            }
            Destination::Queue(queue) => queue,
        };
        let last = || self.target.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, target)) = last().as_ref().filter(|(named, _)| named == queue) {
            return Ok(target.clone());
        }
        let target = self.find_target(queue).await?;
        *last() = Some((queue.clone(), target.clone()));
        Ok(target)
    }

    async fn find_target(&self, queue: &str) -> Result<Target, Error> {
        let clients = self.clients.for_queue(queue);
        let endpoint = Arc::clone(&clients.endpoint);
        let call = Call::new("finding", queue, &endpoint);
        let address = QueueAddress::parse(queue);
        let found = topology::find(clients, address, call).await?;
        let named = match address {
            QueueAddress::Arn(arn) => Some(arn.as_str().to_owned()),
            QueueAddress::Name(_) | QueueAddress::Url(_) => None,
        };
        let attributes = found.attributes.unwrap_or_default();
        let (arn, limit) = (attributes.arn, attributes.max_bytes);
        let arn = arn.or(named);
        // One queue has many URLs, which differ in the name of the host.
        if found.url == self.dead_letters.url || arn.as_deref() == Some(&*self.dead_letters.arn) {
            let cause = "it is the dead-letter queue itself: name another";
            return Err(call.refused(cause.to_owned(), None));
        }
        Ok(Target {
            clients: found.clients,
            url: found.url.into(),
            arn,
            limit: limit.unwrap_or(SQS_BYTES),
        })
    }
}
