//! Streams, which are no queues for Loafer.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod counted;
mod private;
mod support;

use counted::given;
use lapin::types::AMQPValue;
use loafer_amqp::{Declare, Options};
use loafer_core::broker::{Broker as _, Open, Provider as _, Source};
use loafer_test_servers::Version;
use support::unique;

private::on_both!(all: a_stream_is_refused_with_what_to_do);

async fn a_stream_is_refused_with_what_to_do(version: Version) {
    let Some(rabbit) = given(version, "a stream").await else {
        return;
    };
    let queue = unique("stream");
    let amqp = rabbit.amqp();
    let source = Source::new("orders", &*queue);
    let stream = || Options::new().exchange("");
    let made = stream().argument("x-queue-type", "stream");
    let error = amqp.provider(&source, &made).unwrap_err().to_string();
    assert!(error.contains("let a quorum queue get"), "{error}");

    let kind = AMQPValue::LongString("stream".into());
    for name in [&*queue, &format!("{queue}.dead")] {
        rabbit
            .declare(name, &[("x-queue-type", kind.clone())])
            .await;
    }
    for declare in [Declare::Verify, Declare::Off] {
        let found = stream().declare(declare);
        let provider = amqp.provider(&source, &found).unwrap();
        let error = provider.open(Open::Existing).await.unwrap_err().to_string();
        assert!(error.contains("let a quorum queue get"), "{error}");
        assert!(error.contains(&queue), "{error}");
    }
    for name in [&*queue, &format!("{queue}.dead")] {
        rabbit.delete(name).await;
    }
}
