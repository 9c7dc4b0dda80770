//! What holds of every translator, for any value and any bytes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod base64;
mod cloudevents;
mod json;
#[cfg(feature = "messagepack")]
mod message_pack;
#[cfg(feature = "protobuf")]
mod protobuf;
mod raw;
mod values;
