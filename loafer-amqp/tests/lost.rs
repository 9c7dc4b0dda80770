//! Connections that are lost after the consumer was ended: whoever still works on its messages must learn of it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod direct;
mod private;
mod support;

use std::time::Duration;

use futures_util::FutureExt;
use loafer_amqp::Options;
use loafer_core::broker::{Notice, Provider, Settled, Settlement};
use loafer_test_servers::{Setup, Version};
use tokio::time::{Instant, sleep, timeout};

use direct::Direct;
use support::Rabbit;

private::on_both!(a_connection_that_is_lost_while_draining_is_told);

async fn a_connection_that_is_lost_while_draining_is_told(version: Version) {
    let test = format!("lost-{version:?}").to_lowercase();
    let Some(broker) = private::broker(version, &test, &Setup::default()).await else {
        return;
    };
    for waits in [true, false] {
        let rabbit = Rabbit::at(broker.url()).await;
        let direct = Direct::open(&broker.url(), &test, Options::new()).await;
        rabbit.publish_all("", &test, &["body"]).await;
        let held = direct.receive(1).await;
        direct.provider.pause().await;
        // The engine drops and repeats it at any time, so that it may be lost while nobody waits.
        let mut notice = Box::pin(direct.provider.notice());
        assert!((&mut notice).now_or_never().is_none());
        let waiting = waits.then_some(notice);
        assert!(direct.provider.is_live(&held[0].receipt));
        broker.management().close_connections().await;
        let closed = Instant::now();
        if !waits {
            sleep(Duration::from_millis(1_500)).await;
        }
        let notice = waiting.unwrap_or_else(|| Box::pin(direct.provider.notice()));
        let told = timeout(Duration::from_secs(5), notice).await;
        assert!(matches!(told, Ok(Notice::LeasesLost)), "{waits}: {told:?}");
        assert!(closed.elapsed() < Duration::from_secs(4), "{closed:?}");
        assert!(!direct.provider.is_live(&held[0].receipt));
        let (answers, _) = direct.settle(&held, &Settlement::Ack).await;
        assert!(matches!(answers[..], [Settled::Lost]), "{answers:?}");
        direct.provider.close().await;
        let rabbit = Rabbit::at(broker.url()).await;
        rabbit.depth_is(&test, 1).await;
        rabbit.get(&test).await.unwrap();
    }
}
