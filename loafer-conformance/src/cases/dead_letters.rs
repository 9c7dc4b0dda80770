//! Dead letters: with their reason where we put them there, and never in the way of what comes after.

use std::time::Duration;

use crate::{
    BrokerUnderTest,
    case::{Checked, Fault, ensure},
    ledger::Ledger,
    stage::{Stage, numbered},
};
use loafer_core::{
    broker::DeadLetter,
    extract::{Context, FromContext, Missing, Rejection, Resources},
    message::{CORRELATION_ID, Message},
    outcome::Outcome,
    policy::Undecodable,
    translate::{Bytes, Json},
};
use loafer_runtime::program::RouteOptions;

/// Returns the envelope of a dead letter, which must have kept its body and its headers.
fn envelope(dead_letter: &Message, body: &str) -> Checked<DeadLetter> {
    let Some(envelope) = DeadLetter::of(dead_letter) else {
        return Err(Fault::new("a dead letter has no envelope"));
    };
    ensure!(
        dead_letter.payload() == body,
        "a dead letter has another body"
    );
    let tenant = dead_letter.headers().get("tenant");
    ensure!(
        tenant == Some("acme") && envelope.correlation_id.as_deref() == Some("c-1"),
        "a dead letter lost its headers"
    );
    let (event, message) = (&envelope.event_id, &envelope.message_id);
    ensure!(
        !message.is_empty() && event == message,
        "published without an event id, a dead letter is event `{event}` of message `{message}`"
    );
    Ok(envelope)
}

fn with_headers(body: &'static str) -> Message {
    let message = Message::new(body).with_header("tenant", "acme");
    message.with_header(CORRELATION_ID, "c-1")
}

/// A message that is no number, among numbers, for a handler of numbers.
pub(super) async fn what_does_not_decode_is_a_dead_letter_with_its_reason<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const BAD: &str = "{not JSON";
    let queue = stage.queue().await?;
    let mut messages = numbered(0..10);
    messages.insert(3, with_headers(BAD));
    queue.publish(messages).await?;
    let options = RouteOptions::new().undecodable(Undecodable::Reject);
    let route = queue.route(options).handler(Json, async |_: u64| true);
    let program = stage.run([route]).await?;
    program
        .until("all acked", |stats| stats.acked == 10)
        .await?;
    let dead_letters = queue.dead_letters(1).await?;
    program.stop().await?;
    let envelope = envelope(&dead_letters[0], BAD)?;
    ensure!(
        envelope.kind == "undecodable" && envelope.reason.is_some(),
        "its envelope says {envelope:?}"
    );
    Ok(())
}

/// A message that its handler rejects.
pub(super) async fn what_is_rejected_is_a_dead_letter_with_its_reason<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    queue
        .publish([with_headers("bad"), Message::new("good")])
        .await?;
    let handler = async |message: Message| match message.payload() == "bad" {
        true => Outcome::Reject {
            reason: "no such customer".into(),
        },
        false => Outcome::Ack,
    };
    let program = queue.start(RouteOptions::new(), handler).await?;
    program.until("one acked", |stats| stats.acked == 1).await?;
    let dead_letters = queue.dead_letters(1).await?;
    program.stop().await?;
    let envelope = envelope(&dead_letters[0], "bad")?;
    let said = (
        &*envelope.kind,
        envelope.reason.as_deref(),
        envelope.attempts,
    );
    ensure!(
        said == ("rejected", Some("no such customer"), 1),
        "its envelope says {envelope:?}"
    );
    ensure!(
        envelope.queue == queue.made.queue,
        "its envelope names the queue `{}`",
        envelope.queue
    );
    Ok(())
}

/// An extractor that refuses every message for good.
struct Refuses;

impl FromContext for Refuses {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), _: &Context<'_>) -> Result<Self, Rejection> {
        Err(Rejection::reject("no such tenant"))
    }
}

/// A message that an extractor refuses for good: its handler is never called.
pub(super) async fn what_an_extractor_refuses_for_good_is_a_dead_letter_at_once<
    S: BrokerUnderTest,
>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    queue.publish([with_headers("bad")]).await?;
    let route = queue.route(RouteOptions::new());
    let route = route.handler(Bytes::new(), async |_: Message, _: Refuses| true);
    let program = stage.run([route]).await?;
    let dead_letters = queue.dead_letters(1).await?;
    program.stop().await?;
    let envelope = envelope(&dead_letters[0], "bad")?;
    let said = (
        &*envelope.kind,
        envelope.reason.as_deref(),
        envelope.attempts,
    );
    ensure!(
        said == ("rejected", Some("no such tenant"), 1),
        "its envelope says {envelope:?}"
    );
    Ok(())
}

/// A message that never succeeds is given up by the broker after as many deliveries as it was told, and no sooner.
pub(super) async fn what_fails_too_often_is_a_dead_letter<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    const MOST: usize = 3;
    let queue = stage
        .queue_with(|wanted| wanted.max_receives = MOST as u32)
        .await?;
    queue
        .publish([Message::new("bad"), Message::new("good")])
        .await?;
    let ledger = Ledger::new();
    let handler = {
        let ledger = ledger.clone();
        move |message: Message| {
            let bad = message.payload() == "bad";
            if bad {
                ledger.note(&message);
            }
            async move {
                match bad {
                    true => Outcome::Retry {
                        after: Duration::ZERO,
                    },
                    false => Outcome::Ack,
                }
            }
        }
    };
    let program = queue.start(RouteOptions::new(), handler).await?;
    let dead_letters = queue.dead_letters(1).await?;
    program.until("one acked", |stats| stats.acked == 1).await?;
    program.stop().await?;
    ensure!(
        dead_letters[0].payload() == "bad",
        "another message is the dead letter"
    );
    let calls = ledger.total();
    ensure!(
        calls == MOST,
        "it was given up after {calls} calls, at {MOST} receives"
    );
    Ok(())
}
