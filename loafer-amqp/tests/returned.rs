//! Messages that RabbitMQ returns, in a program that filters no logs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use loafer_amqp::Amqp;
use loafer_core::{
    broker::{Broker, Publisher, Topic},
    message::{Message, MessageId},
};
use loafer_test_servers::{RabbitMq, Version};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client has a thread of its own, so it logs to the subscriber of the process.
#[tokio::test]
async fn no_client_logs_what_is_in_them() {
    let Some(shared) = RabbitMq::shared(Version::V4, "no_client_logs_what_is_in_them") else {
        return;
    };
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .init();

    let publisher = Amqp::new(&shared.url).publisher();
    let key = format!("unheard-{}", MessageId::new());
    let secret = "a secret ".repeat(100_000);
    let bodies = ["1", "a secret", &secret];
    let outgoing = bodies.map(|body| {
        let message = Message::new(body.to_owned());
        message.with_header("token", "another secret").into()
    });
    let mut answers = Vec::new();
    let topic = Topic::from(key.clone());
    publisher.publish(&topic, &outgoing, &mut answers).await;
    assert_eq!(answers.len(), bodies.len());
    for answer in answers {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("nobody listens"), "{error}");
    }

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let returned = log.lines().filter(|line| line.contains("returned us"));
    let returned: Vec<_> = returned.collect();
    assert_eq!(returned.len(), bodies.len(), "{log}");
    for line in returned {
        assert!(line.contains(&key) && line.contains("data: []"), "{line}");
    }
    let in_numbers = format!("{:?}", b"a secret").replace(['[', ']'], "");
    for secret in ["secret", &in_numbers] {
        assert!(!log.contains(secret), "{secret}");
    }
}
