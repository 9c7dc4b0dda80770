//! Functions that the expansion of `#[handler]` calls. Their bounds meet the user's types, so the compiler reports a wrong type at its own
//! token.

use std::{
    any::type_name, borrow::Cow, convert::Infallible, future::Future, marker::PhantomData,
    ops::Deref, sync::Arc,
};

use crate::{
    handler,
    handler::{BatchCall, Env, Failure, Opened, PreparedHandler},
};
use loafer_core::extract::{Batch, IntoBatchOutcome, Resources};
use loafer_core::{
    extract::{Context, FromApp, FromContext, Missing, Shareable},
    message::Message,
    outcome::{IntoOutcome, Verdict},
    translate::{Envelope, TranslateError, Translator},
};

/// A handler that is prepared for an app, or what the app lacks.
pub type Prepared = Result<PreparedHandler, Missing>;

/// Decodes a handler's first argument.
///
/// # Errors
///
/// If the message does not decode.
pub fn decode<'m, M, T>(translator: &T, opened: &'m Message) -> Result<M, Verdict>
where
    T: Translator<'m, M>,
{
    // Not a combinator, which would be compiled for every handler.
    match translator.translate(opened) {
        Ok(message) => Ok(message),
        Err(error) => Err(handler::undecodable(handler::explained(error, opened))),
    }
}

/// Returns the verdict that a handler's result gives.
pub fn outcome<O: IntoOutcome>(said: O) -> Verdict {
    said.into_outcome()
}

/// The result if a batch handler is not called: `None`, because the messages have their verdicts already.
pub type NoCall = Option<Vec<Verdict>>;

/// Decodes the messages of a batch handler's first argument.
///
/// # Errors
///
/// If no message decodes.
pub fn decode_batch<'m, M, T, N>(
    raw: &BatchCall,
    env: &Env<T, N>,
    opened: &'m [Opened<'m>],
) -> Result<Batch<M>, NoCall>
where
    T: Envelope + Translator<'m, M>,
{
    raw.decode(env.translator(), env.names(), opened)
        .ok_or(None)
}

/// Returns the verdicts that a batch handler's result gives.
pub fn batch_outcome<O: IntoBatchOutcome>(said: O, raw: &BatchCall) -> Option<Vec<Verdict>> {
    Some(raw.said(said))
}

/// Implemented by [`Batch`], and by no other type of that name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not `loafer::Batch`",
    label = "another `Batch`",
    note = "a first argument written `Batch<…>` takes the messages of a call: import `loafer::Batch`, or give a message type of this name another one, for example `type Order = Batch<Item>`"
)]
pub trait IsBatch {}

#[diagnostic::do_not_recommend]
impl<M> IsBatch for Batch<M> {}

/// Compiles for [`Batch`] only.
pub fn is_batch<B: IsBatch>() {}

/// Compiles only for extractors that need no message.
pub fn is_app_extractor<E: FromApp>() {}

/// Compiles for translators only.
pub fn is_translator<T: Envelope>() {}

/// An extractor of the framework that can't be the message. As a handler's first argument, it stands where the message belongs.
pub trait OnlyExtractor {}

impl OnlyExtractor for loafer_core::extract::Metadata {}
impl OnlyExtractor for loafer_core::message::Headers {}
impl OnlyExtractor for crate::bus::Bus {}
impl<S: ?Sized> OnlyExtractor for loafer_core::extract::State<S> {}
impl<T> OnlyExtractor for loafer_core::extract::Extension<T> {}

/// Compiles for handler types only: one value of such a type serves all messages, on many threads.
pub fn is_shareable<T: Shareable>() {}

/// A type that the user named.
///
/// If the type is what it should be, it has the methods here. If not, those of [`StandIn`] take their place, so that the functions above
/// report the mistake and nothing else does.
#[derive(Debug)]
pub struct Named<T>(PhantomData<fn() -> T>);

/// Returns a marker for the type that the user named.
#[must_use]
pub fn named<T>() -> Named<T> {
    Named(PhantomData)
}

impl<T: Envelope> Named<T> {
    /// Returns the translator.
    #[must_use]
    pub fn translator(&self) -> T {
        T::default()
    }
}

impl<M: OnlyExtractor> Named<M> {
    /// Demands nothing of what follows an extractor in the message's place. That extractor is reported already, and the message behind it
    /// would be reported as a wrong extractor.
    pub fn followed_by<E>(&self) {}
}

impl<E: FromContext> Named<E> {
    /// Returns what the extractor needs from the app.
    ///
    /// # Errors
    ///
    /// If the app lacks it.
    pub fn needs(&self, resources: &Resources) -> Result<E::Needs, Missing> {
        E::needs(resources)
    }

    /// Makes one of a handler's other arguments.
    ///
    /// # Errors
    ///
    /// If the extractor refuses the message.
    pub fn extract(&self, needs: &E::Needs, context: &Context<'_>) -> Result<E, Verdict> {
        handler::extract(needs, context)
    }
}

impl<E: FromApp> Named<E> {
    /// Makes one of a batch handler's other arguments.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn of_app(&self, needs: &E::Needs) -> Result<E, NoCall> {
        Ok(E::from_app(needs))
    }
}

impl<M> Named<Batch<M>> {
    /// Returns the batch as it was decoded.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn batch(&self, decoded: Batch<M>) -> Result<Batch<M>, NoCall> {
        Ok(decoded)
    }
}

