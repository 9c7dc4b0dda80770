use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::{sync::Notify, time::Instant};

use super::*;
use crate::bus::Bus;
use loafer_core::{
    broker::{Publisher, Replies},
    message::Outgoing,
};

/// A broker that replies as the test wants it, and counts.
#[derive(Default)]
struct Scripted {
    /// What the next receives return.
    replies: Mutex<Vec<Message>>,
    came: Notify,
    receives: AtomicUsize,
    failing: AtomicUsize,
    panics: AtomicBool,
    closed: AtomicBool,
}

#[derive(Clone, Default)]
struct Broker(Arc<Scripted>);

impl Broker {
    fn bus(&self) -> Bus {
        let bus = Bus::new(self.clone());
        bus.requests().connect(Ok(Arc::new(self.clone())));
        bus
    }

    fn put(&self, reply: Message) {
        self.0.replies.lock().unwrap().push(reply);
        self.0.came.notify_one();
    }

    fn receives(&self) -> usize {
        self.0.receives.load(Ordering::SeqCst)
    }
}

/// Replies to `echo` at once, with the request's payload; to `twice` two times; to other topics never.
impl Publisher for Broker {
    async fn publish(
        &self,
        topic: &Topic,
        batch: &[Outgoing],
        answers: &mut Vec<Result<MessageId, Error>>,
    ) {
        for outgoing in batch {
            let times = match topic.as_str() {
                "echo" => 1,
                "twice" => 2,
                _ => 0,
            };
            (0..times).for_each(|_| self.put(outgoing.message.clone()));
            answers.push(Ok(MessageId::new()));
        }
    }
}

impl Replies for Broker {
    async fn address(&self) -> Result<String, Error> {
        Ok("here".to_owned())
    }

    async fn receive(&self, wait: Duration, into: &mut Vec<Message>) -> Result<(), Error> {
        let script = &self.0;
        script.receives.fetch_add(1, Ordering::SeqCst);
        assert!(!script.panics.swap(false, Ordering::SeqCst), "as scripted");
        if script
            .failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        {
            return Err(stopped(&"replies".into()));
        }
        let end = Instant::now() + wait;
        while script.replies.lock().unwrap().is_empty() {
            if tokio::time::timeout_at(end, script.came.notified())
                .await
                .is_err()
            {
                return Ok(());
            }
        }
        into.append(&mut script.replies.lock().unwrap());
        Ok(())
    }

    async fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn replies_are_received_only_while_somebody_waits() {
    let broker = Broker::default();
    let bus = broker.bus();
    assert_eq!(broker.receives(), 0);
    let reply: u32 = bus.request("echo", &7, SECOND).await.unwrap();
    assert_eq!(reply, 7);
    // The receive that has begun runs to its end; there is no further one.
    tokio::time::sleep(2 * POLL).await;
    let receives = broker.receives();
    assert!(receives <= 2, "{receives}");
    tokio::time::sleep(100 * POLL).await;
    assert_eq!(broker.receives(), receives);

    let _: u32 = bus.request("echo", &8, SECOND).await.unwrap();
    assert!(broker.receives() > receives);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_reply_is_over_in_time_and_forgotten() {
    let broker = Broker::default();
    let bus = broker.bus();
    let begin = Instant::now();
    let error = bus.request::<u32>("void", &7, 5 * SECOND).await;
    assert_eq!(begin.elapsed(), 5 * SECOND);
    let text = error.unwrap_err().to_string();
    for part in ["`void`", "5s", "may still be handled"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(bus.requests().state().waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_is_forgotten() {
    let broker = Broker::default();
    let bus = broker.bus();
    let dropped = bus.request::<u32>("void", &7, 5 * SECOND);
    assert!(tokio::time::timeout(SECOND, dropped).await.is_err());
    assert!(bus.requests().state().waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn replies_for_which_nobody_waits_are_dropped() {
    let broker = Broker::default();
    let bus = broker.bus();
    broker.put(Message::new("1"));
    broker.put(Message::new("2").with_header(REQUEST_ID, MessageId::new().to_string()));
    for number in 0..3_u32 {
        let reply: u32 = bus.request("twice", &number, SECOND).await.unwrap();
        assert_eq!(reply, number);
    }
    assert!(bus.requests().state().waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_request_gets_its_own_reply() {
    let broker = Broker::default();
    let bus = broker.bus();
    let requests = (0..500_u32).map(|number| {
        let bus = bus.clone();
        async move { bus.request::<u32>("echo", &number, SECOND).await.unwrap() == number }
    });
    let right = futures_util::future::join_all(requests).await;
    assert!(right.into_iter().all(|right| right));
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_fails_is_tried_again() {
    let broker = Broker::default();
    broker.0.failing.store(3, Ordering::SeqCst);
    let reply: u32 = broker.bus().request("echo", &7, 5 * SECOND).await.unwrap();
    assert_eq!((reply, broker.receives()), (7, 4));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_panics_costs_the_requests_of_that_time_only() {
    let broker = Broker::default();
    let bus = broker.bus();
    broker.0.panics.store(true, Ordering::SeqCst);
    assert!(bus.request::<u32>("void", &7, SECOND).await.is_err());
    let reply: u32 = bus.request("echo", &8, SECOND).await.unwrap();
    assert_eq!(reply, 8);
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may() {
    let broker = Broker::default();
    let bus = broker.bus();
    let requests = (0..MOST).map(|_| bus.request_message("void", Message::new("1"), SECOND));
    let full = async {
        tokio::task::yield_now().await;
        bus.request::<u32>("echo", &1, SECOND).await
    };
    let (_, refused) = tokio::join!(futures_util::future::join_all(requests), full);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("`echo`") && text.contains("10000"), "{text}");
    let reply: u32 = bus.request("echo", &1, SECOND).await.unwrap();
    assert_eq!(reply, 1);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_nobody_is_left_waiting() {
    let broker = Broker::default();
    let bus = broker.bus();
    let begin = Instant::now();
    let (waiting, ()) = tokio::join!(bus.request::<u32>("void", &7, 60 * SECOND), async {
        tokio::time::sleep(SECOND).await;
        bus.close().await;
    });
    assert_eq!(begin.elapsed(), SECOND);
    assert!(waiting.unwrap_err().to_string().contains("stopped"));
    assert!(broker.0.closed.load(Ordering::SeqCst));
    assert!(bus.request::<u32>("echo", &7, SECOND).await.is_err());
}

#[tokio::test]
async fn a_bus_without_replies_says_so() {
    let bus = Bus::new(Broker::default());
    let error = bus.request::<u32>("echo", &7, SECOND).await.unwrap_err();
    assert!(error.to_string().contains("testing::bus"), "{error}");

    bus.requests().connect(Err(Error::Config(
        "the broker `x` has no replies yet".into(),
    )));
    let error = bus.request::<u32>("echo", &7, SECOND).await.unwrap_err();
    assert!(
        error.to_string().contains("`echo`") && error.to_string().contains("`x`"),
        "{error}"
    );
}
