//! Copies of dead letters in another queue.

use std::collections::HashMap;

use aws_sdk_sqs::{
    error::BuildError,
    types::{
        MessageAttributeValue, SendMessageBatchRequestEntry as SqsEntry,
        builders::SendMessageBatchRequestEntryBuilder as SqsEntryBuilder,
    },
};
use loafer_core::{
    Error,
    broker::{DeadLetter, Delivery, Destination},
    message::Message,
};

use super::{DeadLetterReceipt, Found};
use crate::{
    error::Call,
    message::text,
    names::{TRACE, is_fifo, is_set_by_sqs, queue_name},
    outgoing::{self, ATTRIBUTES, SQS_BYTES, allowed, with_trace},
};

type Attributes = HashMap<String, MessageAttributeValue>;

/// The copy of a dead letter, ready to be sent.
struct Copy<'l> {
    dead_letter: &'l Delivery<DeadLetterReceipt>,
    body: &'l str,
    attributes: Attributes,
}

impl Found {
    pub(super) async fn copy(
        &self,
        to: &Destination,
        dead_letters: &[Delivery<DeadLetterReceipt>],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        let target = match self.target(to).await {
            Ok(target) => target,
            Err(error) => {
                return answers.extend(dead_letters.iter().map(|_| Err(error.clone())));
            }
        };
        let call = Call::new("sending", queue_name(&target.url), &target.clients.endpoint);
        let fifo = is_fifo(&target.url);
        let first = answers.len();
        let mut copies = Vec::with_capacity(dead_letters.len());
        for (index, dead_letter) in dead_letters.iter().enumerate() {
            answers.push(Ok(()));
            match Copy::of(dead_letter) {
                Ok(copy) => copies.push((first + index, copy)),
                Err(cause) => answers[first + index] = Err(call.refused(cause, None)),
            }
        }
        let sizes: Vec<_> = copies.iter().map(|(_, copy)| copy.bytes()).collect();
        for range in outgoing::calls(&sizes, SQS_BYTES) {
            let copies = &copies[range];
            let entries = copies.iter().map(|(_, copy)| copy.entry(fifo)).collect();
            let said = target.clients.send(&target.url, entries, call).await;
            for ((index, _), said) in copies.iter().zip(said) {
                if let Err(fault) = said {
                    let error = fault.into_error();
                    answers[*index] = Err(error.unwrap_or_else(|| call.unanswered()));
                }
            }
        }
    }
}

impl<'l> Copy<'l> {
    /// Copies the body of a dead letter, and its attributes as the message has them now.
    fn of(dead_letter: &'l Delivery<DeadLetterReceipt>) -> Result<Self, String> {
        let body = std::str::from_utf8(dead_letter.message.payload())
            .map_err(|_| "its body is not UTF-8: SQS carries text".to_owned())?;
        let mut copy = Self {
            dead_letter,
            body,
            attributes: attributes(&dead_letter.message, &dead_letter.receipt.0.attributes)
                .map_err(|error| error.to_string())?,
        };
        // The headers of the sender matter more than our link to the failure.
        if copy.attributes.len() > ATTRIBUTES || copy.bytes() > SQS_BYTES {
            copy.attributes.remove(DeadLetter::RETRIED_FROM);
        }
        Ok(copy)
    }

    /// Returns the size as SQS measures it.
    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| {
            let text = value.string_value().map_or(0, str::len);
            let bytes = value.binary_value().map_or(0, |bytes| bytes.as_ref().len());
            name.len() + value.data_type().len() + text + bytes
        });
        self.body.len() + attributes.sum::<usize>()
    }

    fn entry(&self, fifo: bool) -> Result<SqsEntryBuilder, BuildError> {
        let message = &self.dead_letter.message;
        let group = message.group().or(fifo.then_some("loafer"));
        let entry = SqsEntry::builder()
            .message_body(self.body)
            .set_message_attributes((!self.attributes.is_empty()).then(|| self.attributes.clone()))
            .set_message_group_id(group.map(str::to_owned))
            // It differs from the original's, and is the same whenever this dead letter is sent.
            .set_message_deduplication_id(fifo.then(|| format!("loafer-{}", message.id())));
        with_trace(entry, message.headers().get(TRACE))
    }
}

