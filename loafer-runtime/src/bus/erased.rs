//! Publishers and replies with their types erased, once for each broker.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use loafer_core::{
    Error,
    broker::{Finding, Open, PublishCapabilities, Publisher, Replies, Topic},
    message::{Message, MessageId, Outgoing},
};

/// A publisher whose type is erased.
pub(crate) trait DynPublisher: Send + Sync {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: &'a [Outgoing],
    ) -> BoxFuture<'a, Vec<Result<MessageId, Error>>>;

    fn capabilities(&self, topic: &Topic) -> PublishCapabilities;

    fn check<'a>(&'a self, topics: &'a [Topic], mode: Open) -> BoxFuture<'a, Vec<Finding>>;

    fn rights(&self, topics: &[Topic]) -> Option<serde_json::Value>;

    fn is_ready(&self) -> bool;

    fn close(&self) -> BoxFuture<'_, ()>;
}

impl<P: Publisher> DynPublisher for P {
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        batch: &'a [Outgoing],
    ) -> BoxFuture<'a, Vec<Result<MessageId, Error>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(batch.len());
            Publisher::publish(self, topic, batch, &mut answers).await;
            answers
        })
    }

    fn capabilities(&self, topic: &Topic) -> PublishCapabilities {
        Publisher::capabilities(self, topic)
    }

    fn check<'a>(&'a self, topics: &'a [Topic], mode: Open) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(Publisher::check(self, topics, mode))
    }

    fn rights(&self, topics: &[Topic]) -> Option<serde_json::Value> {
        Publisher::rights(self, topics)
    }

    fn is_ready(&self) -> bool {
        Publisher::is_ready(self)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Publisher::close(self))
    }
}

/// A broker's replies with their type erased.
pub(crate) trait DynReplies: Send + Sync {
    fn address(&self) -> BoxFuture<'_, Result<String, Error>>;
    fn receive(&self, wait: Duration) -> BoxFuture<'_, Result<Vec<Message>, Error>>;
    fn left_behind(&self, delete: bool) -> BoxFuture<'_, Vec<Finding>>;
    fn close(&self) -> BoxFuture<'_, ()>;
}

impl<R: Replies> DynReplies for R {
    fn address(&self) -> BoxFuture<'_, Result<String, Error>> {
        Box::pin(Replies::address(self))
    }

    fn receive(&self, wait: Duration) -> BoxFuture<'_, Result<Vec<Message>, Error>> {
        Box::pin(async move {
            let mut replies = Vec::new();
            Replies::receive(self, wait, &mut replies).await?;
            Ok(replies)
        })
    }

    fn left_behind(&self, delete: bool) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(Replies::left_behind(self, delete))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Replies::close(self))
    }
}

/// Erased replies, as an app keeps them.
pub(crate) type SharedReplies = Arc<dyn DynReplies>;