impl<T: Send + Sync + 'static> Named<T> {
    /// Returns the app's value of a handler type.
    ///
    /// # Errors
    ///
    /// If the app has none.
    pub fn instance(&self, resources: &Resources) -> Result<Arc<T>, Missing> {
        resources.get().ok_or_else(|| {
            let name = type_name::<T>();
            Missing::new(format!(
                "there is no `{name}` to handle messages: give it in `setup`: `app.state(value)`"
            ))
        })
    }
}

/// Takes the place of a type that is not what it should be, in programs that do not compile.
pub trait StandIn<T> {
    /// Stands for a translator.
    fn translator(&self) -> NoTranslator {
        NoTranslator
    }

    /// Compiles for extractors only.
    fn followed_by<E: FromContext>(&self) {}

    /// Stands for what an extractor needs.
    ///
    /// # Errors
    ///
    /// Always.
    fn needs(&self, _: &Resources) -> Result<Nobody<T>, Missing> {
        Err(Missing::new("an argument is no extractor"))
    }

    /// Stands for an argument.
    ///
    /// # Errors
    ///
    /// Never: there are no needs to call it with.
    fn extract(&self, needs: &Nobody<T>, _: &Context<'_>) -> Result<T, Verdict> {
        match needs.0 {}
    }

    /// Stands for a batch handler's argument.
    ///
    /// # Errors
    ///
    /// Always.
    fn of_app<N>(&self, _: &N) -> Result<T, NoCall> {
        Err(None)
    }

    /// Stands for a batch.
    ///
    /// # Errors
    ///
    /// Always.
    fn batch<B>(&self, _: B) -> Result<T, NoCall> {
        Err(None)
    }

    /// Stands for the value of a handler type.
    ///
    /// # Errors
    ///
    /// Always.
    fn instance(&self, _: &Resources) -> Result<Nobody<T>, Missing> {
        Err(Missing::new("nobody"))
    }
}

impl<T> StandIn<T> for Named<T> {}

/// Stands for a translator.
#[derive(Debug, Default)]
pub struct NoTranslator;

#[diagnostic::do_not_recommend]
impl Envelope for NoTranslator {
    fn open<'m>(&self, raw: &'m Message) -> Result<Cow<'m, Message>, TranslateError> {
        Ok(Cow::Borrowed(raw))
    }
}

#[diagnostic::do_not_recommend]
impl<'m, T> Translator<'m, T> for NoTranslator {
    fn translate(&self, _: &'m Message) -> Result<T, TranslateError> {
        Err(TranslateError::new("nobody"))
    }
}

/// Stands for any value.
#[derive(Debug)]
pub struct Nobody<T>(Infallible, PhantomData<fn() -> T>);

impl<T> Deref for Nobody<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self.0 {}
    }
}

/// A function that decides about failed messages.
#[diagnostic::on_unimplemented(
    message = "`on_error` names an async function that takes a `Failure` and returns an outcome",
    label = "no such function",
    note = "write it as `async fn give_up(failure: Failure) -> bool`; it may also return `Outcome`, or a `Result` of either"
)]
pub trait ErrorHandler<A> {
    /// Sets this function as the one that decides about the handler's failures.
    fn of(self, handler: PreparedHandler) -> PreparedHandler;
}

/// The argument and the answer have bounds of their own, so that the compiler names the wrong one.
impl<F, A, Fut> ErrorHandler<(A,)> for F
where
    A: IsFailure,
    F: Fn(A) -> Fut + Send + Sync + 'static,
    Fut: AnswersFailure + Send + 'static,
{
    fn of(self, handler: PreparedHandler) -> PreparedHandler {
        handler.on_error(move |failure| self(A::of(failure)).answer())
    }
}

/// Implemented by [`Failure`], and by nothing else.
#[diagnostic::on_unimplemented(
    message = "a function for `on_error` takes a `Failure`, not `{Self}`",
    label = "its argument is not a `Failure`",
    note = "write it as `async fn give_up(failure: Failure) -> bool`: by value, with `failure.metadata()`, `failure.error()` and `failure.message()`"
)]
pub trait IsFailure {
    /// Returns the failure.
    fn of(failure: Failure) -> Self;
}

impl IsFailure for Failure {
    fn of(failure: Failure) -> Self {
        failure
    }
}

/// What an async function for `on_error` returns.
#[diagnostic::on_unimplemented(
    message = "a function for `on_error` is async and returns an outcome",
    label = "not async, or its answer is no outcome",
    note = "write it as `async fn give_up(failure: Failure) -> bool`; it may also return `Outcome`, or a `Result` of either"
)]
pub trait AnswersFailure {
    /// The outcome.
    type Answer: IntoOutcome;

    /// Returns the answer, to be awaited.
    fn answer(self) -> impl Future<Output = Self::Answer> + Send + 'static;
}

#[diagnostic::do_not_recommend]
impl<Fut> AnswersFailure for Fut
where
    Fut: Future<Output: IntoOutcome> + Send + 'static,
{
    type Answer = Fut::Output;

    fn answer(self) -> impl Future<Output = Fut::Output> + Send + 'static {
        self
    }
}

/// Sets the handler's `on_error`.
#[must_use]
pub fn on_error<A, F: ErrorHandler<A>>(function: F, handler: PreparedHandler) -> PreparedHandler {
    function.of(handler)
}
