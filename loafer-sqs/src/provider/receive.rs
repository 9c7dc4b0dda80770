//! Receiving.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use loafer_core::{Error, broker::Delivery, message::MessageId};
use tokio::time::{Instant, timeout};

use super::{Opened, Receipt, SqsProvider};
use crate::{client::Poll, message, payloads::Room};

/// For how long we ask for the answer of a lost receive again (SQS API: `ReceiveRequestAttemptId`, 5 minutes).
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
        let (max, wait, room) = match &opened.in_flight {
            None => (max, wait, Room::default()),
            Some(in_flight) => {
                let begin = Instant::now();
                match timeout(wait, in_flight.room(max)).await {
                    Ok((max, room)) => (max, wait.saturating_sub(begin.elapsed()), room),
                    // Nothing more fits before something is settled.
                    Err(_) => return Ok(()),
                }
            }
        };
        let attempt = opened.fifo.then(|| self.attempts.take());
        let poll = Poll {
            max,
            wait,
            visibility: i32::try_from(opened.lease.as_secs()).ok(),
            attempt: attempt.as_ref().map(|attempt| attempt.id.clone()),
        };
        let clients = &opened.found.clients;
        let call = self.call("receive", &clients.endpoint);
        let received = clients.receive(&opened.found.url, poll, call).await;
        if let Some(attempt) = attempt
            && matches!(&received, Err(not) if !not.is_answered)
        {
            self.attempts.give_back(attempt);
        }
        let messages = received?;

        let at = Instant::now();
        let folded = self.folded(opened, &messages).await;
        let deliveries = messages.into_iter().map(|message| {
            let received = message::from_sdk(message, folded);
            if !received.is_counted {
                self.not_counted();
            }
            Delivery {
                receipt: Receipt::new(received.handle, at, received.labels),
                message: received.message,
            }
        });
        if clients.payloads.is_some() {
            let deliveries = deliveries.collect();
            into.extend(Box::pin(self.with_payloads(opened, deliveries, &room)).await);
        } else {
            into.extend(deliveries);
        }
        Ok(())
    }
}

impl SqsProvider {
    /// Says once that the server does not count.
    fn not_counted(&self) {
        self.not_counted_told.call_once(|| {
            tracing::warn!(
                route = self.route,
                queue = self.queue,
                "messages come without ApproximateReceiveCount, although it is asked for: each delivery passes for the first attempt, so `max_attempts` \
                 is never reached and `backoff` does not grow; look for an old server, or a proxy on the way that drops MessageSystemAttributeNames"
            );
        });
    }
}

/// The attempt ids of receives on a FIFO queue whose answers were lost. Asked again, SQS returns the same messages. Otherwise
/// these would block their groups until their leases end.
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
