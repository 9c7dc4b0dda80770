//! Delays beyond what the broker can in one stay: kept in several, and no attempt counted for those in between.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    BrokerUnderTest, Feature,
    case::{Checked, ensure},
    stage::{LONG, Stage, is_itself},
};
use loafer_core::{
    broker::DueTime,
    message::{Message, Outgoing},
    outcome::Outcome,
};

/// The delay of the cases. A broker under test that has a longest delay sets it to 3 s or less, so that this takes several stays.
const BEYOND: Duration = Duration::from_secs(7);
/// How long a case waits for what must not come.
const AFTERWARDS: Duration = Duration::from_secs(4);

/// A call of a handler: when it began, which attempt it was, and what was wrong with the message.
type Call = (Instant, u32, Option<&'static str>);

/// The calls of a handler.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    /// Notes a call. Returns how many there were, with this one.
    fn note(&self, message: &Message) -> usize {
        let wrong = match message.headers().get(DueTime::HEADER) {
            Some(_) => Some("its handler saw when it was due"),
            None => (!is_itself(message)).then_some("it had another event id, or none"),
        };
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push((Instant::now(), message.attempt(), wrong));
        calls.len()
    }

    fn all(&self) -> Vec<Call> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until there were so many calls, and then for what must not come. The last call was due after [`BEYOND`] from `since`.
    async fn end_on_time<S: BrokerUnderTest>(
        &self,
        stage: &Stage<S>,
        count: usize,
        since: impl Fn(&[Call]) -> Instant,
    ) -> Checked {
        let end = Instant::now() + BEYOND + stage.patience();
        while self.all().len() < count {
            let came = self.all().len();
            ensure!(Instant::now() < end, "{came} of {count} calls came");
            sleep(Duration::from_millis(50)).await;
        }
        sleep(AFTERWARDS).await;
        let calls = self.all();
        ensure!(
            calls.len() == count,
            "{} calls where {count} were due",
            calls.len()
        );
        if let Some(wrong) = calls.iter().find_map(|(.., wrong)| *wrong) {
            ensure!(false, "{wrong}");
        }
        let waited = calls[count - 1].0 - since(&calls);
        ensure!(
            waited >= BEYOND && waited < BEYOND + LONG,
            "a message due after {BEYOND:?} came after {waited:?}"
        );
        let (expected, attempt) = (count as u32, calls[count - 1].1);
        ensure!(
            attempt == expected || !stage.can(Feature::Attempts),
            "it came as attempt {attempt}, and {expected} was due"
        );
        Ok(())
    }
}

/// A message published with a delay beyond the broker's longest is handled once, as attempt 1, and not before.
pub(super) async fn a_publish_delay_beyond_the_limit_is_kept<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let (queue, calls) = (stage.queue().await?, Calls::default());
    let handler = {
        let calls = calls.clone();
        move |message: Message| {
            calls.note(&message);
            async { true }
        }
    };
    let program = queue.start(Default::default(), handler).await?;
    let published = Instant::now();
    queue
        .publish([Outgoing::from(stage.plain_event(1)).delay(BEYOND)])
        .await?;
    calls.end_on_time(&stage, 1, |_| published).await?;
    program.stop().await
}

/// A message whose handler asks for a delay beyond the broker's longest is handled once more, as attempt 2, and not before.
pub(super) async fn a_retry_delay_beyond_the_limit_is_one_attempt<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let (queue, calls) = (stage.queue().await?, Calls::default());
    let handler = {
        let calls = calls.clone();
        move |message: Message| {
            let first = calls.note(&message) == 1;
            async move {
                match first {
                    true => Outcome::Retry { after: BEYOND },
                    false => Outcome::Ack,
                }
            }
        }
    };
    let program = queue.start(Default::default(), handler).await?;
    queue.publish([stage.plain_event(1)]).await?;
    calls.end_on_time(&stage, 2, |calls| calls[0].0).await?;
    program.stop().await
}
