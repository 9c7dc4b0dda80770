//! Letters sent away: a confirmed copy elsewhere, then the letter is deleted.

use std::collections::HashMap;

use aws_sdk_sqs::{
    error::BuildError,
    types::{
        MessageAttributeValue, MessageSystemAttributeNameForSends as SystemName,
        MessageSystemAttributeValue, SendMessageBatchRequestEntry as Entry,
    },
};
use loafer_core::{DeadLetter, Delivery, Destination, Error, Message};

use super::{Found, LetterReceipt, Target};
use crate::{
    config::Clients,
    error::{Call, again},
    message::{TRACE, allowed, is_of_sqs, text},
    parcel::{self, ATTRIBUTES, SQS_BYTES},
    provider::batch::{Fault, faults},
    queue,
};

type Attributes = HashMap<String, MessageAttributeValue>;

/// A letter, ready to be sent.
struct Copy<'l> {
    letter: &'l Delivery<LetterReceipt>,
    body: &'l str,
    attributes: Attributes,
}

impl Found {
    pub(super) async fn send(
        &self,
        to: &Destination,
        letters: &[Delivery<LetterReceipt>],
        answers: &mut Vec<Result<(), Error>>,
    ) {
        let Target { clients, url, .. } = match self.target(to).await {
            Ok(found) => found,
            Err(error) => {
                return answers.extend(letters.iter().map(|_| Err(again(&error))));
            }
        };
        let call = Call {
            what: "sending",
            queue: queue::name(&url),
            route: None,
            place: &clients.place,
        };
        let first = answers.len();
        let mut copies = Vec::with_capacity(letters.len());
        for (place, letter) in letters.iter().enumerate() {
            answers.push(Ok(()));
            match Copy::of(letter) {
                Ok(copy) => copies.push((first + place, copy)),
                Err(cause) => answers[first + place] = Err(call.refused(cause, None)),
            }
        }
        let sizes: Vec<_> = copies.iter().map(|(_, copy)| copy.bytes()).collect();
        for range in parcel::calls(&sizes, SQS_BYTES) {
            let some = &copies[range];
            let failed = send_ten(&clients, &url, some, call).await;
            let sent: Vec<_> = some
                .iter()
                .filter(|(place, _)| failed.iter().all(|(failed, _)| failed != place))
                .collect();
            for (place, error) in failed {
                answers[place] = Err(error);
            }
            let receipts: Vec<_> = sent.iter().map(|(_, copy)| &copy.letter.receipt).collect();
            for (at, cause) in self.delete_for_good(&receipts).await {
                answers[sent[at].0] = Err(self.is_in_both(&url, &cause));
            }
        }
    }

    /// Deletes letters whose copies are confirmed, trying what fails once more; gives what failed then, by place.
    async fn delete_for_good(&self, letters: &[&LetterReceipt]) -> Vec<(usize, String)> {
        if letters.is_empty() {
            return Vec::new();
        }
        let said = |fault| match fault {
            Fault::Failed(error) => error.to_string(),
            Fault::Lost => "its lease was over".to_owned(),
        };
        let failed = self.delete(letters).await;
        if failed.is_empty() {
            return Vec::new();
        }
        let places: Vec<_> = failed.iter().map(|(place, _)| *place).collect();
        let again: Vec<_> = places.iter().map(|place| letters[*place]).collect();
        let faults = self.delete(&again).await;
        faults
            .into_iter()
            .map(|(at, fault)| (places[at], said(fault)))
            .collect()
    }

    fn is_in_both(&self, url: &str, cause: &str) -> Error {
        let (to, letters) = (queue::name(url), &self.letters.name);
        self.call("delete", &self.clients.place).refused(
            format!("its copy is in `{to}`, and it is still in `{letters}`: {cause}"),
            None,
        )
    }
}

