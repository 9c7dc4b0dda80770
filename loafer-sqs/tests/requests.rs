//! Requests and replies on a real server: two services, and the queue between them.

#![allow(
    clippy::unwrap_used,
    reason = "outside of a test function, a helper panics as one"
)]

#[path = "../../tests/support/doubling.rs"]
mod doubling;
mod support;

use std::time::Duration;

use loafer_core::{
    Error,
    broker::{Broker, Publisher, REPLY_TO, REQUEST_ID, Replies, is_reply_queue, reply_queue},
    message::{Message, MessageId, Outgoing},
};
use loafer_runtime::program::{Route, RouteOptions, Running};
use loafer_sqs::Sqs;

use doubling::{Answers, PATIENCE, Told, next, stop};

async fn start(server: &support::Server, route: Route) -> Running {
    let manager = server.manager().route(route).build().unwrap();
    manager.start().await.unwrap()
}

fn on(queue: &support::Queue, name: &'static str) -> Route {
    let options = RouteOptions::new().queue(&queue.name);
    Route::new(name).provider::<Sqs>().options(options)
}

async fn doubling(server: &support::Server, queue: &support::Queue) -> (Running, Told<Message>) {
    let (route, answers) = doubling::doubling(on(queue, "doubling"));
    (start(server, route).await, answers)
}

async fn asking(
    server: &support::Server,
    queue: &support::Queue,
    whom: &str,
) -> (Running, Answers) {
    let (route, answers) = doubling::asking(on(queue, "asking"), format!("sqs:{whom}"));
    (start(server, route).await, answers)
}

async fn is_there(queue: &support::Queue, url: &str) -> bool {
    let answer = queue.client.get_queue_attributes().queue_url(url);
    answer.send().await.is_ok()
}

#[tokio::test]
async fn a_service_is_given_the_replies_of_another_by_a_queue_of_its_own() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_service_is_given_the_replies_of_another_by_a_queue_of_its_own"
    );
    let wanted = server.queue("doubling", None).await;
    let numbers = server.queue("asking", None).await;
    let (doubling, mut requests) = doubling(&server, &wanted).await;
    let (asking, mut answers) = asking(&server, &numbers, &wanted.name).await;

    let sent: Vec<u64> = (20..50).collect();
    let message = |number: &u64| Message::new(number.to_string()).into();
    numbers.send(sent.iter().map(message).collect()).await;
    let mut doubles = Vec::new();
    for _ in &sent {
        doubles.push(next(&mut answers).await.unwrap());
    }
    doubles.sort_unstable();
    assert_eq!(doubles, sent.iter().map(|n| 2 * n).collect::<Vec<_>>());

    let mut addresses = Vec::new();
    for _ in &sent {
        let request = next(&mut requests).await;
        let address = request.headers().get(REPLY_TO).unwrap().to_owned();
        assert!(request.correlation_id() != request.headers().get(REQUEST_ID));
        addresses.push(address);
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 1, "one queue a process");
    let address = addresses.remove(0);
    assert!(is_reply_queue(address.rsplit('/').next().unwrap()));
    assert!(is_there(&numbers, &address).await);
    stop(asking).await;
    assert!(!is_there(&numbers, &address).await, "deleted at the end");
    stop(doubling).await;
}

#[tokio::test]
async fn a_rejected_request_is_reported_to_its_requester() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_rejected_request_is_reported_to_its_requester"
    );
    let wanted = server.queue("doubling", None).await;
    let numbers = server.queue("asking", None).await;
    let (doubling, _requests) = doubling(&server, &wanted).await;
    let (asking, mut answers) = asking(&server, &numbers, &wanted.name).await;
    numbers.send(vec![Message::new("13").into()]).await;
    let error = next(&mut answers).await.unwrap_err();
    assert!(error.ends_with("failed: rejected: unlucky"), "{error}");
    stop(asking).await;
    stop(doubling).await;
    assert_eq!(wanted.depth_of_dead_letters().await, 1);
}

#[tokio::test]
async fn a_request_of_somebody_who_is_gone_or_never_was_is_handled() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_request_of_somebody_who_is_gone_or_never_was_is_handled"
    );
    let wanted = server.queue("doubling", None).await;
    let other = server.queue("orders", None).await;
    let base = wanted.url.rsplit_once('/').unwrap().0;
    let gone = format!("{base}/{}", reply_queue(Some("gone"), 80));
    let (doubling, mut requests) = doubling(&server, &wanted).await;
    let request = |address: &str| {
        let request = Message::new("1").with_header(REQUEST_ID, MessageId::new().to_string());
        Outgoing::new(request.with_header(REPLY_TO, address))
    };
    let batch = vec![request(&gone), request(&other.url), request(&other.name)];
    wanted.send(batch).await;
    for _ in 0..3 {
        next(&mut requests).await;
    }
    stop(doubling).await;
    assert_eq!((wanted.depth().await, other.depth().await), (0, 0));
}

