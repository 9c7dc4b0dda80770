//! The move of all dead letters by SQS itself.

use std::{ops::ControlFlow, time::Duration};

use aws_sdk_sqs::{
    error::{ProvideErrorMetadata, SdkError},
    operation::start_message_move_task::StartMessageMoveTaskError,
    types::ListMessageMoveTasksResultEntry as Task,
};
use loafer_core::{
    Error,
    broker::{BrokerMove, DeadLetter, Destination, Progress, ProgressFn},
};
use tokio::time::{MissedTickBehavior, interval};

use super::Found;
use crate::{
    client::ENTRIES,
    error::{Call, is_denied},
    names::{SOURCE_QUEUE, queue_name},
};

/// How often we ask how far the move is.
const LOOK: Duration = Duration::from_secs(1);
/// The highest rate of a move, in messages a second (SQS API: `StartMessageMoveTask`, `MaxNumberOfMessagesPerSecond`).
const FASTEST: u32 = 500;

impl Found {
    pub(super) async fn move_all(
        &self,
        to: &Destination,
        rate: Option<u32>,
        watch: ProgressFn<'_>,
    ) -> Result<BrokerMove, Error> {
        if *to == Destination::Source
            && let Some(note) = self.why_not_by_sqs().await?
        {
            return Ok(one_by_one(&note));
        }
        let call = self.call("moving all dead letters");
        // A move to the source does not name it: then SQS leaves alone what it did not move here itself, such as messages with our envelope.
        let arn = match to {
            Destination::Source => None,
            Destination::Queue(queue) => match self.target(to).await?.arn {
                None => return Ok(one_by_one(&format!("the ARN of `{queue}` can't be read"))),
                arn => arn,
            },
        };
        let start = self
            .clients
            .sqs
            .start_message_move_task()
            .source_arn(&self.dead_letters.arn)
            .set_destination_arn(arn)
            .set_max_number_of_messages_per_second(rate.map(|rate| rate.min(FASTEST) as i32));
        let handle = match Box::pin(start.send()).await {
            Ok(started) => started.task_handle,
            Err(error) => return refused(&error, call).map(|note| one_by_one(&note)),
        };
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut stopped, mut uncancelled) = (false, None);
        let mut ours = OwnMove::new(handle);
        loop {
            look.tick().await;
            let task = self.task(&mut ours, call).await?;
            let moved = task.approximate_number_of_messages_moved.max(0) as u64;
            let of = task.approximate_number_of_messages_to_move;
            let progress = Progress::new(moved, of.map(|of| of.max(0) as u64));
            stopped |= watch(progress) == ControlFlow::Break(());
            match task.status.as_deref().unwrap_or_default() {
                "RUNNING" if stopped => uncancelled = self.cancel(&ours, call).await?,
                "RUNNING" | "CANCELLING" => {}
                "FAILED" => {
                    let reason = task.failure_reason.unwrap_or_default();
                    return Ok(BrokerMove {
                        moved,
                        stopped,
                        ..one_by_one(&format!("SQS stopped moving dead letters: {reason}"))
                    });
                }
                _ => {
                    return Ok(BrokerMove {
                        moved,
                        stopped,
                        note: uncancelled,
                    });
                }
            }
        }
    }

    /// Says why SQS itself can't bring the dead letters back. It moves each to the queue it came from, and knows that only of those that it
    /// moved here.
    async fn why_not_by_sqs(&self) -> Result<Option<String>, Error> {
        if let Some(note) = self.shared().await {
            return Ok(Some(note));
        }
        // This looks at some of them only. Another one makes SQS stop, and is copied then.
        let mut some = Vec::new();
        self.lease(ENTRIES, &mut some).await?;
        let leases: Vec<_> = some
            .iter()
            .map(|delivery| delivery.receipt.clone())
            .collect();
        self.give_back(&leases).await?;
        let by_sqs = some.iter().all(|delivery| {
            let headers = delivery.message.headers();
            headers.get(SOURCE_QUEUE) == Some(&*self.source.arn)
                && headers.get(DeadLetter::HEADER).is_none()
        });
        Ok((!by_sqs)
            .then(|| "not all dead letters were put there by SQS, from this queue".to_owned()))
    }

    /// Says that other queues have their dead letters there too, or that we can't see it.
    pub(super) async fn shared(&self) -> Option<String> {
        let list = self.clients.sqs.list_dead_letter_source_queues();
        let list = list.queue_url(&self.dead_letters.url);
        match Box::pin(list.send()).await {
            Ok(sources) if sources.queue_urls.len() <= 1 => None,
            Ok(sources) => Some(format!(
                "`{}` takes the dead letters of other queues, too{}",
                self.dead_letters.name,
                self.others(&sources.queue_urls)
            )),
            Err(error) if is_denied(&error) => Some(
                "whose dead letters these are can't be seen: allow sqs:ListDeadLetterSourceQueues"
                    .to_owned(),
            ),
            Err(_) => Some("this server does not say whose dead letters these are".to_owned()),
        }
    }

    /// Lists the first of the queues that are not the source, such as `: a, b`.
    fn others(&self, urls: &[String]) -> String {
        let names = urls.iter().map(|url| queue_name(url));
        let others = names.filter(|name| *name != self.source.name).take(5);
        let others: Vec<_> = others.map(|name| format!("`{name}`")).collect();
        match others.is_empty() {
            true => String::new(),
            false => format!(": {}", others.join(", ")),
        }
    }

    /// Returns the state of the move that we started.
    async fn task(&self, ours: &mut OwnMove, call: Call<'_>) -> Result<Task, Error> {
        let list = self.clients.sqs.list_message_move_tasks();
        let list = list.source_arn(&self.dead_letters.arn).max_results(10);
        let tasks = match Box::pin(list.send()).await {
            Ok(tasks) => tasks.results.unwrap_or_default(),
            Err(error) => {
                let allow = allow(&error, "sqs:ListMessageMoveTasks");
                let error = call.failed(&error);
                return Err(call.refused(format!("{UNSEEN}: {error}{allow}"), None));
            }
        };
        let none = || call.refused(format!("{UNSEEN}: it is not among the moves"), None);
        ours.find(tasks).ok_or_else(none)
    }

    /// Cancels the move. Returns why that failed: the move may have ended just now; otherwise the next look tries again.
    ///
    /// # Errors
    ///
    /// Returns an error if we may not cancel it at all.
    async fn cancel(&self, ours: &OwnMove, call: Call<'_>) -> Result<Option<String>, Error> {
        let cancel = self.clients.sqs.cancel_message_move_task();
        let cancel = cancel.set_task_handle(ours.handle.clone());
        let Err(error) = Box::pin(cancel.send()).await else {
            return Ok(None);
        };
        let allow = allow(&error, "sqs:CancelMessageMoveTask");
        let denied = is_denied(&error);
        let error = call.failed(&error);
        let said = format!("SQS was not stopped moving dead letters: {error}{allow}");
        match denied {
            true => Err(call.refused(format!("{said}; it goes on"), None)),
            false => Ok(Some(said)),
        }
    }
}

