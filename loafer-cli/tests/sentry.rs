//! Failures reach a Sentry endpoint, over HTTP, with what names the message and nothing of what it carries.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use loafer_cli::Sentry;
use loafer_core::{message::Message, translate::Json};
use loafer_memory::Memory;
use loafer_runtime::{
    handler::Report as _,
    program::{App, Manager, Route},
};
use serde::Deserialize;
use serde_json::Value;

/// Stands in every body, and must stand in no report.
const SECRET: &str = "4111-1111-1111-1111";

#[derive(Deserialize)]
struct Payment {
    #[expect(dead_code, reason = "only decoded")]
    card: String,
    cents: u64,
}

async fn pay(payment: Payment) -> Result<bool, String> {
    match payment.cents {
        0 => Err("nothing to pay".to_owned()),
        1 => panic!("one cent is too little"),
        _ => Ok(true),
    }
}

/// What a Sentry endpoint is posted, envelope by envelope.
fn endpoint() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, envelopes) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || serve(&stream, &sender));
        }
    });
    (port, envelopes)
}

fn serve(mut stream: &TcpStream, envelopes: &mpsc::Sender<String>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a clone"));
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
        if head.is_empty() {
            return;
        }
        for line in head.to_lowercase().lines() {
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .expect("an answer");
        _ = envelopes.send(head + &String::from_utf8_lossy(&body));
    }
}

/// The event of an envelope: header, item header, item, a line each.
fn event(envelope: &str) -> Value {
    let body = envelope
        .split_once("\r\n\r\n")
        .map(|(_, body)| body)
        .expect("a body");
    let event = body.lines().nth(2).expect("an item");
    serde_json::from_str(event).expect("json")
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_reported_and_bodies_are_not() {
    let (port, envelopes) = endpoint();
    let dsn = format!("http://public@127.0.0.1:{port}/1");
    let sentry =
        Sentry::new(&dsn, "shop@1.2.3".to_owned(), Some("test".to_owned())).expect("a dsn");
    let sentry = std::sync::Arc::new(sentry);
    let app = App::new().report(sentry.clone());
    let manager = Manager::builder()
        .app(app)
        .route(
            Route::new("payments")
                .provider::<Memory>()
                .handler(Json, pay),
        )
        .build()
        .expect("a plan");
    let running = manager.start().await.expect("a start");

    let cases = [
        ("m-error", "0"),
        ("m-panic", "1"),
        ("m-undecodable", "\"lots\""),
        ("m-good", "2"),
    ];
    for (id, cents) in cases {
        let body = format!("{{\"card\":\"{SECRET}\",\"cents\":{cents}}}");
        running
            .publish("payments", Message::with_id(id, body))
            .await
            .expect("published");
    }
    let mut events = Vec::new();
    for _ in 0..3 {
        let envelope = envelopes
            .recv_timeout(Duration::from_secs(20))
            .expect("an envelope");
        assert!(!envelope.contains(SECRET), "{envelope}");
        assert!(envelope.starts_with("POST /api/1/envelope/"), "{envelope}");
        events.push(event(&envelope));
    }
    running.shutdown();
    running.ended().await;
    sentry.flush(Duration::from_secs(2));
    assert_eq!(envelopes.try_iter().count(), 0, "one report a failure");

    let of = |kind: &str| {
        events
            .iter()
            .find(|event| event["tags"]["kind"] == kind)
            .unwrap_or_else(|| panic!("no {kind} in {events:?}"))
    };
    for (kind, reason) in [
        ("error", "nothing to pay"),
        ("panic", "one cent is too little"),
        ("undecodable", "cents"),
    ] {
        let event = of(kind);
        let tags = &event["tags"];
        assert_eq!(
            (&tags["route"], &tags["queue"]),
            (&"payments".into(), &"payments".into())
        );
        assert_eq!(tags["attempt"], "1");
        assert!(
            tags["message_id"].as_str().is_some_and(|id| !id.is_empty()),
            "{tags}"
        );
        assert_eq!(
            (&event["release"], &event["environment"]),
            (&"shop@1.2.3".into(), &"test".into())
        );
        let exception = &event["exception"]["values"][0];
        assert_eq!(exception["type"], kind);
        assert!(
            exception["value"]
                .as_str()
                .is_some_and(|value| value.contains(reason)),
            "{exception}"
        );
        assert_eq!(
            (&event["fingerprint"][0], &event["fingerprint"][1]),
            (&"payments".into(), &kind.into())
        );
    }
    let ids: std::collections::BTreeSet<_> = events
        .iter()
        .map(|event| event["tags"]["message_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
}
