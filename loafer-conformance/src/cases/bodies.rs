//! Bodies and headers at the edge of what is allowed.

use crate::{
    BrokerUnderTest, Feature,
    case::{Checked, Fault, ensure},
    queue::done,
    stage::Stage,
};
use loafer_core::{
    broker::Settlement,
    event::Event,
    message::{Message, Outgoing},
    translate::{Base64, Bytes, Envelope, Translator},
};

/// Publishes a message, and receives it as it was.
async fn round_trip<S: BrokerUnderTest>(stage: &Stage<S>, sent: Message) -> Checked {
    let queue = stage.queue().await?;
    queue.publish([sent.clone()]).await?;
    let provider = queue.provider().await?;
    let came = queue.receive_one(&provider).await?;
    let (length, expected) = (came.message.payload().len(), sent.payload().len());
    ensure!(
        came.message.payload() == sent.payload(),
        "a body of {expected} bytes came as another, of {length}"
    );
    for (name, value) in sent.headers().iter() {
        let header = came.message.headers().get(name);
        ensure!(
            header == Some(value),
            "the header `{name}` came as {header:?}"
        );
    }
    done(&provider, [&came], &Settlement::Ack).await
}

/// Printable, and nowhere the same for long: a part that is lost or doubled shows.
fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| b' ' + (at * at % 89) as u8).collect()
}

pub(super) async fn a_quarter_of_a_mebibyte_arrives_whole<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    round_trip(&stage, Message::new(text(256 * 1024))).await
}

pub(super) async fn a_mebibyte_arrives_whole<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    round_trip(&stage, Message::new(text(1024 * 1024))).await
}

/// Every byte there is.
pub(super) async fn a_binary_body_arrives_whole<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let every = (0..=u8::MAX).cycle().take(1_000);
    round_trip(&stage, Message::new(every.collect::<Vec<_>>())).await
}

pub(super) async fn an_empty_body_arrives<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    round_trip(&stage, Message::new("")).await
}

/// Characters that take two units in UTF-16.
pub(super) async fn an_emoji_arrives_whole<S: BrokerUnderTest>(stage: Stage<S>) -> Checked {
    let message = Message::new("\"𝄞 🎼\"").with_header("mood", "🙂");
    round_trip(&stage, message).await
}

/// As many as are declared, with a long one among them.
pub(super) async fn as_many_headers_arrive_as_allowed<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    let headers = 0..stage.declaration().headers;
    let message = headers.fold(Message::new("{}"), |message, number| {
        let value = match number {
            0 => "long ".repeat(1_000),
            number => format!("värde-{number}"),
        };
        message.with_header(format!("Header_{number}.of-ours"), value)
    });
    round_trip(&stage, message).await
}

/// An event whose encoding is not JSON: bytes, in base64 where the broker carries text.
struct Photo<E>(Vec<u8>, std::marker::PhantomData<E>);

impl<E> AsRef<[u8]> for Photo<E> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Event for Photo<Bytes> {
    type Encoding = Bytes;
    const TOPIC: &'static str = "photo-taken";
}

impl Event for Photo<Base64<Bytes>> {
    type Encoding = Base64<Bytes>;
    const TOPIC: &'static str = "photo-taken";
}

/// The translator of an event's encoding decodes what arrives, and the header `content-type` says what it is.
pub(super) async fn an_event_arrives_in_its_encoding<S: BrokerUnderTest>(
    stage: Stage<S>,
) -> Checked {
    match stage.can(Feature::Binary) {
        true => encoded::<S, Bytes>(&stage).await,
        false => encoded::<S, Base64<Bytes>>(&stage).await,
    }
}

async fn encoded<S: BrokerUnderTest, E>(stage: &Stage<S>) -> Checked
where
    Photo<E>: Event,
    E: Envelope + for<'m> Translator<'m, Vec<u8>>,
{
    let pixels: Vec<u8> = (0..=u8::MAX).collect();
    let photo = Photo(pixels.clone(), std::marker::PhantomData::<E>);
    let sent = Outgoing::event(&photo)?.message;
    let decode = |message: &Message| -> Checked<Vec<u8>> {
        let translator = E::default();
        let opened = translator.open(message).map_err(Fault::new)?;
        translator.translate(&opened).map_err(Fault::new)
    };
    ensure!(
        decode(&sent)? == pixels,
        "the encoding and its translator differ"
    );
    round_trip(stage, sent).await
}