#[tokio::test]
async fn nothing_is_made_before_the_first_request() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "nothing_is_made_before_the_first_request"
    );
    let app = format!("app{}", MessageId::new().to_string().replace('-', ""));
    let queues = async || {
        let list = server.client().list_queues().queue_name_prefix(&app[..20]);
        list.send().await.unwrap().queue_urls.unwrap_or_default()
    };
    let replies = server.sqs();
    let replies = replies.replies(Some(&app[..20])).unwrap();
    assert_eq!(queues().await, Vec::<String>::new());
    replies.close().await;

    let address = replies.address().await.unwrap();
    assert_eq!(queues().await, std::slice::from_ref(&address));
    assert_eq!(replies.address().await.unwrap(), address);
    replies.close().await;
    assert_eq!(queues().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_dropped_call_has_made_is_deleted_all_the_same() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "what_a_dropped_call_has_made_is_deleted_all_the_same"
    );
    let app = format!("d{}", &MessageId::new().to_string()[24..]);
    let queues = async || {
        let list = server.client().list_queues().queue_name_prefix(&app);
        list.send().await.unwrap().queue_urls.unwrap_or_default()
    };
    let sqs = server.sqs();
    let replies = sqs.replies(Some(&app)).unwrap();
    for millis in [0, 1, 2, 5, 10, 50] {
        let short = Duration::from_millis(millis);
        _ = tokio::time::timeout(short, replies.address()).await;
    }
    assert!(queues().await.len() <= 1, "taken up again, not made anew");
    replies.close().await;
    assert_eq!(queues().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_queue_that_was_removed_is_made_anew() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "a_queue_that_was_removed_is_made_anew"
    );
    let sqs = server.sqs();
    let replies = sqs.replies(Some("removed")).unwrap();
    let first = replies.address().await.unwrap();
    let delete = server.client().delete_queue().queue_url(&first);
    delete.send().await.unwrap();
    let mut into = Vec::new();
    let lost = replies.receive(Duration::ZERO, &mut into).await;
    assert!(matches!(lost, Err(Error::UnknownQueue { .. })), "{lost:?}");

    let second = replies.address().await.unwrap();
    assert_ne!(first, second);
    let topic = sqs.reply_topic(&second).unwrap();
    let reply = Message::new("1").with_header(REQUEST_ID, "7");
    let mut answers = Vec::new();
    sqs.publisher()
        .publish(&topic, &[reply.into()], &mut answers)
        .await;
    assert!(answers[0].is_ok(), "{answers:?}");
    replies.receive(PATIENCE, &mut into).await.unwrap();
    assert_eq!(into[0].headers().get(REQUEST_ID), Some("7"));
    replies.close().await;
}

#[tokio::test]
async fn reply_queues_of_crashed_processes_are_found_and_deleted_when_asked_to() {
    let server = server!(
        "LOAFER_TEST_FAUXQS",
        "reply_queues_of_crashed_processes_are_found_and_deleted_when_asked_to"
    );
    let queue = server.queue("crashed", None).await;
    let app = format!("app-{}", &MessageId::new().to_string()[24..]);
    let old = format!("{app}-replies-01890a5d-ac96-774b-bcce-b302099a8057");
    let mut urls = Vec::new();
    for name in [&old, &reply_queue(Some(&app), 80)] {
        let made = queue.client.create_queue().queue_name(name);
        urls.push(made.send().await.unwrap().queue_url.unwrap());
    }
    let replies = queue.sqs.replies(Some(&app)).unwrap();
    let found = replies.left_behind(false).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].text.contains(&format!("`{old}`;")), "{found:?}");
    assert!(is_there(&queue, &urls[0]).await);

    let deleted = replies.left_behind(true).await;
    assert_eq!(deleted[0].text, format!("reply queue `{old}` was deleted"));
    assert!(!is_there(&queue, &urls[0]).await);
    assert!(is_there(&queue, &urls[1]).await);
    assert!(replies.left_behind(true).await.is_empty());
}
