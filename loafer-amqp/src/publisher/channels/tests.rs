use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use lapin::BasicProperties;

use super::*;
use crate::{
    client::{hosts::Hosts, identity::Identity, tls::Tls},
    error::{NOT_FOUND, PRECONDITION_FAILED},
};

/// Returns publish channels to the server of the tests, and a queue of their own. `None` means that there is no server.
async fn channels(test: &str) -> Option<(PublishChannels, String)> {
    let Ok(url) = std::env::var("LOAFER_TEST_RABBITMQ") else {
        eprintln!("skipped: {test}: set LOAFER_TEST_RABBITMQ, or run cargo xtask test");
        return None;
    };
    let hosts = Hosts::new(
        vec![url.parse().unwrap()],
        Tls::default(),
        None,
        Identity::default(),
    );
    let link = Link::new("testing", hosts.into());
    let channel = link.channel("testing", "").await.unwrap();
    let options = lapin::options::QueueDeclareOptions {
        exclusive: true,
        ..Default::default()
    };
    let queue = channel.queue_declare("".into(), options, Default::default());
    let queue = queue.await.unwrap().name().to_string();
    Some((PublishChannels::new(link), queue))
}

fn entry(exchange: &str, key: &str, number: usize) -> Entry {
    let id = number.to_string();
    Entry {
        exchange: exchange.into(),
        routing_key: key.into(),
        properties: BasicProperties::default().with_message_id(id.into()),
        payload: Bytes::from_static(b"{}"),
        mandatory: true,
    }
}

#[tokio::test]
async fn a_message_that_closes_the_channel_fails_alone() {
    let Some((channels, queue)) = channels("a_message_that_closes_the_channel_fails_alone").await
    else {
        return;
    };
    let mut entries: Vec<_> = (0..20).map(|number| entry("", &queue, number)).collect();
    let broken = entries[7].properties.clone();
    entries[7].properties = broken.with_expiration("never".into());
    entries[11].exchange = "there-is-no-such-exchange".into();
    let sent = channels.publish("test", &entries.into()).await;
    for (at, sent) in sent.iter().enumerate() {
        match (at, sent) {
            (7, Err(Unsent::Closed(PRECONDITION_FAILED, _))) => {}
            (11, Err(Unsent::Closed(NOT_FOUND, _))) => {}
            (7 | 11, _) => panic!("{at}: {sent:?}"),
            _ => assert!(sent.is_ok(), "{at}: {sent:?}"),
        }
    }
}

#[tokio::test]
async fn a_message_that_no_queue_took_is_the_one_that_fails() {
    let Some((channels, queue)) =
        channels("a_message_that_no_queue_took_is_the_one_that_fails").await
    else {
        return;
    };
    let entries: Arc<[_]> = (0..200)
        .map(|number| match number % 3 {
            0 => entry("", "there-is-no-such-queue", number),
            _ => entry("", &queue, number),
        })
        .collect();
    for _ in 0..5 {
        let sent = channels.publish("test", &entries).await;
        for (at, sent) in sent.iter().enumerate() {
            let unroutable = matches!(sent, Err(Unsent::Unroutable));
            assert_eq!(unroutable, at % 3 == 0, "{at}: {sent:?}");
        }
    }
    // One after the other they share one channel.
    assert_eq!(channels.pool.idle().len(), 1);
}

#[tokio::test]
async fn senders_at_the_same_time_get_their_own_answers() {
    let Some((channels, queue)) = channels("senders_at_the_same_time_get_their_own_answers").await
    else {
        return;
    };
    let send = async |number: usize| {
        let entry = match number % 10 {
            3 => entry("", "there-is-no-such-queue", number),
            7 => entry("there-is-no-such-exchange", &queue, number),
            _ => entry("", &queue, number),
        };
        channels.publish("test", &[entry].into()).await
    };
    for (number, sent) in join_all((0..500).map(send)).await.iter().enumerate() {
        match (number % 10, &sent[..]) {
            (3, [Err(Unsent::Unroutable)]) | (7, [Err(Unsent::Closed(NOT_FOUND, _))]) => {}
            (3 | 7, _) => panic!("{number}: {sent:?}"),
            _ => assert!(matches!(sent[..], [Ok(())]), "{number}: {sent:?}"),
        }
    }
}

#[tokio::test]
async fn a_sender_that_goes_away_leaves_the_channels_to_others() {
    let Some((channels, queue)) =
        channels("a_sender_that_goes_away_leaves_the_channels_to_others").await
    else {
        return;
    };
    for number in 0..50 {
        let (gone, stays) = (
            [entry("", "nowhere", number)].into(),
            [entry("", &queue, number)].into(),
        );
        let mut sending = Box::pin(channels.publish("test", &gone));
        _ = (&mut sending).now_or_never();
        drop(sending);
        let sent = channels.publish("test", &stays).await;
        assert!(matches!(sent[..], [Ok(())]), "{sent:?}");
    }
}

#[tokio::test]
async fn channels_that_were_closed_again_and_again_cost_nobody_the_connection() {
    let test = "channels_that_were_closed_again_and_again_cost_nobody_the_connection";
    let Some((channels, queue)) = channels(test).await else {
        return;
    };
    // More than a connection has numbers for channels.
    for number in 0..2_100 {
        let nowhere = [entry("there-is-no-such-exchange", &queue, number)].into();
        let sent = channels.publish("test", &nowhere).await;
        assert!(
            matches!(sent[..], [Err(Unsent::Closed(NOT_FOUND, _))]),
            "{number}: {sent:?}"
        );
    }
    let sent = channels
        .publish("test", &[entry("", &queue, 0)].into())
        .await;
    assert!(matches!(sent[..], [Ok(())]), "{sent:?}");
}

#[test]
fn a_window_is_bounded_by_messages_and_by_bytes() {
    let sizes = |entries: &[Entry]| {
        windows(entries)
            .map(|window| window.len())
            .collect::<Vec<_>>()
    };
    let small: Vec<_> = (0..WINDOW + 10)
        .map(|number| entry("", "q", number))
        .collect();
    assert_eq!(sizes(&small), [WINDOW, 10]);
    assert_eq!(sizes(&[]), [0; 0]);
    let payload = Bytes::from(vec![0; WINDOW_BYTES / 2 + 1]);
    let large: Vec<_> = small[..3]
        .iter()
        .map(|entry| Entry {
            payload: payload.clone(),
            ..entry.clone()
        })
        .collect();
    assert_eq!(sizes(&large), [1, 1, 1]);
}
