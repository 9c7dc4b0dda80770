//! Where the dead letters of a queue go, as its redrive policy says. Only on SQS the queue itself says so, and anybody may change it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use loafer_core::Error;
use tokio::{sync::Mutex, time::Instant};

use super::Opened;
use crate::{
    client::Clients,
    error::{Call, code, is_denial},
    names::{QueueAddress, queue_name},
    outgoing::SQS_BYTES,
    topology::{self, Attributes, make_dead_letter_queue},
};

/// For how long a redrive policy that was read is believed. Somebody may have changed it.
const BELIEVED: Duration = Duration::from_secs(60);
/// For how long after a copy failed for good. A queue of which all copies fail costs no more calls than that.
const DOUBTED: Duration = Duration::from_secs(5);

/// Where the dead letters of a queue go.
pub(super) struct DeadLetterTarget {
    /// The `maxReceiveCount` of the policy as it was read last. 0 means that there is none. It is apart from the rest since whoever asks can't wait.
    max_receives: AtomicU32,
    known: Mutex<Known>,
}

/// What is known of the policy.
struct Known {
    policy: Policy,
    /// When the policy was read.
    read: Instant,
    /// Whether a copy has failed for good since.
    is_doubtful: bool,
    /// The dead-letter queue, found at the first dead letter after the policy was read.
    target: Option<Arc<Target>>,
}

enum Policy {
    /// We may not read it.
    Unreadable,
    None,
    /// The ARN of the dead-letter queue.
    Arn(String),
}

/// A dead-letter queue.
pub(super) struct Target {
    pub(super) url: String,
    pub(super) arn: String,
    /// The most bytes that a message can have there: its `MaximumMessageSize`, or SQS's own limit if we may not read that.
    pub(super) limit: usize,
    /// Send the copies, in one attempt: the engine tries again, and frees the messages in time.
    pub(super) clients: Clients,
}

impl DeadLetterTarget {
    /// Takes what `open` has read.
    pub(super) fn new(attributes: Option<&Attributes>) -> Self {
        Self {
            max_receives: AtomicU32::new(max_receives(attributes)),
            known: Mutex::new(Known {
                policy: policy(attributes),
                read: Instant::now(),
                is_doubtful: false,
                target: None,
            }),
        }
    }

    /// Returns after how many receives SQS itself moves a message. `None` means never, or that we don't know.
    pub(super) fn max_receives(&self) -> Option<u32> {
        Some(self.max_receives.load(Ordering::Relaxed)).filter(|most| *most > 0)
    }

    /// Returns the dead-letter queue. `None` means that the queue has no redrive policy.
    ///
    /// # Errors
    ///
    /// A refusal says what to do. Anything else may pass by itself.
    pub(super) async fn find(
        &self,
        opened: &Opened,
        call: Call<'_>,
    ) -> Result<Option<Arc<Target>>, Error> {
        let mut known = self.known.lock().await;
        if known.is_due() {
            self.read(&mut known, opened, call).await?;
        }
        if let Some(target) = &known.target {
            return Ok(Some(Arc::clone(target)));
        }
        let arn = match &known.policy {
            Policy::None => return Ok(None),
            Policy::Arn(arn) => arn,
            Policy::Unreadable => {
                let url = &opened.found.url;
                let cause = format!(
                    "its redrive policy can't be read: allow sqs:GetQueueAttributes on {url}"
                );
                return Err(call.refused(cause, None));
            }
        };
        let target = Arc::new(locate(opened, arn, call).await?);
        known.target = Some(Arc::clone(&target));
        Ok(Some(target))
    }

    async fn read(&self, known: &mut Known, opened: &Opened, call: Call<'_>) -> Result<(), Error> {
        let (sqs, url) = (&opened.found.clients.sqs, &opened.found.url);
        match topology::attributes(sqs, url, call).await {
            Ok(Some(attributes)) => {
                let most = max_receives(Some(&attributes));
                self.max_receives.store(most, Ordering::Relaxed);
                known.policy = policy(Some(&attributes));
                known.target = None;
            }
            // What was read before is the best guess.
            Ok(None) => known.target = None,
            Err(error) if known.target.is_none() || !error.is_transient() => return Err(error),
            Err(_) => {}
        }
        known.read = Instant::now();
        known.is_doubtful = false;
        Ok(())
    }

    /// Lets a later dead letter read the policy again: a copy failed for good, and the reason may be gone by then.
    pub(super) async fn doubt(&self) {
        self.known.lock().await.is_doubtful = true;
    }
}

impl Known {
    fn is_due(&self) -> bool {
        let believed = match self.is_doubtful {
            true => DOUBTED,
            false => BELIEVED,
        };
        self.read.elapsed() >= believed
    }
}

fn policy(attributes: Option<&Attributes>) -> Policy {
    match attributes {
        None => Policy::Unreadable,
        Some(attributes) => match &attributes.redrive {
            Some(redrive) => Policy::Arn(redrive.target.clone()),
            None => Policy::None,
        },
    }
}

fn max_receives(attributes: Option<&Attributes>) -> u32 {
    let redrive = attributes.and_then(|attributes| attributes.redrive.as_ref());
    let most = redrive.and_then(|redrive| redrive.max_receives);
    most.unwrap_or_default()
}

/// Finds the dead-letter queue, and how large its messages can be.
async fn locate(opened: &Opened, arn: &str, call: Call<'_>) -> Result<Target, Error> {
    let sqs = &opened.found.clients.sqs;
    let url = match topology::url(sqs, QueueAddress::parse(arn), call).await {
        Ok(url) => url,
        Err(error) => {
            return Err(refusal(
                error,
                arn,
                "sqs:GetQueueUrl",
                "can't be found",
                call,
            ));
        }
    };
    // Its attributes may belong to another account, and are no condition.
    let attributes = topology::attributes(sqs, &url, call).await;
    let limit = attributes.ok().flatten().and_then(|of| of.max_bytes);
    Ok(Target {
        url,
        arn: arn.to_owned(),
        limit: limit.unwrap_or(SQS_BYTES),
        clients: opened.found.clients.once(),
    })
}

/// Says of a call on a dead-letter queue that was refused what to do. `action` is the right that it needs, and `what` says what else the refusal means.
/// Other errors stay as they are.
pub(super) fn refusal(error: Error, arn: &str, action: &str, what: &str, call: Call<'_>) -> Error {
    let name = queue_name(arn);
    match &error {
        Error::UnknownQueue { .. } => {
            let make = make_dead_letter_queue(call.endpoint, name);
            let cause = format!("its dead-letter queue `{name}` does not exist; make it: {make}");
            call.refused(cause, None)
        }
        Error::Refused { cause, source, .. } => {
            let denied = code(&error).filter(|code| is_denial(code));
            let cause = match denied {
                Some(code) if code.contains("Kms") => format!(
                    "the key of its dead-letter queue `{name}` can't be used: allow kms:GenerateDataKey and kms:Decrypt on that key ({cause})"
                ),
                Some(_) => format!(
                    "its dead-letter queue `{name}` is closed to us: allow {action} on {arn}"
                ),
                None => format!(
                    "its dead-letter queue `{name}` {what}: {cause}; mend that, or name another queue in the redrive policy"
                ),
            };
            Error::Refused {
                what: call.what,
                queue: call.queue.to_owned(),
                cause,
                source: source.clone(),
            }
        }
        _ => error,
    }
}
