//! Headers that are numbers or bytes.

use std::time::Duration;

use super::tried_again::{listed, send};
use crate::{
    BrokerUnderTest,
    case::{Checked, ensure},
    ledger::Ledger,
    queue::done,
    stage::Stage,
};
use loafer_core::{
    broker::{Destination, Settlement},
    message::{HeaderValue, Message},
    outcome::Outcome,
};
use loafer_runtime::program::RouteOptions;

fn typed(body: &'static str) -> Message {
    values()
        .into_iter()
        .fold(Message::new(body), |message, (name, value)| {
            message.with_header_value(name, value)
        })
}

fn values() -> [(&'static str, HeaderValue); 3] {
    [
        ("whole", HeaderValue::Int(-7)),
        ("half", HeaderValue::Float(0.5)),
        ("bytes", HeaderValue::Binary(vec![0xff, 0x00, 0xfe].into())),
    ]
}

/// Fails if a header lost its type, its value or its text.
fn is_typed(message: &Message, when: &str) -> Checked {
    for (name, value) in values() {
        let (text, found) = (message.headers().get(name), message.headers().value(name));
        ensure!(
            found == Some(&value) && text == Some(&*value.to_string()),
            "{when}, the header `{name}` is {found:?} with the text {text:?}"
        );
    }
    Ok(())
}

/// Numbers and bytes arrive as what they are, and as text beside that.
pub(super) async fn typed_headers_arrive_typed<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let queue = stage.queue().await?;
    queue.publish([typed("1")]).await?;
    let provider = queue.provider().await?;
    let came = queue.receive_one(&provider).await?;
    is_typed(&came.message, "received")?;
    done(&provider, [&came], &Settlement::Ack).await
}

/// A message is retried, rejected, and tried again by an operator: each copy keeps the types.
pub(super) async fn typed_headers_survive_retries_and_dead_letters<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    queue.publish([typed("1")]).await?;
    let seen = Ledger::new();
    let handler = {
        let seen = seen.clone();
        move |message: Message| {
            let first = seen.note(&message) == 1;
            async move {
                match first {
                    true => Outcome::Retry {
                        after: Duration::from_secs(1),
                    },
                    false => Outcome::Reject {
                        reason: "no more".into(),
                    },
                }
            }
        }
    };
    let program = queue.start(RouteOptions::new(), handler).await?;
    let dead_letters = queue.dead_letter_queue().await?;
    let dead = listed(&dead_letters, 1, stage.patience()).await?;
    program.stop().await?;
    is_typed(&dead[0], "as a dead letter")?;
    let id = dead[0].id().clone();
    send(&dead_letters, vec![id], &Destination::Source).await?;
    let provider = queue.provider().await?;
    let came = queue.receive_one(&provider).await?;
    is_typed(
        &came.message,
        "after a retry, a dead letter and a try again",
    )?;
    done(&provider, [&came], &Settlement::Ack).await
}
