//! Whether a queue holds the dead letters of other queues, as their redrive policies say. Only SQS has no name of its own for such a queue.

use std::time::Duration;

use aws_sdk_sqs::types::Message;
use tokio::{sync::Mutex, time::Instant};

use super::{Opened, SqsProvider};
use crate::message::{Folded, has_envelope};

/// For how long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(60);

/// Whether other queues send their dead letters here, and when SQS said so. `None` means that nobody needed to know yet.
#[derive(Default)]
pub(super) struct DeadLettersOfOthers(Mutex<Option<(bool, Instant)>>);

impl SqsProvider {
    /// Returns what becomes of headers that are folded into envelopes of these messages. Only a route on a dead-letter queue costs a call, one a minute.
    pub(super) async fn folded(&self, opened: &Opened, messages: &[Message]) -> Folded {
        match messages.iter().any(has_envelope) && Box::pin(self.has_sources(opened)).await {
            true => Folded::Restored,
            false => Folded::Left,
        }
    }

    async fn has_sources(&self, opened: &Opened) -> bool {
        let mut known = opened.holds_dead_letters.0.lock().await;
        if let Some((has, said)) = *known
            && said.elapsed() < BELIEVED
        {
            return has;
        }
        let sqs = &opened.found.clients.sqs;
        let list = sqs.list_dead_letter_source_queues().max_results(1);
        let list = list.queue_url(&opened.found.url);
        let has = match Box::pin(list.send()).await {
            Ok(sources) => !sources.queue_urls.is_empty(),
            Err(error) => {
                let (route, queue) = (&self.route, &self.queue);
                let call = self.call("listing the sources", &opened.found.clients.endpoint);
                let error = call.failed(&error);
                tracing::warn!(route, queue, %error, "whether the queue holds dead letters can't be seen, so headers that are folded into their envelopes stay there; allow sqs:ListDeadLetterSourceQueues on the queue");
                known.is_some_and(|(has, _)| has)
            }
        };
        *known = Some((has, Instant::now()));
        has
    }
}
