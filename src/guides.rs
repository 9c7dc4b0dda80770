//! [README]: crate
//! [first-service.md]: first_service
//! [testing.md]: testing
//! [publishing.md]: publishing
//! [failures.md]: failures
//! [rabbitmq.md]: rabbitmq
//! [deploying.md]: deploying
//! [from-python-loafer.md]: from_python_loafer
//! [from-watermill.md]: from_watermill
//! [from-ruststream.md]: from_ruststream
//! [from-sqs-consumer.md]: from_sqs_consumer
//! [from-pigeon.md]: from_pigeon
//! [glossary.md]: glossary
//! [migrating.md]: migrating
//!
#![doc = include_str!("../guides/README.md")]

/// Of two definitions of a link the first holds: what is a file for readers of the folder is a module here.
macro_rules! guides {
    ($($guide:ident: $text:literal,)*) => {
        $(
            /// [README]: crate
            /// [first-service.md]: crate::guides::first_service
            /// [testing.md]: crate::guides::testing
            /// [publishing.md]: crate::guides::publishing
            /// [failures.md]: crate::guides::failures
            /// [rabbitmq.md]: crate::guides::rabbitmq
            /// [deploying.md]: crate::guides::deploying
            /// [from-pigeon.md]: crate::guides::from_pigeon
            /// [glossary.md]: crate::guides::glossary
            /// [migrating.md]: crate::guides::migrating
            ///
            #[doc = include_str!($text)]
            pub mod $guide {}
        )*
    };
}

guides! {
    first_service: "../guides/first-service.md",
    testing: "../guides/testing.md",
    publishing: "../guides/publishing.md",
    failures: "../guides/failures.md",
    deploying: "../guides/deploying.md",
    from_python_loafer: "../guides/from-python-loafer.md",
    from_watermill: "../guides/from-watermill.md",
    from_ruststream: "../guides/from-ruststream.md",
    from_sqs_consumer: "../guides/from-sqs-consumer.md",
    glossary: "../guides/glossary.md",
    migrating: "../guides/migrating.md",
}

// Their snippets are services on RabbitMQ.
#[cfg(any(feature = "amqp", not(doctest)))]
guides! {
    rabbitmq: "../guides/rabbitmq.md",
    from_pigeon: "../guides/from-pigeon.md",
}
