//! What handlers publish: one message or many, and what goes along with them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use loafer_core::event::Event;
use loafer_core::{
    Error,
    broker::{Publisher, Topic},
    extract::Metadata,
    message::{
        CAUSATION_ID, CORRELATION_ID, DeduplicationId, GroupId, Message, MessageId, Outgoing,
        TRACEPARENT,
    },
    translate::Json,
};
use loafer_memory::Memory;
use loafer_runtime::{bus::Bus, program::Route, testing};

/// Keeps what it is given, and how it was called.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Call>>>);

/// Topic and batch.
type Call = (String, Vec<Outgoing>);

impl Publisher for Kept {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        let mut kept = self.0.lock().unwrap();
        kept.push((topic.to_string(), batch.to_vec()));
        answers.extend(
            batch
                .iter()
                .map(|outgoing| Ok(outgoing.message.id().clone())),
        );
    }
}

#[derive(serde::Serialize)]
struct Paid {
    customer: String,
    payment: u64,
}

impl Event for Paid {
    type Encoding = Json;
    const TOPIC: &'static str = "paid.fifo";

    fn group(&self) -> Option<GroupId> {
        Some(self.customer.as_str().into())
    }

    fn deduplication_id(&self) -> Option<DeduplicationId> {
        Some(self.payment.to_string().into())
    }
}

#[tokio::test]
async fn many_messages_reach_the_publisher_as_one_batch() {
    let kept = Kept::default();
    let bus = Bus::new(kept.clone());
    let messages: Vec<_> = (0..25).map(|n| Message::new(n.to_string())).collect();
    let ids: Vec<_> = messages
        .iter()
        .map(|message| message.id().clone())
        .collect();
    let answers = bus.send_all("numbers", messages).await;
    let confirmed: Result<Vec<_>, _> = answers.into_iter().collect();
    assert_eq!(confirmed.unwrap(), ids);
    let calls = kept.0.lock().unwrap();
    assert_eq!((calls.len(), calls[0].1.len()), (1, 25));
}

#[tokio::test]
async fn an_event_goes_in_its_group_and_with_its_deduplication_id() {
    let kept = Kept::default();
    let paid = Paid {
        customer: "ana".into(),
        payment: 12,
    };
    Bus::new(kept.clone()).publish(&paid).await.unwrap();
    let later = Outgoing::event(&paid)
        .unwrap()
        .delay(Duration::from_secs(5));
    assert_eq!(later.delay, Some(Duration::from_secs(5)));

    let calls = kept.0.lock().unwrap();
    let (topic, sent) = (&calls[0].0, &calls[0].1[0]);
    assert_eq!((&**topic, sent.message.group()), ("paid.fifo", Some("ana")));
    assert_eq!(sent.deduplication_id.as_deref(), Some("12"));
    assert_eq!(
        &sent.message.payload()[..],
        br#"{"customer":"ana","payment":12}"#
    );
}

#[tokio::test]
async fn before_the_start_each_message_is_answered_with_why() {
    let answers = Bus::default()
        .send_all("numbers", [Message::new("1"), Message::new("2")])
        .await;
    assert_eq!(answers.len(), 2);
    let told = answers[1].as_ref().unwrap_err().to_string();
    assert!(
        told.contains("`numbers`") && told.contains("on_started"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_publishes_carries_trace_and_correlation_on() {
    async fn first(n: u32, bus: Bus) -> Result<bool, Error> {
        bus.send("second", Message::new(n.to_string())).await?;
        Ok(true)
    }
    async fn second(_: u32, bus: Bus, metadata: Metadata) -> Result<bool, Error> {
        assert_eq!(metadata.headers().get(TRACEPARENT), Some("00-a-b-01"));
        bus.send("third", Message::new("{}")).await?;
        Ok(true)
    }
    let route = |name: &'static str| Route::new(name).provider::<Memory>();
    let app = testing::app()
        .route(route("first").handler(Json, first))
        .route(route("second").handler(Json, second))
        .start()
        .await;
    let message = Message::new("1").with_header(TRACEPARENT, "00-a-b-01");
    app.publish_message("first", message).await;
    app.settled().await;

    let (second, third) = (&app.published("second")[0], &app.published("third")[0]);
    let header = |message: &Message, name| message.headers().get(name).unwrap().to_owned();
    assert_eq!(header(third, TRACEPARENT), "00-a-b-01");
    assert_eq!(header(second, CORRELATION_ID), header(second, CAUSATION_ID));
    assert_eq!(
        header(third, CORRELATION_ID),
        header(second, CORRELATION_ID)
    );
    assert_eq!(header(third, CAUSATION_ID), second.id().to_string());
}
