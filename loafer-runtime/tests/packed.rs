//! Bodies that their senders packed, beside plain ones.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use loafer_core::{
    Error,
    extract::Batch,
    message::Message,
    policy::Undecodable,
    translate::{Bytes, Json, Sns},
};
use loafer_memory::Memory;
use loafer_runtime::{
    program::{App, Config, Manager, Route, RouteOptions},
    testing::{self, TestApp},
};
use serde::Deserialize;

/// `{"n":1}` in gzip, and that in base64, as `content-encoding` says on RabbitMQ and on SQS.
const GZIP: &[u8] =
    b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xab\x56\xca\x53\xb2\x32\xac\x05\0\x7e\x3b\x4b\xd4\x07\0\0\0";
const BASE64: &[u8] = b"H4sIAAAAAAACA6tWylOyMqwFAH47S9QHAAAA";

const PLAIN: &[u8] = br#"{"n":1}"#;

#[derive(Deserialize)]
struct Order {
    n: u8,
}

async fn started(bound: Option<usize>) -> TestApp {
    let options = RouteOptions::new().undecodable(Undecodable::Reject);
    let route = |name| Route::new(name).options(options.clone());
    testing::app()
        .setup(async |app: App| {
            Ok::<_, Error>(bound.into_iter().fold(app, App::max_unpacked_bytes))
        })
        .await
        .route(route("json").handler(Json, async |order: Order| order.n == 1))
        .route(route("sns").handler(Sns::new(), async |order: Order| order.n == 1))
        .route(route("bytes").handler(Bytes::new(), async |body: Bytes| body == PLAIN))
        .route(
            route("batch").batch_handler(Json, async |orders: Batch<Order>| {
                orders.values().all(|order| order.n == 1)
            }),
        )
        .start()
        .await
}

fn said(body: &'static [u8], encoding: &str) -> Message {
    Message::new(body).with_header("Content-Encoding", encoding)
}

#[tokio::test(start_paused = true)]
async fn packed_and_plain_bodies_share_a_queue() {
    let app = started(None).await;
    for route in ["json", "sns", "bytes", "batch"] {
        app.publish_message(route, Message::new(PLAIN)).await;
        app.publish_message(route, said(PLAIN, "gzip")).await;
        app.publish_message(route, said(GZIP, "gzip")).await;
        app.publish_message(route, said(BASE64, "gzip,base64"))
            .await;
    }
    app.settled().await;
    for route in ["json", "sns", "bytes", "batch"] {
        let route = app.route(route);
        assert_eq!((route.acked(), route.dead_lettered()), (4, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_keeps_the_packed_bytes_and_says_why() {
    let app = started(Some(6)).await;
    app.publish_message("json", said(GZIP, "gzip")).await;
    app.publish_message("batch", said(GZIP, "gzip")).await;
    app.publish_message("json", said(PLAIN, "gzip")).await;
    app.publish_message("batch", said(b"no JSON", "br")).await;
    app.settled().await;
    let bound = "content-encoding is gzip: the payload has more than 6 bytes once it is unpacked, which `max_unpacked_bytes` does not allow";
    for route in ["json", "batch"] {
        app.assert_dead_lettered(route, bound);
        let route = app.route(route);
        let letter = &route.dead_letters()[0];
        assert_eq!(letter.payload(), GZIP);
        assert_eq!(letter.headers().get("Content-Encoding"), Some("gzip"));
    }
    let unknown =
        "content-encoding is none of gzip, deflate, zstd and base64: the payload is no JSON";
    app.assert_dead_lettered("batch", unknown);
    // A plain body is not unpacked, whatever its header says.
    assert_eq!(app.route("json").acked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_bound_is_a_key_of_the_configuration() {
    let environment = |value: &str| [("LOAFER_MAX_UNPACKED_BYTES".to_owned(), value.to_owned())];
    let error = Config::parse("", environment("16MiB"), &[]).unwrap_err();
    assert!(
        error.to_string().contains("`16MiB` is no whole number"),
        "{error}"
    );
    let config = Config::parse("max_unpacked_bytes = 100", environment("6"), &["json"]).unwrap();
    let memory = Memory::new();
    let app = App::new().broker(memory.clone()).max_unpacked_bytes(100);
    let route = Route::new("json").provider::<Memory>();
    let route = route.options(RouteOptions::new().undecodable(Undecodable::Reject));
    let route = route.handler(Json, async |order: Order| order.n == 1);
    let manager = Manager::builder().app(app).config(config).route(route);
    let running = manager.build().unwrap().start().await.unwrap();
    memory.send("json", [said(GZIP, "gzip")]);
    memory.settled().await;
    assert_eq!(memory.dead_letters("json").len(), 1);
    running.shutdown();
    running.ended().await;
}
