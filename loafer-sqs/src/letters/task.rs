//! All letters at once, moved by SQS itself.

use std::{ops::ControlFlow, time::Duration};

use aws_sdk_sqs::{
    error::{ProvideErrorMetadata as _, SdkError},
    operation::start_message_move_task::StartMessageMoveTaskError,
    types::ListMessageMoveTasksResultEntry as Task,
};
use loafer_core::{Bulk, DeadLetter, Destination, Error, Progress, Watch};
use tokio::time::{MissedTickBehavior, interval};

use super::Found;
use crate::{
    error::Call,
    message::SOURCE,
    parcel::ENTRIES,
    queue::{self, is_denied},
};

/// How often it is asked how far the move is.
const LOOK: Duration = Duration::from_secs(1);

impl Found {
    pub(super) async fn move_all(&self, to: &Destination, watch: Watch<'_>) -> Result<Bulk, Error> {
        if *to == Destination::Source
            && let Some(note) = self.not_by_sqs().await?
        {
            return Ok(one_by_one(&note));
        }
        let call = self.call("moving all letters", &self.clients.place);
        // To the source without its name: then SQS leaves alone what it did not move here itself, which is what has an envelope.
        let arn = match to {
            Destination::Source => None,
            Destination::Queue(queue) => match self.arn_of(to).await? {
                None => return Ok(one_by_one(&format!("the ARN of `{queue}` can't be read"))),
                arn => arn,
            },
        };
        let start = self
            .clients
            .sqs
            .start_message_move_task()
            .source_arn(&self.letters.arn)
            .set_destination_arn(arn);
        let handle = match Box::pin(start.send()).await {
            Ok(started) => started.task_handle,
            Err(error) => return refused(&error, call).map(|note| one_by_one(&note)),
        };
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped = false;
        loop {
            look.tick().await;
            let task = self.task(call).await?;
            let moved = task.approximate_number_of_messages_moved.max(0) as u64;
            let of = task.approximate_number_of_messages_to_move;
            let progress = Progress::new(moved, of.map(|of| of.max(0) as u64));
            stopped |= watch(progress) == ControlFlow::Break(());
            match task.status.as_deref().unwrap_or_default() {
                "RUNNING" if stopped => self.cancel(handle.clone()).await,
                "RUNNING" | "CANCELLING" => {}
                "FAILED" => {
                    let reason = task.failure_reason.unwrap_or_default();
                    return Ok(Bulk {
                        moved,
                        stopped,
                        ..one_by_one(&format!("SQS stopped moving letters: {reason}"))
                    });
                }
                _ => {
                    return Ok(Bulk {
                        moved,
                        stopped,
                        note: None,
                    });
                }
            }
        }
    }

    /// Why SQS itself can't bring letters back: it takes each to wherever it came from, and knows that only of what it moved here.
    async fn not_by_sqs(&self) -> Result<Option<String>, Error> {
        if let Some(note) = self.shared().await {
            return Ok(Some(note));
        }
        // A look at some of them; what escapes it makes SQS stop, and is copied then.
        let mut some = Vec::new();
        self.lease(ENTRIES, &mut some).await?;
        let leases: Vec<_> = some.iter().map(|letter| letter.receipt.clone()).collect();
        self.give_back(&leases).await?;
        let by_sqs = some.iter().all(|letter| {
            let headers = letter.message.headers();
            headers.get(SOURCE).is_some() && headers.get(DeadLetter::HEADER).is_none()
        });
        Ok((!by_sqs).then(|| "not all letters were put there by SQS".to_owned()))
    }

    /// Whether other queues have their dead letters there.
    async fn shared(&self) -> Option<String> {
        let list = self.clients.sqs.list_dead_letter_source_queues();
        let list = list.queue_url(&self.letters.url).max_results(2);
        match Box::pin(list.send()).await {
            Ok(sources) if sources.queue_urls.len() <= 1 => None,
            Ok(_) => Some(format!(
                "`{}` takes the dead letters of other queues, too",
                self.letters.name
            )),
            Err(error) if is_denied(&error) => Some(
                "whose dead letters these are can't be seen: allow sqs:ListDeadLetterSourceQueues"
                    .to_owned(),
            ),
            Err(_) => Some("this server does not tell whose dead letters these are".to_owned()),
        }
    }

    /// The ARN of another queue; none where it can't be had.
    async fn arn_of(&self, to: &Destination) -> Result<Option<String>, Error> {
        let (clients, url) = self.destination(to).await?;
        let call = Call {
            what: "finding",
            queue: queue::name(&url),
            route: None,
            place: &clients.place,
        };
        let attributes = queue::attributes(&clients.sqs, &url, call).await?;
        Ok(attributes.and_then(|attributes| attributes.arn))
    }

    /// The latest move.
    async fn task(&self, call: Call<'_>) -> Result<Task, Error> {
        let list = self.clients.sqs.list_message_move_tasks();
        let list = list.source_arn(&self.letters.arn).max_results(10);
        let tasks = Box::pin(list.send())
            .await
            .map_err(|error| call.failed(&error))?;
        let latest = tasks.results.unwrap_or_default().into_iter();
        latest
            .max_by_key(|task| task.started_timestamp)
            .ok_or_else(|| call.unanswered())
    }

    /// What can't be cancelled goes on, and is seen to.
    async fn cancel(&self, handle: Option<String>) {
        let cancel = self.clients.sqs.cancel_message_move_task();
        _ = Box::pin(cancel.set_task_handle(handle).send()).await;
    }
}

fn one_by_one(note: &str) -> Bulk {
    Bulk {
        note: Some(format!("{note}; copied one by one instead")),
        ..Bulk::default()
    }
}

/// Why a move did not start, where copying may do; else the error.
fn refused(error: &SdkError<StartMessageMoveTaskError>, call: Call<'_>) -> Result<String, Error> {
    let (code, message) = (
        error.code().unwrap_or_default(),
        error.message().unwrap_or_default(),
    );
    if message.contains("already a task") {
        let cause =
            "another move from it is running, and SQS runs one at a time: wait until it is done"
                .to_owned();
        return Err(call.refused(cause, None));
    }
    if is_denied(error) {
        return Ok("SQS may not move letters by itself: allow sqs:StartMessageMoveTask".to_owned());
    }
    match error {
        SdkError::ServiceError(_) => Ok(format!(
            "the server does not move letters by itself ({code})"
        )),
        _ => Err(call.failed(error)),
    }
}
