//! Payloads too large for a message, kept on S3 as the extended clients of AWS for SQS and SNS do. Other brokers have no such clients.

mod in_flight;
mod pointer;
#[cfg(feature = "s3")]
mod section;
#[cfg(feature = "s3")]
mod settings;
#[cfg(feature = "s3")]
mod store;
#[cfg(not(feature = "s3"))]
mod without;

#[cfg(feature = "s3")]
pub use self::settings::{Cleanup, S3Payloads};
#[cfg(not(feature = "s3"))]
pub(crate) use self::without::{S3Payloads, Section, Store};
#[cfg(feature = "s3")]
pub(crate) use self::{section::Section, store::Store};

pub(crate) use self::{
    in_flight::{Held, InFlight, Room},
    pointer::{Offloaded, Pointer},
};

/// Who receives a payload.
#[derive(Clone, Copy)]
pub(crate) enum For {
    /// The consumer of one queue.
    Queue,
    /// All subscribers of a topic.
    Topic,
}
