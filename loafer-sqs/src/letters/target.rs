//! The queue that letters are sent to.

use std::sync::{Arc, PoisonError};

use loafer_core::{Destination, Error};

use super::Found;
use crate::{
    config::Clients,
    error::Call,
    queue::{self, is_arn},
};

/// A queue that letters are sent to, with the clients that reach it.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) clients: Clients,
    pub(super) url: Arc<str>,
    /// None where it may not be read.
    pub(super) arn: Option<String>,
}

impl Found {
    /// Where letters go.
    pub(super) async fn target(&self, to: &Destination) -> Result<Target, Error> {
        let queue = match to {
            Destination::Source => {
                return Ok(Target {
                    clients: self.clients.clone(),
                    url: self.source.url.as_str().into(),
                    arn: Some(self.source.arn.clone()),
                });
            }
            Destination::Queue(queue) => queue,
            other => {
                return Err(Error::Config(format!(
                    "SQS can't send letters to {other:?}"
                )));
            }
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
        let clients = self.clients.for_url(queue);
        let call = Call {
            what: "finding",
            queue,
            route: None,
            place: &clients.place,
        };
        let url = match is_arn(queue) {
            true => queue::url_of_arn(&clients.sqs, queue, call).await?,
            false => queue::url(&clients.sqs, queue, None, call).await?,
        };
        let attributes = queue::attributes(&clients.sqs, &url, call).await?;
        let arn = attributes.and_then(|attributes| attributes.arn);
        // An endpoint of one region knows a queue of the same name, and not the one that is meant.
        if let Some(found) = arn.as_deref()
            && is_arn(queue)
            && found != queue
        {
            let cause = format!("`{found}` was found in its place: name the queue by its URL");
            return Err(call.refused(cause, None));
        }
        let named = is_arn(queue).then(|| queue.to_owned());
        let arn = arn.or(named);
        // Of one queue there are many URLs, by the name of the host.
        if url == self.letters.url || arn.as_deref() == Some(&*self.letters.arn) {
            let cause = "it is the dead-letter queue itself: name another";
            return Err(call.refused(cause.to_owned(), None));
        }
        let url = url.into();
        Ok(Target { clients, url, arn })
    }
}
