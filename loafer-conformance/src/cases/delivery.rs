//! What is published arrives: whole, later, and nowhere else.

use std::collections::HashMap;

use crate::{
    BrokerUnderTest,
    case::{Checked, Fault, ensure},
    ledger::Ledger,
    queue::done,
    stage::{Stage, numbered},
};
use loafer_core::{
    broker::Settlement,
    message::{CORRELATION_ID, Message},
};

const MESSAGES: usize = 100;

/// Ids, bodies and headers are those that were sent, and every message comes once.
pub(super) async fn what_is_published_arrives_whole<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    let message = |number: usize| {
        Message::new(format!("{{\"number\": {number}, \"text\": \"añ→漢 \\n\"}}"))
            .with_header("number", number.to_string())
            .with_header("text", "añ→漢, with spaces")
            .with_header(CORRELATION_ID, format!("c-{number}"))
    };
    let sent: Vec<_> = (0..MESSAGES).map(message).collect();
    let ids = queue.publish(sent.clone()).await?;
    let mut sent: HashMap<_, _> = ids.into_iter().zip(sent).collect();
    ensure!(sent.len() == MESSAGES, "two messages got one id");

    let provider = queue.provider().await?;
    let deliveries = queue.receive(&provider, MESSAGES).await?;
    for delivery in &deliveries {
        let (message, id) = (&delivery.message, delivery.message.id());
        let Some(original) = sent.remove(id) else {
            return Err(Fault::new(format_args!(
                "message {id} came twice, or was given another id when it was sent"
            )));
        };
        ensure!(
            message.payload() == original.payload(),
            "message {id} came with another body"
        );
        for (name, value) in original.headers().iter() {
            let came = message.headers().get(name);
            ensure!(
                came == Some(value),
                "message {id} came with the header `{name}` as {came:?}"
            );
        }
    }
    done(&provider, &deliveries, &Settlement::Ack).await
}

/// A queue keeps what comes before anybody consumes it.
pub(super) async fn what_was_sent_before_is_received<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queue = stage.queue().await?;
    queue.publish(numbered(0..MESSAGES)).await?;
    let ledger = Ledger::new();
    let program = queue.start(Default::default(), ledger.acking()).await?;
    ledger.reaches(MESSAGES, stage.patience()).await?;
    program.stop().await?;
    ledger.once_each()
}

/// Two queues of one broker share nothing.
pub(super) async fn queues_do_not_leak_into_each_other<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let queues = [stage.queue().await?, stage.queue().await?];
    let ledgers = [Ledger::new(), Ledger::new()];
    let mut programs = Vec::new();
    for (queue, ledger) in queues.iter().zip(&ledgers) {
        programs.push(queue.start(Default::default(), ledger.acking()).await?);
    }
    queues[0].publish(numbered(0..MESSAGES)).await?;
    queues[1].publish(numbered(MESSAGES..2 * MESSAGES)).await?;
    for ledger in &ledgers {
        ledger.reaches(MESSAGES, stage.patience()).await?;
    }
    for program in &programs {
        program.stop().await?;
    }
    for (ledger, own) in ledgers.iter().zip([0..MESSAGES, MESSAGES..2 * MESSAGES]) {
        let all_its_own = own.clone().all(|number| ledger.has(&number.to_string()));
        ensure!(
            all_its_own && ledger.distinct() == MESSAGES,
            "a queue had messages of the other"
        );
    }
    Ok(())
}
