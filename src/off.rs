//! Stand-ins for types of features that are off: whoever names one is told which feature it belongs to.
//!
//! Each implements its trait if its feature is on, which it never is here. The bound is for any lifetime, since the compiler refuses a plain
//! one that can never hold. Written out: a macro would show its insides wherever the compiler lists who implements a trait.

#[cfg(not(feature = "amqp"))]
pub use self::amqp::Amqp;
#[cfg(not(feature = "messagepack"))]
pub use self::messagepack::MessagePack;
#[cfg(not(feature = "protobuf"))]
pub use self::protobuf::Protobuf;
#[cfg(not(feature = "sqs"))]
pub use self::sqs::Sqs;

#[cfg(not(feature = "amqp"))]
mod amqp {
    use loafer_core::{
        Error,
        broker::{Broker, BrokerOptions, Source},
    };
    use loafer_memory::{MemoryProvider, MemoryPublisher};

    /// The broker of the feature `amqp`, which is off.
    #[derive(Clone, Copy, Debug)]
    #[non_exhaustive]
    pub struct Amqp;

    /// Stands for the feature `amqp`. A type of its own: of one type that lacks two traits the compiler would tell the other.
    #[derive(Clone, Copy, Debug)]
    pub struct Feature;

    /// Holds if the feature `amqp` is on.
    #[diagnostic::on_unimplemented(
        message = "`Amqp` is of the feature `amqp` of the crate `loafer`, which is off",
        label = "its feature is off",
        note = "turn it on in Cargo.toml: `loafer = {{ version = \"…\", features = [\"amqp\"] }}`"
    )]
    pub trait IsOn<'feature> {
        /// The options of the broker. Without the feature the compiler knows no key of them, and reports none.
        type Options: BrokerOptions;
    }

    impl Default for Amqp
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        fn default() -> Self {
            Self
        }
    }

    impl Broker for Amqp
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        type Provider = MemoryProvider;
        type Publisher = MemoryPublisher;
        type Options = <Feature as IsOn<'static>>::Options;
        const KIND: &'static str = "amqp";

        fn provider(&self, source: &Source, _: &Self::Options) -> Result<MemoryProvider, Error> {
            unreachable!(
                "route `{}` compiles only if the feature is on",
                source.route
            )
        }

        fn publisher(&self) -> MemoryPublisher {
            unreachable!("a program compiles only if the feature is on")
        }
    }
}

#[cfg(not(feature = "sqs"))]
mod sqs {
    use loafer_core::{
        Error,
        broker::{Broker, BrokerOptions, Source},
    };
    use loafer_memory::{MemoryProvider, MemoryPublisher};

    /// The broker of the feature `sqs`, which is off.
    #[derive(Clone, Copy, Debug)]
    #[non_exhaustive]
    pub struct Sqs;

    /// Stands for the feature `sqs`. A type of its own: of one type that lacks two traits the compiler would tell the other.
    #[derive(Clone, Copy, Debug)]
    pub struct Feature;

    /// Holds if the feature `sqs` is on.
    #[diagnostic::on_unimplemented(
        message = "`Sqs` is of the feature `sqs` of the crate `loafer`, which is off",
        label = "its feature is off",
        note = "turn it on in Cargo.toml: `loafer = {{ version = \"…\", features = [\"sqs\"] }}`; it is one of the default features"
    )]
    pub trait IsOn<'feature> {
        /// The options of the broker. Without the feature the compiler knows no key of them, and reports none.
        type Options: BrokerOptions;
    }

    impl Default for Sqs
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        fn default() -> Self {
            Self
        }
    }

    impl Broker for Sqs
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        type Provider = MemoryProvider;
        type Publisher = MemoryPublisher;
        type Options = <Feature as IsOn<'static>>::Options;
        const KIND: &'static str = "sqs";

        fn provider(&self, source: &Source, _: &Self::Options) -> Result<MemoryProvider, Error> {
            unreachable!(
                "route `{}` compiles only if the feature is on",
                source.route
            )
        }

        fn publisher(&self) -> MemoryPublisher {
            unreachable!("a program compiles only if the feature is on")
        }
    }
}

#[cfg(not(feature = "messagepack"))]
mod messagepack {
    use loafer_core::{
        SharedError,
        event::{Encode, Encoded},
        message::Message,
        translate::{Envelope, TranslateError, Translator},
    };

    /// The translator of the feature `messagepack`, which is off.
    #[derive(Clone, Copy, Debug)]
    #[non_exhaustive]
    pub struct MessagePack;

    /// Stands for the feature `messagepack`. A type of its own: of one type that lacks two traits the compiler would tell the other.
    #[derive(Clone, Copy, Debug)]
    pub struct Feature;

    /// Holds if the feature `messagepack` is on.
    #[diagnostic::on_unimplemented(
        message = "`MessagePack` is of the feature `messagepack` of the crate `loafer`, which is off",
        label = "its feature is off",
        note = "turn it on in Cargo.toml: `loafer = {{ version = \"…\", features = [\"messagepack\"] }}`"
    )]
    pub trait IsOn<'feature> {}

    impl Default for MessagePack
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        fn default() -> Self {
            Self
        }
    }

    impl Envelope for MessagePack where for<'feature> Feature: IsOn<'feature> {}

    impl<T: ?Sized> Encode<T> for MessagePack
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        fn encode(&self, _: &T) -> Result<Encoded, SharedError> {
            unreachable!("an event compiles only if the feature is on")
        }
    }

    impl<'m, T> Translator<'m, T> for MessagePack
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        fn translate(&self, _: &'m Message) -> Result<T, TranslateError> {
            unreachable!("a handler compiles only if the feature is on")
        }
    }
}

#[cfg(not(feature = "protobuf"))]
mod protobuf {
    use loafer_core::{
        SharedError,
        event::{Encode, Encoded},
        message::Message,
        translate::{Envelope, TranslateError, Translator},
    };

    /// The translator of the feature `protobuf`, which is off.
    #[derive(Clone, Copy, Debug)]
    #[non_exhaustive]
    pub struct Protobuf;

    /// Stands for the feature `protobuf`. A type of its own: of one type that lacks two traits the compiler would tell the other.
    #[derive(Clone, Copy, Debug)]
    pub struct Feature;

    /// Holds if the feature `protobuf` is on.
    #[diagnostic::on_unimplemented(
        message = "`Protobuf` is of the feature `protobuf` of the crate `loafer`, which is off",
        label = "its feature is off",
        note = "turn it on in Cargo.toml: `loafer = {{ version = \"…\", features = [\"protobuf\"] }}`"
    )]
    pub trait IsOn<'feature> {}

    impl Default for Protobuf
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        fn default() -> Self {
            Self
        }
    }

    impl Envelope for Protobuf where for<'feature> Feature: IsOn<'feature> {}

    impl<T: ?Sized> Encode<T> for Protobuf
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        fn encode(&self, _: &T) -> Result<Encoded, SharedError> {
            unreachable!("an event compiles only if the feature is on")
        }
    }

    impl<'m, T> Translator<'m, T> for Protobuf
    where
        for<'feature> Feature: IsOn<'feature>,
    {
        fn translate(&self, _: &'m Message) -> Result<T, TranslateError> {
            unreachable!("a handler compiles only if the feature is on")
        }
    }
}
