use futures_util::{FutureExt, future::join_all};

use super::*;
use crate::{
    client::{hosts::Hosts, tls::Tls},
    error::{NOT_FOUND, PRECONDITION_FAILED},
};

/// An outlet of the server of the tests, and a queue of its own; none where there is no server.
async fn outlet(test: &str) -> Option<(Outlet, String)> {
    let Ok(url) = std::env::var("LOAFER_TEST_RABBITMQ") else {
        eprintln!("skipped: {test}: set LOAFER_TEST_RABBITMQ, or run cargo xtask test");
        return None;
    };
    let hosts = Hosts::new(vec![url.parse().unwrap()], Tls::default());
    let link = Link::new("testing", hosts.into());
    let channel = link.channel("testing", "").await.unwrap();
    let options = lapin::options::QueueDeclareOptions {
        exclusive: true,
        ..Default::default()
    };
    let queue = channel.queue_declare("".into(), options, Default::default());
    let queue = queue.await.unwrap().name().to_string();
    Some((Outlet::new(link), queue))
}

fn parcel(exchange: &str, key: &str, number: usize) -> Parcel {
    let id = number.to_string();
    Parcel {
        exchange: exchange.into(),
        routing_key: key.into(),
        properties: BasicProperties::default().with_message_id(id.into()),
        payload: Bytes::from_static(b"{}"),
        mandatory: true,
    }
}

#[tokio::test]
async fn what_closes_the_channel_is_told_alone() {
    let Some((outlet, queue)) = outlet("what_closes_the_channel_is_told_alone").await else {
        return;
    };
    let mut parcels: Vec<_> = (0..20).map(|number| parcel("", &queue, number)).collect();
    let broken = parcels[7].properties.clone();
    parcels[7].properties = broken.with_expiration("never".into());
    parcels[11].exchange = "there-is-no-such-exchange".into();
    let sent = outlet.send("test", &parcels.into()).await;
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
async fn what_no_queue_took_is_told_of_the_right_one() {
    let Some((outlet, queue)) = outlet("what_no_queue_took_is_told_of_the_right_one").await else {
        return;
    };
    let parcels: Arc<[_]> = (0..200)
        .map(|number| match number % 3 {
            0 => parcel("", "there-is-no-such-queue", number),
            _ => parcel("", &queue, number),
        })
        .collect();
    for _ in 0..5 {
        let sent = outlet.send("test", &parcels).await;
        for (at, sent) in sent.iter().enumerate() {
            let unroutable = matches!(sent, Err(Unsent::Unroutable));
            assert_eq!(unroutable, at % 3 == 0, "{at}: {sent:?}");
        }
    }
    // One after the other they share one channel.
    assert_eq!(outlet.channels.idle().len(), 1);
}

#[tokio::test]
async fn whoever_sends_at_once_is_told_of_its_own() {
    let Some((outlet, queue)) = outlet("whoever_sends_at_once_is_told_of_its_own").await else {
        return;
    };
    let send = async |number: usize| {
        let parcel = match number % 10 {
            3 => parcel("", "there-is-no-such-queue", number),
            7 => parcel("there-is-no-such-exchange", &queue, number),
            _ => parcel("", &queue, number),
        };
        outlet.send("test", &[parcel].into()).await
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
async fn who_goes_away_leaves_the_outlet_to_others() {
    let Some((outlet, queue)) = outlet("who_goes_away_leaves_the_outlet_to_others").await else {
        return;
    };
    for number in 0..50 {
        let (gone, stays) = (
            [parcel("", "nowhere", number)].into(),
            [parcel("", &queue, number)].into(),
        );
        let mut sending = Box::pin(outlet.send("test", &gone));
        _ = (&mut sending).now_or_never();
        drop(sending);
        let sent = outlet.send("test", &stays).await;
        assert!(matches!(sent[..], [Ok(())]), "{sent:?}");
    }
}

#[tokio::test]
async fn channels_that_were_closed_again_and_again_cost_nobody_the_connection() {
    let test = "channels_that_were_closed_again_and_again_cost_nobody_the_connection";
    let Some((outlet, queue)) = outlet(test).await else {
        return;
    };
    // More than a connection has numbers for channels.
    for number in 0..2_100 {
        let nowhere = [parcel("there-is-no-such-exchange", &queue, number)].into();
        let sent = outlet.send("test", &nowhere).await;
        assert!(
            matches!(sent[..], [Err(Unsent::Closed(NOT_FOUND, _))]),
            "{number}: {sent:?}"
        );
    }
    let sent = outlet.send("test", &[parcel("", &queue, 0)].into()).await;
    assert!(matches!(sent[..], [Ok(())]), "{sent:?}");
}

#[test]
fn a_window_is_bounded_by_messages_and_by_bytes() {
    let sizes = |parcels: &[Parcel]| {
        windows(parcels)
            .map(|window| window.len())
            .collect::<Vec<_>>()
    };
    let small: Vec<_> = (0..WINDOW + 10)
        .map(|number| parcel("", "q", number))
        .collect();
    assert_eq!(sizes(&small), [WINDOW, 10]);
    assert_eq!(sizes(&[]), [0; 0]);
    let payload = Bytes::from(vec![0; WINDOW_BYTES / 2 + 1]);
    let large: Vec<_> = small[..3]
        .iter()
        .map(|parcel| Parcel {
            payload: payload.clone(),
            ..parcel.clone()
        })
        .collect();
    assert_eq!(sizes(&large), [1, 1, 1]);
}
