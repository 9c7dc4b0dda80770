//! Copies of dead letters in another queue.

use aws_sdk_sqs::{
    error::BuildError,
    types::{
        MessageAttributeValue, SendMessageBatchRequestEntry as SqsEntry,
        builders::SendMessageBatchRequestEntryBuilder as SqsEntryBuilder,
    },
};
use loafer_core::{
    Error,
    broker::{DeadLetter, Destination, PackedDeadLetter},
    message::{Headers, Message},
};

use super::{Attributes, Found, packed, target::Target};
use crate::{
    client::Fault,
    error::Call,
    message::text,
    names::{PAYLOAD_SIZE, TRACE, is_fifo, is_set_by_sqs, queue_name},
    outgoing::{self, ATTRIBUTES, SQS_BYTES, allowed, with_trace},
    payloads::For,
    publisher::is_too_long,
    topology,
};

/// The copy of a dead letter, ready to be sent.
struct Copy {
    message: Message,
    body: String,
    attributes: Attributes,
}

impl Found {
    pub(super) async fn copy(
        &self,
        to: &Destination,
        dead_letters: &[PackedDeadLetter],
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
            let copy = match Copy::of(dead_letter, to, call) {
                Ok(copy) => copy.fitted(&target, call).await,
                Err(error) => Err(error),
            };
            match copy {
                Ok(copy) => copies.push((first + index, copy)),
                Err(error) => answers[first + index] = Err(error),
            }
        }
        let sizes: Vec<_> = copies.iter().map(|(_, copy)| copy.bytes()).collect();
        for range in outgoing::calls(&sizes, SQS_BYTES) {
            let copies = &copies[range];
            let entry = |(_, copy): &(usize, Copy)| copy.entry(fifo);
            let send = |entries| target.clients.send(&target.url, entries, call);
            let mut said = send(copies.iter().map(entry).collect()).await;
            if matches!(&said[..], [Err(Fault::Call(error)), _, ..] if is_too_long(error)) {
                said.clear();
                for copy in copies {
                    said.extend(send(vec![entry(copy)]).await);
                }
            }
            for ((index, _), said) in copies.iter().zip(said) {
                if let Err(fault) = said {
                    let error = fault.into_error();
                    answers[*index] = Err(error.unwrap_or_else(|| call.unanswered()));
                }
            }
        }
    }
}

impl Copy {
    fn of(packed: &PackedDeadLetter, to: &Destination, call: Call<'_>) -> Result<Self, Error> {
        let was = packed::attributes(packed)?;
        let message = packed.copy_to(to);
        let refused = |cause: String| call.refused(cause, None);
        let body = std::str::from_utf8(message.payload())
            .map_err(|_| refused("its body is not UTF-8: SQS carries text".to_owned()))?;
        let attributes = attributes(&message, was, &packed.added_headers(to));
        let mut copy = Self {
            body: body.to_owned(),
            attributes: attributes.map_err(|error| refused(error.to_string()))?,
            message,
        };
        if copy.attributes.len() > ATTRIBUTES {
            copy.unlink();
        }
        Ok(copy)
    }

    /// Takes our link to the failure out. The headers of the sender matter more.
    fn unlink(&mut self) {
        self.attributes.remove(DeadLetter::RETRIED_FROM);
    }

    /// Returns the copy as its queue takes it. A payload that is too large is put on S3.
    async fn fitted(mut self, target: &Target, call: Call<'_>) -> Result<Self, Error> {
        let limit = target.limit;
        if self.bytes() > limit {
            self.unlink();
        }
        let (bytes, size) = (self.bytes(), self.body.len());
        if bytes <= limit {
            return Ok(self);
        }
        let refused = |cause| Err(call.refused(cause, None));
        let Some(store) = &target.clients.payloads else {
            let larger = match limit < SQS_BYTES {
                true => {
                    let set =
                        topology::set(call.endpoint, &target.url, "MaximumMessageSize", SQS_BYTES);
                    format!("let it take more: {set}; or ")
                }
                false => String::new(),
            };
            return refused(format!(
                "the dead letter has {bytes} bytes with its attributes, and {limit} is the most there; {larger}keep large payloads on S3"
            ));
        };
        if self.attributes.len() >= ATTRIBUTES {
            return refused(format!(
                "the dead letter has {bytes} bytes and {limit} is the most there, and its {ATTRIBUTES} attributes leave none for a payload on S3"
            ));
        }
        let number = MessageAttributeValue::builder().data_type("Number");
        let number = number.string_value(size.to_string()).build();
        let number = number.map_err(|error| call.unsendable(&error))?;
        self.attributes.insert(PAYLOAD_SIZE.to_owned(), number);
        let payload = std::mem::take(&mut self.body);
        let pointer = store.put(payload.into(), For::Queue).await?;
        self.body = pointer.to_body();
        Ok(self)
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
        let message = &self.message;
        let group = message.group().or(fifo.then_some("loafer"));
        let entry = SqsEntry::builder()
            .message_body(&self.body)
            .set_message_attributes((!self.attributes.is_empty()).then(|| self.attributes.clone()))
            .set_message_group_id(group.map(str::to_owned))
            // It differs from the original's, and is the same whenever this dead letter is sent.
            .set_message_deduplication_id(fifo.then(|| format!("loafer-{}", message.id())));
        with_trace(entry, message.headers().get(TRACE))
    }
}

