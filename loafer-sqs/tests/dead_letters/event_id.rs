//! The id of the event, on its way to the dead letters and back.

use std::time::Duration;

use loafer_core::{
    broker::{DeadLetter, Destination},
    message::{EVENT_ID, Message},
};
use loafer_runtime::dead_letters::Selection;

use super::{dead_letters, listed, on, reject, support::Server};

/// Nine other headers leave no room for the envelope: the last of them is folded into it.
pub(crate) async fn the_id_of_an_event_is_on_its_dead_letter_and_on_the_next_try(server: Server) {
    for others in [1, 9] {
        let queue = server.queue("event", Some(Duration::from_secs(30))).await;
        let message = (0..others).fold(Message::new("x"), |message, at| {
            message.with_header(format!("h{at}"), "v")
        });
        let sent = message.with_header(EVENT_ID, "e-1");
        reject(&queue, vec![sent.clone().into()]).await;

        // On the wire it is an attribute of its own, for consumers in any language.
        let url = queue.url.clone() + "-dlq";
        let seen = queue.client.receive_message().queue_url(&url);
        let seen = seen.visibility_timeout(0).wait_time_seconds(5);
        let seen = seen.message_attribute_names("All").send().await.unwrap();
        let attributes = seen.messages()[0].message_attributes().unwrap();
        assert_eq!(attributes[EVENT_ID].string_value(), Some("e-1"));
        assert!(attributes.contains_key("h0") && !attributes.contains_key("h8"));

        let dead_letters = dead_letters(&server, &queue).await;
        let dead = listed(&dead_letters, 1).await.remove(0).message;
        assert_eq!(dead.event_id(), Some("e-1"));
        let headers = dead.headers();
        assert_eq!(headers.len(), sent.headers().len() + 1, "{headers:?}");

        let (all, source) = (Selection::All, Destination::Source);
        let again = dead_letters
            .send(&all, &source, None, &mut on)
            .await
            .unwrap();
        assert_eq!(again.sent, 1);
        let again = queue.receive(1).await.remove(0).message;
        assert_eq!(again.event_id(), Some("e-1"));
        assert!(DeadLetter::of(&again).is_none());
        for (name, value) in sent.headers().iter() {
            assert_eq!(again.headers().get(name), Some(value), "{name}");
        }
    }
}
