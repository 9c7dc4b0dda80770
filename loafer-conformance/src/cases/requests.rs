//! Requests and replies: whoever sends a request gets the reply, or learns why there is none.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use crate::{
    BrokerUnderTest,
    case::{Checked, Fault, ensure},
    program::Program,
    queue::Queue,
    stage::{Stage, all},
};
use loafer_core::{Error, message::Message, outcome::Outcome, translate::Json};
use loafer_runtime::bus::{Bus, Replier};

/// The number that is refused.
const UNLUCKY: u64 = 13;

/// A service that doubles the numbers of its requests, and rejects one.
async fn doubling<S: BrokerUnderTest>(stage: &Stage<S>, queue: &Queue<S>) -> Checked<Program> {
    let handler = async |number: u64, replier: Replier| {
        if number == UNLUCKY {
            let reason = "unlucky".into();
            return Ok(Outcome::Reject { reason });
        }
        replier.reply(&(2 * number)).await?;
        Ok::<_, Error>(Outcome::Ack)
    };
    let route = queue.route(Default::default()).replying();
    stage.run([route.handler(Json, handler)]).await
}

/// A service that requests the double of each number it is sent.
struct Asking<S: BrokerUnderTest> {
    queue: Queue<S>,
    program: Program,
    answers: mpsc::UnboundedReceiver<(u64, Result<u64, Error>)>,
    patience: Duration,
}

impl<S: BrokerUnderTest> Asking<S> {
    /// Of whoever works on `whom`; each request waits so long.
    async fn start(stage: &Stage<S>, whom: &Queue<S>, wait: Duration) -> Checked<Self> {
        let (queue, topic) = (stage.queue().await?, whom.made.topic.clone());
        let (send, answers) = mpsc::unbounded_channel();
        let handler = move |number: u64, bus: Bus| {
            let (send, topic) = (send.clone(), topic.clone());
            async move {
                let answer = bus.request::<u64>(topic, &number, wait).await;
                send.send((number, answer)).is_ok()
            }
        };
        let route = queue.route(Default::default()).handler(Json, handler);
        let program = stage.run([route]).await?;
        Ok(Self {
            queue,
            program,
            answers,
            patience: wait + stage.patience(),
        })
    }

    /// What it is answered for these numbers, each once.
    async fn ask(
        &mut self,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Checked<BTreeMap<u64, Result<u64, Error>>> {
        let message = |number: u64| Message::new(number.to_string());
        let requests: Vec<_> = numbers.into_iter().map(message).collect();
        let (count, mut answers) = (requests.len(), BTreeMap::new());
        self.queue.publish(requests).await?;
        while answers.len() < count {
            let next = timeout(self.patience, self.answers.recv()).await;
            let Ok(Some((number, answer))) = next else {
                return Err(Fault::new(format_args!(
                    "{} of {count} requests came to an end, then none for {:?}",
                    answers.len(),
                    self.patience
                )));
            };
            answers.insert(number, answer);
        }
        Ok(answers)
    }

    /// The same of one number.
    async fn ask_one(&mut self, number: u64) -> Checked<Result<u64, Error>> {
        let mut answers = self.ask([number]).await?;
        let answer = answers.remove(&number);
        answer.ok_or_else(|| Fault::new(format_args!("another request than {number} was sent")))
    }
}

/// Every answer is the double of its number.
fn doubles(answers: BTreeMap<u64, Result<u64, Error>>) -> Checked {
    for (number, answer) in answers {
        let answer = answer?;
        ensure!(
            answer == 2 * number,
            "the request {number} was answered with {answer}"
        );
    }
    Ok(())
}

/// One service asks another, and is given the reply.
pub(super) async fn a_request_is_answered<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let wanted = stage.queue().await?;
    let doubling = doubling(&stage, &wanted).await?;
    let mut asking = Asking::start(&stage, &wanted, stage.patience()).await?;
    doubles(asking.ask([4]).await?)?;
    asking.program.stop().await?;
    doubling.stop().await
}

/// A request that nobody takes ends when its time is over, and not before, with an error that says where it went.
pub(super) async fn a_request_without_a_listener_times_out_and_says_so<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const WAIT: Duration = Duration::from_secs(2);
    let silent = stage.queue().await?;
    let mut asking = Asking::start(&stage, &silent, WAIT).await?;
    let sent = Instant::now();
    let answer = asking.ask_one(4).await?;
    let waited = sent.elapsed();
    ensure!(
        waited >= WAIT,
        "a request with {WAIT:?} to wait ended after {waited:?}: {answer:?}"
    );
    let Err(error @ Error::NoReply { .. }) = answer else {
        return Err(Fault::new(format_args!(
            "a request that nobody receives ended with {answer:?}"
        )));
    };
    let (said, topic) = (error.to_string(), silent.made.topic.to_string());
    ensure!(
        said.contains("no reply") && said.contains(&topic),
        "the error does not say that there was no reply, or not from `{topic}`: {said}"
    );
    asking.program.stop().await
}

/// A requester learns that its request failed for good, with kind and reason. The next request is answered.
pub(super) async fn a_requester_learns_that_its_request_failed<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let wanted = stage.queue().await?;
    let doubling = doubling(&stage, &wanted).await?;
    let mut asking = Asking::start(&stage, &wanted, stage.patience()).await?;
    let answer = asking.ask_one(UNLUCKY).await?;
    let Err(Error::RequestFailed { kind, reason, .. }) = &answer else {
        return Err(Fault::new(format_args!(
            "a request that was rejected ended with {answer:?}"
        )));
    };
    ensure!(
        kind == "rejected" && reason.as_deref() == Some("unlucky"),
        "rejected as `unlucky`, a request ended as `{kind}` because of {reason:?}"
    );
    doubles(asking.ask([4]).await?)?;
    asking.program.stop().await?;
    doubling.stop().await
}

/// Two services ask one at once, each for many numbers of its own: each is given its replies, and each request its own.
pub(super) async fn requesters_get_their_own_replies<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let (wanted, count) = (stage.queue().await?, stage.count(100));
    let doubling = doubling(&stage, &wanted).await?;
    let asked = all([100, 1_000].map(async |first: u64| {
        let mut asking = Asking::start(&stage, &wanted, stage.patience()).await?;
        doubles(asking.ask((first..).take(count)).await?)?;
        Ok(asking)
    }))
    .await?;
    for asking in asked {
        asking.program.stop().await?;
    }
    doubling.stop().await
}
