//! The model: a handler as the attribute and its item describe it, nothing left to doubt.

use std::time::Duration;

use proc_macro2::Ident;
use syn::{Attribute, LitStr, Path, Type};

/// A handler that can be registered.
pub(super) struct Handler {
    /// The item's `#[cfg]`s, which its registration needs too.
    pub(super) cfgs: Vec<Attribute>,
    pub(super) route: LitStr,
    /// None: `Json`.
    pub(super) translator: Option<Type>,
    /// None: the default provider.
    pub(super) provider: Option<Type>,
    pub(super) options: Options,
    /// Which messages of the route it takes; none: every one.
    pub(super) on: Option<On>,
    pub(super) on_error: Option<Path>,
    pub(super) call: Call,
}

/// The route options the attribute sets.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) queue: Option<String>,
    pub(super) concurrency: Option<usize>,
    pub(super) prefetch: Option<usize>,
    pub(super) visibility_timeout: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) backoff: Option<Backoff>,
    pub(super) max_attempts: Option<u32>,
    pub(super) undecodable: Option<Undecodable>,
    pub(super) unmatched: Option<Unmatched>,
    pub(super) group_by: Option<GroupBy>,
    pub(super) batch: Option<usize>,
    pub(super) linger: Option<Duration>,
    pub(super) topology: Topology,
}

/// Where the route's queue hangs, and how it is made.
#[derive(Debug, Default)]
pub(super) struct Topology {
    /// An empty one binds the queue to nothing.
    pub(super) exchange: Option<String>,
    /// Not empty where it is set.
    pub(super) binding: Option<Vec<String>>,
    pub(super) queue_type: Option<QueueType>,
    pub(super) arguments: Vec<(String, Argument)>,
    pub(super) declare: Option<Declare>,
    pub(super) dead_letter: Option<DeadLetter>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum QueueType {
    Quorum,
    Classic,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Declare {
    Create,
    Verify,
    Off,
}

/// The value of a queue's argument.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Argument {
    Truth(bool),
    Whole(i64),
    Text(String),
}

/// Where dead letters go that have no queue of their own.
#[derive(Debug, PartialEq)]
pub(super) struct DeadLetter {
    /// Empty: the broker's default exchange.
    pub(super) exchange: String,
    pub(super) routing_key: String,
    /// The queue that hears it, where that is told.
    pub(super) queue: Option<String>,
}

/// The delay of a retry; what is not set is the core's to choose.
#[derive(Debug, PartialEq)]
pub(super) struct Backoff {
    pub(super) initial: Duration,
    pub(super) factor: Option<f64>,
    pub(super) max: Option<Duration>,
    pub(super) jitter: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Undecodable {
    Retry,
    Reject,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unmatched {
    Retry,
    Reject,
    Ignore,
}

/// Which messages a handler takes: a pattern of their event type, or of a header.
#[derive(Debug, PartialEq)]
pub(super) enum On {
    EventType(String),
    Header(String, String),
}

#[derive(Debug, PartialEq)]
pub(super) enum GroupBy {
    Group,
    Header(String),
}

/// How the user's function is called.
pub(super) struct Call {
    pub(super) callee: Callee,
    /// A plain function runs on the blocking pool.
    pub(super) asynchronous: bool,
    pub(super) message: Message,
    pub(super) extractors: Vec<Type>,
    /// A wrong one is told there.
    pub(super) returns: Type,
    /// Where what it returns is published; none: it returns an outcome, or a reply.
    pub(super) publish: Option<Publish>,
    /// Whether what it returns is the reply to its message.
    pub(super) reply: bool,
}

/// Where what a handler returns is published.
pub(super) struct Publish {
    /// None: each event's own.
    pub(super) topic: Option<LitStr>,
    /// How many events it returns in a tuple.
    pub(super) tuple: Option<usize>,
}

/// What is called.
pub(super) enum Callee {
    Function(Ident),
    /// The `handle` of this type, on the app's instance of it.
    Method(Box<Type>),
}

/// The first argument.
pub(super) struct Message {
    /// What is decoded: of a batch, the type of one message.
    pub(super) decoded: Type,
    /// The whole `Batch<…>`, of a batch handler.
    pub(super) batch: Option<Type>,
    /// Passed as a reference to what was decoded.
    pub(super) by_reference: bool,
}
