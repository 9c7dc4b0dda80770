// Of two definitions of a link the first holds: what is a file for readers of the repository is a module here.
//! [guides]: crate::guides
//! [guides/first-service.md]: crate::guides::first_service
//! [guides/testing.md]: crate::guides::testing
//! [guides/publishing.md]: crate::guides::publishing
//! [guides/failures.md]: crate::guides::failures
//! [guides/rabbitmq.md]: crate::guides::rabbitmq
//! [guides/deploying.md]: crate::guides::deploying
//! [guides/from-python-loafer.md]: crate::guides::from_python_loafer
//! [guides/from-watermill.md]: crate::guides::from_watermill
//! [guides/from-ruststream.md]: crate::guides::from_ruststream
//! [guides/from-sqs-consumer.md]: crate::guides::from_sqs_consumer
//! [guides/from-pigeon.md]: crate::guides::from_pigeon
//! [guides/glossary.md]: crate::guides::glossary
//! [guides/migrating.md]: crate::guides::migrating
//!
#![doc = include_str!("../README.md")]

pub mod guides;
mod off;

pub use loafer_core::{
    Error,
    event::Event,
    extract::{Batch, BatchOutcome, Extension, FromContext, Metadata, State},
    message::{Message, Outgoing},
    outcome::Outcome,
    translate::{Json, Sns, Text},
};
pub use loafer_macros::{Event, FromContext, handler, main};
pub use loafer_memory::Memory;
pub use loafer_runtime::{
    bus::{Bus, Replier},
    program::{App, Route, RouteOptions},
};

#[cfg(not(feature = "amqp"))]
pub use self::off::Amqp;
#[cfg(not(feature = "sqs"))]
pub use self::off::Sqs;
#[cfg(feature = "amqp")]
pub use loafer_amqp::Amqp;
#[cfg(feature = "sqs")]
pub use loafer_sqs::Sqs;

#[doc(inline)]
pub use loafer_core::{outcome, policy};
#[doc(inline)]
pub use loafer_runtime::{dead_letters, testing};

/// Brokers, and how to write one: providers, publishers, replies and dead letters.
pub mod broker {
    pub use loafer_core::{SharedError, broker::*};
}

/// What a handler takes beside its message: extractors, and how to write one.
pub mod extract {
    pub use loafer_core::extract::*;
    pub use loafer_macros::{FromContext, OptionalFromContext};
}

/// Messages, their headers and ids, and events: types whose values are published.
pub mod message {
    pub use loafer_core::{event::*, message::*};
    pub use loafer_macros::Event;
    pub use loafer_runtime::bus::Publishing;
}

/// Programs: app, routes, configuration, handlers and layers, the manager that runs them, and the command line of a program of one's own.
pub mod program {
    pub use loafer_cli::{Program, run_with};
    pub use loafer_runtime::{
        RouteStats,
        handler::{BatchHandler, Failure, Handler, HandlerService, Report, Request},
        program::*,
    };
}

/// From a raw message to what a handler takes: envelopes and translators.
pub mod translate {
    #[cfg(not(feature = "messagepack"))]
    pub use crate::off::MessagePack;
    #[cfg(not(feature = "protobuf"))]
    pub use crate::off::Protobuf;
    pub use loafer_core::translate::*;
}

/// The broker in memory.
pub mod memory {
    pub use loafer_memory::*;
}

/// RabbitMQ: the broker [`Amqp`], a route's [`Options`](amqp::Options) of it, and [`Routing`](loafer_amqp::Routing).
#[cfg(feature = "amqp")]
pub mod amqp {
    pub use loafer_amqp::*;
}

/// Amazon SQS and SNS: the broker [`Sqs`], and the crate `aws_config` whose types [`Sqs::loader`] and [`Sqs::with_config`] take.
#[cfg(feature = "sqs")]
pub mod sqs {
    pub use loafer_sqs::*;
}

