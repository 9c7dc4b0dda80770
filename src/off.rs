//! Stand-ins for types of features that are off: whoever names one is told which feature it belongs to.

use loafer_core::{
    Error,
    broker::{Broker, NoOptions, Source},
    message::Message,
    translate::{Envelope, TranslateError, Translator},
};
use loafer_memory::{MemoryProvider, MemoryPublisher};

/// Declares a stand-in, and the trait that nothing implements, whose absence is the error. The bound is for any lifetime: the compiler
/// refuses a plain one here, as it can never hold.
macro_rules! stand_in {
    ($(#[$cfg:meta])* $name:ident, $is_on:ident, $what:literal, $cure:literal) => {
        $(#[$cfg])*
        #[doc = concat!($what, " It is off.")]
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub struct $name;

        $(#[$cfg])*
        /// Holds if the feature is on.
        #[diagnostic::on_unimplemented(message = $what, label = "its feature is off", note = $cure)]
        pub trait $is_on<'feature> {}

        $(#[$cfg])*
        impl Default for $name
        where
            for<'feature> Self: $is_on<'feature>,
        {
            fn default() -> Self {
                Self
            }
        }
    };
}

macro_rules! broker {
    ($(#[$cfg:meta])* $name:ident, $is_on:ident, $kind:literal) => {
        $(#[$cfg])*
        impl Broker for $name
        where
            for<'feature> Self: $is_on<'feature>,
        {
            type Provider = MemoryProvider;
            type Publisher = MemoryPublisher;
            type Options = NoOptions;
            const KIND: &'static str = $kind;

            fn provider(&self, source: &Source, _: &NoOptions) -> Result<MemoryProvider, Error> {
                unreachable!("route `{}` compiles only if the feature is on", source.route)
            }

            fn publisher(&self) -> MemoryPublisher {
                unreachable!("a program compiles only if the feature is on")
            }
        }
    };
}

macro_rules! translator {
    ($(#[$cfg:meta])* $name:ident, $is_on:ident) => {
        $(#[$cfg])*
        impl Envelope for $name where for<'feature> Self: $is_on<'feature> {}

        $(#[$cfg])*
        impl<'m, T> Translator<'m, T> for $name
        where
            for<'feature> Self: $is_on<'feature>,
        {
            fn translate(&self, _: &'m Message) -> Result<T, TranslateError> {
                unreachable!("a handler compiles only if the feature is on")
            }
        }
    };
}

stand_in!(
    #[cfg(not(feature = "amqp"))]
    Amqp,
    AmqpIsOn,
    "`Amqp` is of the feature `amqp` of the crate `loafer`.",
    "turn it on in Cargo.toml: `loafer = {{ version = \"…\", features = [\"amqp\"] }}`"
);
broker!(
    #[cfg(not(feature = "amqp"))]
    Amqp,
    AmqpIsOn,
    "amqp"
);
stand_in!(
    #[cfg(not(feature = "sqs"))]
    Sqs,
    SqsIsOn,
    "`Sqs` is of the feature `sqs` of the crate `loafer`.",
    "turn it on in Cargo.toml: `loafer = {{ version = \"…\", features = [\"sqs\"] }}`; it is one of the default features"
);
broker!(
    #[cfg(not(feature = "sqs"))]
    Sqs,
    SqsIsOn,
    "sqs"
);
stand_in!(
    #[cfg(not(feature = "messagepack"))]
    MessagePack,
    MessagePackIsOn,
    "`MessagePack` is of the feature `messagepack` of the crate `loafer`.",
    "turn it on in Cargo.toml: `loafer = {{ version = \"…\", features = [\"messagepack\"] }}`"
);
translator!(
    #[cfg(not(feature = "messagepack"))]
    MessagePack,
    MessagePackIsOn
);
stand_in!(
    #[cfg(not(feature = "protobuf"))]
    Protobuf,
    ProtobufIsOn,
    "`Protobuf` is of the feature `protobuf` of the crate `loafer`.",
    "turn it on in Cargo.toml: `loafer = {{ version = \"…\", features = [\"protobuf\"] }}`"
);
translator!(
    #[cfg(not(feature = "protobuf"))]
    Protobuf,
    ProtobufIsOn
);
