//! Topics that several queues receive.

use crate::{
    BrokerUnderTest,
    case::Checked,
    ledger::Ledger,
    stage::{Stage, numbered},
};

/// Two services, each with a queue of its own on one topic: each gets every message once.
pub(super) async fn two_queues_on_a_topic_get_all_of_it<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let (count, topic) = (stage.count(100), stage.name());
    let queues = [
        stage
            .queue_with(|wanted| wanted.topic = Some(topic.clone()))
            .await?,
        stage
            .queue_with(|wanted| wanted.topic = Some(topic))
            .await?,
    ];
    let ledgers = [Ledger::new(), Ledger::new()];
    let mut programs = Vec::new();
    for (queue, ledger) in queues.iter().zip(&ledgers) {
        programs.push(queue.start(Default::default(), ledger.acking()).await?);
    }
    queues[0].publish(numbered(0..count)).await?;
    for (program, ledger) in programs.iter().zip(&ledgers) {
        ledger.reaches(count, stage.patience()).await?;
        program.stop().await?;
        ledger.once_each()?;
    }
    Ok(())
}