/// Returns the attributes of a copy, with the types they had.
fn attributes(
    message: &Message,
    mut was: Attributes,
    added: &Headers,
) -> Result<Attributes, BuildError> {
    let text_of = |value: &str| {
        let text = MessageAttributeValue::builder().data_type("String");
        text.string_value(allowed(value)).build()
    };
    // With its envelope a dead letter is copied as it is, and headers that are folded into the envelope stay there.
    if message.headers().get(DeadLetter::HEADER).is_some() {
        for (name, value) in added.iter() {
            was.insert(name.to_owned(), text_of(value)?);
        }
        return Ok(was);
    }
    let headers = message.headers().iter();
    let headers = headers.filter(|(name, value)| !is_set_by_sqs(name) && !value.is_empty());
    let attributes = headers.map(|(name, value)| {
        let same = was
            .remove(name)
            .filter(|was| text(was.clone()).as_deref() == Some(value));
        Ok((name.to_owned(), same.map_or_else(|| text_of(value), Ok)?))
    });
    attributes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Endpoint;

    fn number(value: &str) -> MessageAttributeValue {
        let builder = MessageAttributeValue::builder().data_type("Number");
        builder.string_value(value).build().unwrap()
    }

    fn dead_letter(message: &Message, was: &[(&str, &str)]) -> PackedDeadLetter {
        let was = was
            .iter()
            .map(|(name, value)| ((*name).to_owned(), number(value)));
        packed::pack(message, &was.collect())
    }

    fn copied(dead_letter: &PackedDeadLetter, to: &Destination) -> Copy {
        let endpoint = Endpoint::new("sqs", "eu-west-1", None);
        Copy::of(dead_letter, to, Call::new("sending", "orders", &endpoint)).unwrap()
    }

    #[test]
    fn attributes_keep_their_types_and_new_ones_are_text() {
        let message = Message::new("{}")
            .with_header("tries", "7")
            .with_header("DeadLetterQueueSourceArn", "arn");
        let dead_letter = dead_letter(&message, &[("tries", "7")]);
        let copy = copied(&dead_letter, &Destination::Source);
        assert_eq!(copy.attributes["tries"], number("7"));
        assert_eq!(
            copy.attributes[DeadLetter::RETRIED_FROM].data_type(),
            "String"
        );
        assert_eq!(copy.attributes.len(), 2);
        let entry = copy.entry(true).unwrap().id("0").build().unwrap();
        assert_eq!(entry.message_group_id(), Some("loafer"));
        let id = format!("loafer-{}", message.id());
        assert_eq!(entry.message_deduplication_id(), Some(&*id));
    }

    #[test]
    fn ten_headers_leave_no_room_for_the_link() {
        let ten = (0..10).fold(Message::new("{}"), |message, n| {
            message.with_header(format!("h{n}"), "v")
        });
        let copy = copied(&dead_letter(&ten, &[]), &Destination::Source);
        assert_eq!(copy.attributes.len(), 10);
        assert!(!copy.attributes.contains_key(DeadLetter::RETRIED_FROM));
    }

    #[test]
    fn with_its_envelope_it_is_copied_as_it_is() {
        let message = Message::new("{}")
            .with_header("folded", "v")
            .with_header(DeadLetter::HEADER, "7");
        let dead_letter = dead_letter(&message, &[(DeadLetter::HEADER, "7")]);
        let parked = Destination::Queue("parked".to_owned());
        let copy = copied(&dead_letter.with_header("by", "ana"), &parked);
        assert_eq!(copy.attributes.len(), 2);
        assert_eq!(copy.attributes[DeadLetter::HEADER], number("7"));
        assert_eq!(copy.attributes["by"].string_value(), Some("ana"));
    }
}
