//! Addresses of replies: private queues, which requests name in `reply-to`.

use loafer_core::{
    Error,
    broker::{Topic, is_reply_queue, reply_queue},
};

use super::{MAX_BYTES, routing::Routing};

/// What the names of queues begin with that RabbitMQ names itself. Nobody else may declare a queue of such a name.
const OF_SERVER: [&str; 2] = ["amq.gen-", "amq.rabbitmq.reply-to."];

/// What a topic begins with that is a queue, whatever characters its name has.
const QUEUE: &str = "amqp:/";

/// Returns a new name for the reply queue of an app.
pub(crate) fn queue(app: Option<&str>) -> String {
    reply_queue(app, MAX_BYTES)
}

/// Returns the topic for a reply to an address that a request named in `reply_to`: a queue on the default exchange. The queue must be a reply
/// queue by its name, or one that RabbitMQ named itself.
pub(crate) fn topic(address: &str) -> Result<Topic, Error> {
    match is_address(address) {
        true => Ok(Routing::key(address).exchange("").into()),
        false => Err(Error::Config(
            "the property `reply_to` names no queue for replies on RabbitMQ: one that RabbitMQ named, as amq.gen-…, its direct reply-to, or NAME-replies-UUID".to_owned(),
        )),
    }
}

fn is_address(queue: &str) -> bool {
    let of_server = OF_SERVER.iter().any(|start| queue.starts_with(start));
    queue.len() <= MAX_BYTES
        && queue.bytes().all(|byte| byte.is_ascii_graphic())
        && (of_server || is_reply_queue(queue))
}

/// Returns whether a topic leads to the address of a reply.
pub(crate) fn is_reply(topic: &Topic) -> bool {
    let queue = topic.as_str().strip_prefix(QUEUE);
    queue.is_some_and(is_address)
}

/// Returns the error of a reply whose queue no longer exists.
pub(crate) fn gone(topic: &Topic) -> Error {
    Error::UnknownQueue {
        queue: topic
            .as_str()
            .strip_prefix(QUEUE)
            .unwrap_or_default()
            .to_owned(),
        location: String::new(),
        remedy: "whoever waited for a reply is gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_that_are_private_are_replied_to_and_no_others() {
        let ours = queue(Some("friends"));
        for queue in [
            &*ours,
            "amq.gen-JzTY20BRgKO-HjmUJj0wLg",
            "amq.rabbitmq.reply-to.g1h2AA5/x+y==.a1",
        ] {
            let topic = topic(queue).unwrap();
            assert!(is_reply(&topic), "{queue}");
            let Error::UnknownQueue { queue: named, .. } = gone(&topic) else {
                panic!("{queue}");
            };
            assert_eq!(named, queue);
            assert_eq!(
                Routing::of(topic.as_str()),
                Ok(Routing::key(queue).exchange(""))
            );
        }
        for queue in ["", "orders", "amq.topic", "event/orders", "amq.gen-a b"] {
            assert!(topic(queue).is_err(), "{queue}");
        }
        assert!(!is_reply(&Topic::from("amqp:orders")));
    }
}