/// Sends at most ten copies; gives the errors, by their places among the answers.
async fn send_ten(
    clients: &Clients,
    url: &str,
    copies: &[(usize, Copy<'_>)],
    call: Call<'_>,
) -> Vec<(usize, Error)> {
    let all =
        |error: &dyn Fn() -> Error| copies.iter().map(|(place, _)| (*place, error())).collect();
    let fifo = queue::is_fifo(url);
    let entries = copies
        .iter()
        .enumerate()
        .map(|(id, (_, copy))| copy.entry(id, fifo))
        .collect::<Result<Vec<_>, _>>();
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => return all(&|| call.unsendable(&error)),
    };
    let batch = clients.sqs.send_message_batch().queue_url(url);
    match Box::pin(batch.set_entries(Some(entries)).send()).await {
        Ok(answer) => {
            let done = answer.successful().iter().map(|done| done.id());
            let faults = faults(copies.len(), done, answer.failed(), call, |_| false);
            let faults = faults.into_iter().map(|(id, fault)| {
                let error = match fault {
                    Fault::Failed(error) => error,
                    // What is wrong with a message is told as with a lease.
                    Fault::Lost => call.refused("the queue does not take it".to_owned(), None),
                };
                (copies[id].0, error)
            });
            faults.collect()
        }
        Err(error) => all(&|| call.failed(&error)),
    }
}

impl<'l> Copy<'l> {
    /// The letter's body, and its attributes as they are or as they are to be.
    fn of(letter: &'l Delivery<LetterReceipt>) -> Result<Self, String> {
        let body = std::str::from_utf8(letter.message.payload())
            .map_err(|_| "its body is not UTF-8: SQS carries text".to_owned())?;
        let mut copy = Self {
            letter,
            body,
            attributes: attributes(&letter.message, &letter.receipt.0.attributes)
                .map_err(|error| error.to_string())?,
        };
        // What it was sent with goes before our link.
        if copy.attributes.len() > ATTRIBUTES || copy.bytes() > SQS_BYTES {
            copy.attributes.remove(DeadLetter::RETRIED_FROM);
        }
        Ok(copy)
    }

    /// The size by which SQS measures.
    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| {
            let text = value.string_value().map_or(0, str::len);
            let bytes = value.binary_value().map_or(0, |bytes| bytes.as_ref().len());
            name.len() + value.data_type().len() + text + bytes
        });
        self.body.len() + attributes.sum::<usize>()
    }

    fn entry(&self, id: usize, fifo: bool) -> Result<Entry, BuildError> {
        let message = &self.letter.message;
        let group = message.group().or(fifo.then_some("loafer"));
        let entry = Entry::builder()
            .id(id.to_string())
            .message_body(self.body)
            .set_message_attributes((!self.attributes.is_empty()).then(|| self.attributes.clone()))
            .set_message_group_id(group.map(str::to_owned))
            // New, and the same for the same letter.
            .set_message_deduplication_id(fifo.then(|| format!("loafer-{}", message.id())));
        let Some(trace) = message.headers().get(TRACE) else {
            return entry.build();
        };
        let trace = MessageSystemAttributeValue::builder()
            .data_type("String")
            .string_value(trace)
            .build()?;
        entry
            .message_system_attributes(SystemName::AwsTraceHeader, trace)
            .build()
    }
}

/// The attributes of a copy, with the types they had.
fn attributes(message: &Message, was: &Attributes) -> Result<Attributes, BuildError> {
    // With its envelope it goes as it is, and what is folded into that stays so.
    if message.headers().get(DeadLetter::HEADER).is_some() {
        return Ok(was.clone());
    }
    let headers = message.headers().iter();
    let headers = headers.filter(|(name, value)| !is_of_sqs(name) && !value.is_empty());
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
    use crate::letters::Lease;

    fn number(value: &str) -> MessageAttributeValue {
        let builder = MessageAttributeValue::builder().data_type("Number");
        builder.string_value(value).build().unwrap()
    }

    fn letter(message: Message, was: &[(&str, &str)]) -> Delivery<LetterReceipt> {
        let was = was
            .iter()
            .map(|(name, value)| ((*name).to_owned(), number(value)));
        let lease = Lease {
            handle: "handle".to_owned(),
            attributes: was.collect(),
        };
        Delivery {
            receipt: LetterReceipt(Arc::new(lease)),
            message,
        }
    }

    #[test]
    fn attributes_keep_their_types_and_new_ones_are_text() {
        let message = Message::new("{}")
            .with_header("tries", "7")
            .with_header("DeadLetterQueueSourceArn", "arn")
            .with_header(DeadLetter::RETRIED_FROM, "1");
        let letter = letter(message, &[("tries", "7")]);
        let copy = Copy::of(&letter).unwrap();
        assert_eq!(copy.attributes["tries"], number("7"));
        assert_eq!(
            copy.attributes[DeadLetter::RETRIED_FROM].data_type(),
            "String"
        );
        assert_eq!(copy.attributes.len(), 2);
        let entry = copy.entry(0, true).unwrap();
        assert_eq!(entry.message_group_id(), Some("loafer"));
        let id = format!("loafer-{}", letter.message.id());
        assert_eq!(entry.message_deduplication_id(), Some(&*id));
    }

    #[test]
    fn ten_headers_leave_no_place_for_the_link() {
        let ten = (0..10).fold(Message::new("{}"), |message, n| {
            message.with_header(format!("h{n}"), "v")
        });
        let letter = letter(ten.with_header(DeadLetter::RETRIED_FROM, "1"), &[]);
        let copy = Copy::of(&letter).unwrap();
        assert_eq!(copy.attributes.len(), 10);
        assert!(!copy.attributes.contains_key(DeadLetter::RETRIED_FROM));
    }

    #[test]
    fn with_its_envelope_it_goes_as_it_is() {
        let message = Message::new("{}")
            .with_header("folded", "v")
            .with_header(DeadLetter::HEADER, "7");
        let letter = letter(message, &[(DeadLetter::HEADER, "7")]);
        let copy = Copy::of(&letter).unwrap();
        assert_eq!(copy.attributes.len(), 1);
        assert_eq!(copy.attributes[DeadLetter::HEADER], number("7"));
    }
}