/// What a service's files begin with: `use loafer::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Amqp, App, Batch, BatchOutcome, Bus, Event, Extension, FromContext, Json, Memory, Message,
        Metadata, Outcome, Outgoing, Replier, Sns, Sqs, State, Text, handler,
        message::Headers,
        outcome::FailureKind,
        program::Failure,
        translate::{Base64, Bytes, Cloudevents, EventBridge, MessagePack, Protobuf, S3Event},
    };
    pub use serde_json::json;
}

/// What the macros' expansions name. Not for people.
#[doc(hidden)]
pub mod __private {
    use std::{convert::Infallible, future::Future, process::ExitCode};

    use loafer_core::outcome::BoxError;
    use loafer_memory::Memory;
    pub use loafer_runtime::__private::*;
    use loafer_runtime::program::{App, BrokerKind, Route};

    pub use loafer_core::{
        broker::Broker,
        extract::{FromApp, Resources},
        outcome::{IntoOutcome, Verdict},
        policy::Selector,
        translate::{Envelope, Translator},
    };

    /// The provider of a route that names none.
    #[cfg(feature = "sqs")]
    pub type DefaultProvider = loafer_sqs::Sqs;
    /// The provider of a route that names none.
    #[cfg(all(feature = "amqp", not(feature = "sqs")))]
    pub type DefaultProvider = loafer_amqp::Amqp;
    /// The provider of a route that names none.
    #[cfg(not(any(feature = "amqp", feature = "sqs")))]
    pub type DefaultProvider = Memory;

    /// The route of a handler that names no provider.
    pub fn route(name: &'static str) -> Route {
        Route::new(name).provider::<DefaultProvider>()
    }

    /// What `setup` returns.
    #[diagnostic::on_unimplemented(
        message = "`setup` is an async function that gives the app back",
        label = "not async, or does not return `Result<App, E>`",
        note = "write it as `async fn setup(app: App) -> anyhow::Result<App>`; its error is any that converts to `Box<dyn Error + Send + Sync>`"
    )]
    pub trait SetsUp {
        /// The app, set up.
        fn set_up(self) -> impl Future<Output = Result<App, BoxError>>;
    }

    #[diagnostic::do_not_recommend]
    impl<Fut, E> SetsUp for Fut
    where
        Fut: Future<Output = Result<App, E>>,
        E: Into<BoxError>,
    {
        async fn set_up(self) -> Result<App, BoxError> {
            self.await.map_err(Into::into)
        }
    }

    /// The program of `loafer::main!`.
    pub fn run<F, Fut>(
        name: &'static str,
        package: &'static str,
        version: &'static str,
        setup: F,
    ) -> ExitCode
    where
        F: FnOnce(App) -> Fut,
        Fut: SetsUp,
    {
        let brokers = [
            BrokerKind::of::<Memory>(),
            #[cfg(feature = "amqp")]
            BrokerKind::of::<loafer_amqp::Amqp>(),
            #[cfg(feature = "sqs")]
            BrokerKind::of::<loafer_sqs::Sqs>(),
        ];
        loafer_cli::run(
            loafer_cli::Program {
                name,
                package,
                version,
                brokers: &brokers,
            },
            |app| setup(app).set_up(),
        )
    }

    /// What `loafer::main!` makes.
    #[diagnostic::on_unimplemented(
        message = "`loafer::main!` is the whole function `main`, and stands inside of another one",
        label = "is to stand outside of any function",
        note = "write it alone at the end of the file, in place of `fn main`; what is to be done before the service runs goes into `setup`: `loafer::main!(setup);`"
    )]
    pub trait IsMain {}

    #[diagnostic::do_not_recommend]
    impl<F: Fn() -> ExitCode> IsMain for F {}

    /// Is met by what `loafer::main!` makes.
    pub fn is_main<F: IsMain>(_: F) {}

    /// The setup of a program that has none.
    pub async fn no_setup(app: App) -> Result<App, Infallible> {
        Ok(app)
    }
}