/// Returns the attributes of a copy, with the types they had.
fn attributes(message: &Message, was: &Attributes) -> Result<Attributes, BuildError> {
    // With its envelope a dead letter is copied as it is, and headers that are folded into the envelope stay there.
    if message.headers().get(DeadLetter::HEADER).is_some() {
        return Ok(was.clone());
    }
    let headers = message.headers().iter();
    let headers = headers.filter(|(name, value)| !is_set_by_sqs(name) && !value.is_empty());
    let attributes = headers.map(|(name, value)| {
        let same = was
            .get(name)
            .filter(|was| text((*was).clone()).as_deref() == Some(value));
        let attribute = match same {
            Some(same) => same.clone(),
            None => MessageAttributeValue::builder()
                .data_type("String")
                .string_value(allowed(value))
                .build()?,
        };
        Ok((name.to_owned(), attribute))
    });
    attributes.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dead_letters::Lease;

    fn number(value: &str) -> MessageAttributeValue {
        let builder = MessageAttributeValue::builder().data_type("Number");
        builder.string_value(value).build().unwrap()
    }

    fn dead_letter(message: Message, was: &[(&str, &str)]) -> Delivery<DeadLetterReceipt> {
        let was = was
            .iter()
            .map(|(name, value)| ((*name).to_owned(), number(value)));
        let lease = Lease {
            handle: "handle".to_owned(),
            attributes: was.collect(),
        };
        Delivery {
            receipt: DeadLetterReceipt(Arc::new(lease)),
            message,
        }
    }

    #[test]
    fn attributes_keep_their_types_and_new_ones_are_text() {
        let message = Message::new("{}")
            .with_header("tries", "7")
            .with_header("DeadLetterQueueSourceArn", "arn")
            .with_header(DeadLetter::RETRIED_FROM, "1");
        let dead_letter = dead_letter(message, &[("tries", "7")]);
        let copy = Copy::of(&dead_letter).unwrap();
        assert_eq!(copy.attributes["tries"], number("7"));
        assert_eq!(
            copy.attributes[DeadLetter::RETRIED_FROM].data_type(),
            "String"
        );
        assert_eq!(copy.attributes.len(), 2);
        let entry = copy.entry(true).unwrap().id("0").build().unwrap();
        assert_eq!(entry.message_group_id(), Some("loafer"));
        let id = format!("loafer-{}", dead_letter.message.id());
        assert_eq!(entry.message_deduplication_id(), Some(&*id));
    }

    #[test]
    fn ten_headers_leave_no_room_for_the_link() {
        let ten = (0..10).fold(Message::new("{}"), |message, n| {
            message.with_header(format!("h{n}"), "v")
        });
        let dead_letter = dead_letter(ten.with_header(DeadLetter::RETRIED_FROM, "1"), &[]);
        let copy = Copy::of(&dead_letter).unwrap();
        assert_eq!(copy.attributes.len(), 10);
        assert!(!copy.attributes.contains_key(DeadLetter::RETRIED_FROM));
    }

    #[test]
    fn with_its_envelope_it_is_copied_as_it_is() {
        let message = Message::new("{}")
            .with_header("folded", "v")
            .with_header(DeadLetter::HEADER, "7");
        let dead_letter = dead_letter(message, &[(DeadLetter::HEADER, "7")]);
        let copy = Copy::of(&dead_letter).unwrap();
        assert_eq!(copy.attributes.len(), 1);
        assert_eq!(copy.attributes[DeadLetter::HEADER], number("7"));
    }
}
