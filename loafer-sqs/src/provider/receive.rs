//! Receiving.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::{error::SdkError, operation::receive_message::ReceiveMessageError};
use loafer_core::{Delivery, Error, MessageId};
use tokio::time::{Instant, timeout};

use super::{Opened, Receipt, SqsProvider};
use crate::message;

/// The longest poll (SQS API: `ReceiveMessage`).
const POLL: Duration = Duration::from_secs(20);
/// What a receive may take beyond its poll: connections die without a word.
const GRACE: Duration = Duration::from_secs(5);
/// How long SQS gives the same messages for the same attempt (SQS API: `ReceiveRequestAttemptId`, 5 minutes).
const REPEATABLE: Duration = Duration::from_secs(4 * 60);

impl SqsProvider {
    pub(super) async fn receive_into(
        &self,
        opened: &Opened,
        max: usize,
        wait: Duration,
        into: &mut Vec<Delivery<Receipt>>,
    ) -> Result<(), Error> {
        if max == 0 {
            return Ok(());
        }
        let wait = wait.min(POLL);
        let attempt = opened.fifo.then(|| self.attempts.take());
        let receive = opened
            .clients
            .receive
            .receive_message()
            .queue_url(&opened.url)
            .max_number_of_messages(max.min(10) as i32)
            .wait_time_seconds(wait.as_secs() as i32)
            .set_visibility_timeout(opened.visibility)
            .set_message_system_attribute_names(Some(message::ASKED.into()))
            .message_attribute_names("All")
            .set_receive_request_attempt_id(attempt.as_ref().map(|attempt| attempt.id.clone()));

        let call = self.call("receive", &opened.clients.place);
        let answer = timeout(wait + GRACE, Box::pin(receive.send())).await;
        let lost = !matches!(&answer, Ok(Ok(_) | Err(SdkError::ServiceError(_))));
        if let Some(attempt) = attempt.filter(|_| lost) {
            self.attempts.give_back(attempt);
        }
        let answer: Result<_, SdkError<ReceiveMessageError>> =
            answer.map_err(|_| call.timed_out(wait + GRACE))?;
        let messages = answer
            .map_err(|error| call.failed(&error))?
            .messages
            .unwrap_or_default();

        let received = Instant::now();
        let deliveries = messages.into_iter().map(|message| {
            let (message, handle) = message::from_sdk(message);
            Delivery {
                receipt: Receipt::new(handle, received),
                message,
            }
        });
        if opened.clients.payloads.is_some() {
            let deliveries = deliveries.collect();
            into.extend(Box::pin(self.with_payloads(opened, deliveries)).await);
        } else {
            into.extend(deliveries);
        }
        Ok(())
    }
}

/// The attempt ids of FIFO receives whose answers were lost: asked again, SQS gives the same messages, which would
/// otherwise stand, with all behind them, to the end of their lease.
#[derive(Default)]
pub(super) struct AttemptIds(Mutex<Vec<AttemptId>>);

pub(super) struct AttemptId {
    id: String,
    made: Instant,
}

impl AttemptIds {
    fn take(&self) -> AttemptId {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.retain(|attempt| attempt.made.elapsed() < REPEATABLE);
        lost.pop().unwrap_or_else(|| AttemptId {
            id: MessageId::new().to_string(),
            made: Instant::now(),
        })
    }

    fn give_back(&self, attempt: AttemptId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lost_attempt_is_repeated_while_sqs_remembers_it() {
        let attempts = AttemptIds::default();
        let first = attempts.take();
        let id = first.id.clone();
        attempts.give_back(first);
        let again = attempts.take();
        assert_eq!(again.id, id);
        assert_ne!(attempts.take().id, id);
        attempts.give_back(again);
        tokio::time::advance(REPEATABLE).await;
        assert_ne!(attempts.take().id, id);
    }
}