/// Begins errors that come after the start, so that nobody reads them as if nothing were moved.
const UNSEEN: &str =
    "SQS began to move them and goes on by itself, but how far it is can't be seen";

fn allow<E: ProvideErrorMetadata>(error: &SdkError<E>, action: &str) -> String {
    match is_denied(error) {
        true => format!("; allow {action}"),
        false => String::new(),
    }
}

/// Finds the move that we started among others from the same queue.
struct OwnMove {
    handle: Option<String>,
    /// When it began, by the clock of SQS. Once it is over, SQS does not return its handle any more (SQS API: `ListMessageMoveTasks`).
    began: Option<i64>,
}

impl OwnMove {
    fn new(handle: Option<String>) -> Self {
        Self {
            handle,
            began: None,
        }
    }

    fn find(&mut self, mut tasks: Vec<Task>) -> Option<Task> {
        // The latest comes first: only one runs at a time.
        tasks.sort_by_key(|task| std::cmp::Reverse(task.started_timestamp));
        let by_handle = |task: &Task| task.task_handle.is_some() && task.task_handle == self.handle;
        let by_time = |task: &Task| match self.began {
            Some(began) => task.started_timestamp == began,
            None => task.task_handle.is_none(),
        };
        let index = tasks.iter().position(by_handle);
        let index = index.or_else(|| tasks.iter().position(by_time))?;
        let ours = tasks.swap_remove(index);
        self.began = Some(ours.started_timestamp);
        Some(ours)
    }
}

fn one_by_one(note: &str) -> BrokerMove {
    BrokerMove {
        note: Some(format!("{note}; copied one by one instead")),
        ..BrokerMove::default()
    }
}

/// Says why a move did not start, if copying may do instead.
///
/// # Errors
///
/// Returns an error if copying would not help.
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
        return Ok(
            "SQS may not move dead letters by itself: allow sqs:StartMessageMoveTask".to_owned(),
        );
    }
    match error {
        SdkError::ServiceError(_) => Ok(format!(
            "the server does not move dead letters by itself ({code})"
        )),
        _ => Err(call.failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(handle: Option<&str>, began: i64, status: &str) -> Task {
        let task = Task::builder().set_task_handle(handle.map(str::to_owned));
        task.started_timestamp(began).status(status).build()
    }

    #[test]
    fn a_move_is_known_by_its_handle_and_then_by_its_beginning() {
        let mut ours = OwnMove::new(Some("ours".to_owned()));
        let running = vec![task(Some("ours"), 2, "RUNNING"), task(None, 1, "FAILED")];
        assert_eq!(ours.find(running).unwrap().started_timestamp, 2);
        // Somebody started another one since, and that is over too.
        let over = vec![task(None, 3, "COMPLETED"), task(None, 2, "CANCELLED")];
        let found = ours.find(over).unwrap();
        assert_eq!(found.status(), Some("CANCELLED"));
    }

    #[test]
    fn a_move_that_is_over_at_once_is_the_latest_that_does_not_run() {
        let mut ours = OwnMove::new(Some("ours".to_owned()));
        let theirs = task(Some("theirs"), 3, "RUNNING");
        let all = vec![task(None, 1, "FAILED"), theirs, task(None, 2, "COMPLETED")];
        assert_eq!(ours.find(all).unwrap().status(), Some("COMPLETED"));
        assert!(ours.find(Vec::new()).is_none());
    }
}
