//! A target: one translator, and what must hold of it.

use fastrand::Rng;

use crate::{
    seen::Seen,
    targets::{
        base64::Base64,
        cloudevents::Cloudevents,
        eventbridge::EventBridge,
        json::Json,
        message_pack::MessagePack,
        protobuf::Protobuf,
        raw::{Bytes, Text},
        s3_event::S3Event,
        sns::Sns,
    },
};

/// One translator, and what must hold of it.
pub trait Target: Sync {
    /// Its name on the command line, and that of its folder in `corpus`.
    fn name(&self) -> &'static str;

    /// Words of its format, for the mutator to put in.
    fn words(&self) -> &'static [&'static str] {
        &[]
    }

    /// Decodes an input, and whatever can be made of it. Any input is allowed.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    fn decode(&self, input: &[u8], seen: &mut Seen);

    /// Encodes a value made by chance, and gives it back encoded: it must decode to itself.
    ///
    /// # Panics
    ///
    /// Where it does not.
    fn round_trip(&self, random: &mut Rng) -> Vec<u8>;
}

/// All targets.
pub const ALL: [&dyn Target; 10] = [
    &Json,
    &Text,
    &Bytes,
    &Protobuf,
    &MessagePack,
    &Base64,
    &Cloudevents,
    &Sns,
    &EventBridge,
    &S3Event,
];

/// The target of this name.
pub fn named(name: &str) -> Option<&'static dyn Target> {
    ALL.into_iter().find(|target| target.name() == name)
}
