//! The model: a handler as the attribute and its item describe it, checked.

use std::time::Duration;

use proc_macro2::Ident;
use syn::{Attribute, Expr, LitStr, Path, Type};

/// A handler that can be registered.
pub(super) struct Handler {
    /// The item's `#[cfg]`s, which its registration needs too.
    pub(super) cfgs: Vec<Attribute>,
    pub(super) route: LitStr,
    /// `None` means `Json`.
    pub(super) translator: Option<Type>,
    /// `None` means the default provider.
    pub(super) provider: Option<Type>,
    /// What only the provider's broker knows; empty if there is no `provider`.
    pub(super) broker_options: Vec<BrokerOption>,
    pub(super) options: Options,
    /// Which messages of the route it takes; `None` means every one.
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
    pub(super) lease: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) backoff: Option<Backoff>,
    pub(super) max_attempts: Option<u32>,
    pub(super) max_deliveries: Option<u32>,
    pub(super) undecodable: Option<Undecodable>,
    pub(super) unmatched: Option<Unmatched>,
    pub(super) group_by: Option<GroupBy>,
    pub(super) batch: Option<usize>,
    pub(super) linger: Option<Duration>,
    /// Never an empty list.
    pub(super) topics: Option<Vec<String>>,
    pub(super) consumer: Option<String>,
}

/// An option of one broker: a setter of its `Options`, and the argument of that.
pub(super) struct BrokerOption {
    pub(super) key: Ident,
    pub(super) value: Value,
}

/// The value of an option, as the user wrote it.
pub(super) enum Value {
    Expression(Box<Expr>),
    /// Never empty, and each key once.
    Table(Vec<(LitStr, Expr)>),
}

/// The delay of a retry; the runtime chooses what is not set.
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
    /// An error about it stands there.
    pub(super) returns: Type,
    /// Where what it returns is published; `None` means that it returns an outcome, or a reply.
    pub(super) publish: Option<Publish>,
    /// Whether what it returns is the reply to its message.
    pub(super) reply: bool,
}

/// Where what a handler returns is published.
pub(super) struct Publish {
    /// `None` means each event's own topic.
    pub(super) topic: Option<LitStr>,
    /// How many events it returns in a tuple.
    pub(super) tuple: Option<usize>,
    /// The types of what it returns: those in the tuple, or the only one.
    pub(super) types: Vec<Type>,
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
    /// The whole `Batch<…>`; `None` means a handler of single messages.
    pub(super) batch: Option<Type>,
    /// Passed as a reference to what was decoded.
    pub(super) by_reference: bool,
}
