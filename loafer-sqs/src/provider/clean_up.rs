//! Deletion of payloads on S3 after their messages, on tasks of their own, so that an ack never waits for S3. Only SQS has such payloads.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use loafer_core::Error;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use super::{Opened, Receipt, SqsProvider};
use crate::payloads::Pointer;

/// How long the deletion of one object may take, and of all objects that are left at the end.
const WITHIN: Duration = Duration::from_secs(5);
/// How many objects of a route are deleted at once.
const AT_ONCE: usize = 64;

/// The deletions that run.
pub(super) struct CleanUps {
    tasks: Mutex<JoinSet<()>>,
    /// Lets only so many of them call S3 at once.
    at_s3: Arc<Semaphore>,
}

impl Default for CleanUps {
    fn default() -> Self {
        Self {
            tasks: Mutex::default(),
            at_s3: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl CleanUps {
    fn start(
        &self,
        pointer: Pointer,
        deletion: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) {
        let at_s3 = Arc::clone(&self.at_s3);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let deletion = async {
                let _at_s3 = at_s3.acquire().await;
                deletion.await
            };
            let cause = match timeout(WITHIN, deletion).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {WITHIN:?}"),
            };
            tracing::warn!(
                bucket = pointer.bucket,
                key = pointer.key,
                cause,
                "the payload of an acked message stays on S3"
            );
        });
    }

    /// Waits for the deletions that run, within [`WITHIN`].
    pub(super) async fn finish(&self) {
        let mut tasks = mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let deadline = Instant::now() + WITHIN;
        while let Ok(Some(_)) = timeout_at(deadline, tasks.join_next()).await {}
    }
}

impl SqsProvider {
    /// Starts to delete the payloads of messages whose own deletion is confirmed.
    pub(super) fn clean_up<'r>(&self, opened: &Opened, acked: impl Iterator<Item = &'r Receipt>) {
        let Some(store) = &opened.found.clients.payloads else {
            return;
        };
        acked
            .filter_map(Receipt::offloaded)
            .filter(|offloaded| store.cleans_up(offloaded))
            .map(|offloaded| &offloaded.pointer)
            .for_each(|pointer| {
                let deletion = store.deletion(pointer);
                self.clean_ups.start(pointer.clone(), deletion);
            });
    }
}
