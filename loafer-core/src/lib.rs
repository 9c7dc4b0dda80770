//! The heart of Loafer: messages, outcomes, translators, handlers, and the engine that runs routes. Knows no broker but memory.
//!
//! | module | what it holds |
//! |---|---|
//! | `message` | payload, headers, id, attempt |
//! | `outcome` | what a handler says of its message |
//! | `translate` | envelopes and translators: from a raw message to what a handler takes |
//! | `extract` | the other arguments of a handler |
//! | `batch` | several messages as one argument, and what is said of each |
//! | `handler` | handlers made ready, the places their calls run in, layers |
//! | `provider`, `publisher`, `broker` | the contracts of a broker crate |
//! | `bus`, `outgoing`, `carried` | how a handler publishes, and what goes along |
//! | `requests`, `replier`, `replies` | requests that wait for replies, the way back, and the contract of a broker for both |
//! | `expanded`, `returned`, `replied` | what the expansions call: for handlers, for `publish`, for `reply` |
//! | `policy` | options and policy of a route |
//! | `select` | which messages of a route a handler takes |
//! | `config` | `loafer.toml` and the environment |
//! | `route`, `registry`, `app`, `manager` | what is put together, and what runs it |
//! | `letters` | what may be done with dead letters |
//! | `engine` | the way of a message: receiver, workers, settler, lease keeper |
//! | [`memory`] | the broker in memory |
//! | [`testing`] | services in memory, for tests |

mod app;
mod batch;
mod broker;
mod bus;
mod carried;
mod clock;
mod config;
mod dynamic;
mod engine;
mod error;
mod expanded;
mod extract;
mod handler;
mod letters;
#[doc(hidden)]
mod macro_support;
mod manager;
pub mod memory;
mod message;
mod outcome;
mod outgoing;
mod policy;
mod provider;
mod publisher;
mod publishing;
mod registry;
#[doc(hidden)]
mod replied;
mod replier;
mod replies;
mod report;
mod requests;
#[doc(hidden)]
mod returned;
mod route;
mod select;
pub mod testing;
mod translate;

pub use self::{
    app::App,
    batch::{Batch, BatchItem, BatchOutcome, IntoBatchOutcome},
    broker::{Broker, Source},
    bus::{Bus, EVENT_VERSION, Event, Publishable},
    config::{Config, Settings, parse_duration},
    engine::RouteStats,
    error::Error,
    extract::{
        Context, Extension, FromApp, FromContext, Metadata, Missing, OptionalFromContext,
        Rejection, Shareable, State,
    },
    handler::{BatchHandler, Failure, Handler, HandlerService, Request},
    letters::{DeadLetters, Letter, LetterSummary, Listed, Selected, Sent},
    manager::{Ended, Manager, ManagerBuilder, RouteSummary, Running},
    memory::Memory,
    message::{CAUSATION_ID, CORRELATION_ID, Headers, Message, MessageId, TRACEPARENT, TRACESTATE},
    outcome::{BoxError, FailureKind, HandlerError, IntoOutcome, Outcome, Verdict},
    outgoing::{DeduplicationId, GroupId, Outgoing},
    policy::{
        Argument, Backoff, Bindings, DeadLetterTarget, Declare, GroupBy, Policy, QueueType,
        RouteOptions, Topology, Undecodable, Unmatched,
    },
    provider::{
        AboutLetters, Bulk, Capabilities, DeadLetter, DeadLetterQueue, Delivery, Destination,
        Finding, Level, Notice, Open, Origin, Progress, Provider, Renewed, Settle, Settled,
        Settlement, Watch,
    },
    publisher::{Publisher, Topic},
    publishing::Publishing,
    replier::Replier,
    replies::{REPLY_ERROR, REPLY_TO, REQUEST_ID, Replies, is_reply_queue, reply_queue},
    report::Report,
    route::{BrokerKind, Route},
    select::{EVENT_TYPE, Selector},
    translate::{Base64, Bytes, Cloudevents, Envelope, Json, Text, TranslateError, Translator},
};

#[cfg(feature = "messagepack")]
pub use self::translate::MessagePack;
#[cfg(feature = "protobuf")]
pub use self::translate::Protobuf;

/// What the macros' expansions name. Not for people.
#[doc(hidden)]
pub mod __private {
    pub use inventory;

    /// What an expansion imports.
    pub mod traits {
        pub use crate::{
            macro_support::StandIn as _,
            replied::{Encoded as _, Given as _},
            returned::{Plain as _, Single as _, Value as _},
        };
    }

    pub use crate::{__given as given, __place as place};
    pub use crate::{
        expanded::*,
        handler::{BatchCall, Calls, Env, Opened, Ready, refused, undecodable},
        macro_support::*,
        registry::Registration,
        replied::*,
        returned::*,
    };
}
