//! What the expansion of `#[handler]` calls: functions whose bounds meet the user's types, so that a wrong one is told at its own token.

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

/// A handler made ready for an app, or what the app lacks.
pub type Prepared = Result<PreparedHandler, Missing>;

/// Decodes a handler's first argument.
///
/// # Errors
///
/// Where it does not decode.
pub fn decode<'m, M, T>(translator: &T, opened: &'m Message) -> Result<M, Verdict>
where
    T: Translator<'m, M>,
{
    // No combinator: it would be compiled for every handler.
    match translator.translate(opened) {
        Ok(message) => Ok(message),
        Err(error) => Err(handler::undecodable(error)),
    }
}

/// What a handler returned.
pub fn outcome<O: IntoOutcome>(said: O) -> Verdict {
    said.into_outcome()
}

/// What is said where a batch handler is not called: nothing, the messages have their verdicts.
pub type NoCall = Option<Vec<Verdict>>;

/// Decodes the messages of a batch handler's first argument.
///
/// # Errors
///
/// Where none decodes.
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

/// What a batch handler returned.
pub fn batch_outcome<O: IntoBatchOutcome>(said: O, raw: &BatchCall) -> Option<Vec<Verdict>> {
    Some(raw.said(said))
}

/// [`Batch`], and no other type of that name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not `loafer::Batch`",
    label = "another `Batch`",
    note = "a first argument written `Batch<…>` takes the messages of a call: import `loafer::Batch`, or give a message type of this name another one, as `type Parcel = Batch<Item>`"
)]
pub trait IsBatch {}

#[diagnostic::do_not_recommend]
impl<M> IsBatch for Batch<M> {}

/// Is met by [`Batch`] only.
pub fn is_batch<B: IsBatch>() {}

/// Is met by extractors that need no message only.
pub fn is_app_extractor<E: FromApp>() {}

/// Is met by translators only.
pub fn is_translator<T: Envelope>() {}

/// An extractor of the framework's that can't be the message: as a handler's first argument it stands in the message's place.
pub trait OnlyExtractor {}

impl OnlyExtractor for loafer_core::extract::Metadata {}
impl OnlyExtractor for loafer_core::message::Headers {}
impl OnlyExtractor for crate::bus::Bus {}
impl<S: ?Sized> OnlyExtractor for loafer_core::extract::State<S> {}
impl<T> OnlyExtractor for loafer_core::extract::Extension<T> {}

/// Is met by handler types only: one value of theirs serves all messages, on many threads.
pub fn is_shareable<T: Shareable>() {}

/// A type that the user named.
///
/// Its methods are there where the type is what it should be. Where it is not, those of [`StandIn`] take their place: what is wrong is
/// told by one of the functions above, and by nothing else.
#[derive(Debug)]
pub struct Named<T>(PhantomData<fn() -> T>);

/// The type that the user named.
#[must_use]
pub fn named<T>() -> Named<T> {
    Named(PhantomData)
}

impl<T: Envelope> Named<T> {
    /// The translator.
    #[must_use]
    pub fn translator(&self) -> T {
        T::default()
    }
}

impl<M: OnlyExtractor> Named<M> {
    /// Asks nothing of what follows an extractor in the message's place: that one is told, and the message would be told as a wrong extractor.
    pub fn followed_by<E>(&self) {}
}

impl<E: FromContext> Named<E> {
    /// What the extractor needs from the app.
    ///
    /// # Errors
    ///
    /// Where the app lacks it.
    pub fn needs(&self, resources: &Resources) -> Result<E::Needs, Missing> {
        E::needs(resources)
    }

    /// Makes one of a handler's other arguments.
    ///
    /// # Errors
    ///
    /// Where the extractor refuses the message.
    pub fn extract(&self, needs: &E::Needs, context: &Context<'_>) -> Result<E, Verdict> {
        handler::extract(needs, context)
    }
}

impl<E: FromApp> Named<E> {
    /// Makes one of a batch handler's other arguments.
    ///
    /// # Errors
    ///
    /// None.
    pub fn of_app(&self, needs: &E::Needs) -> Result<E, NoCall> {
        Ok(E::from_app(needs))
    }
}

impl<M> Named<Batch<M>> {
    /// The batch as it was decoded.
    ///
    /// # Errors
    ///
    /// None.
    pub fn batch(&self, decoded: Batch<M>) -> Result<Batch<M>, NoCall> {
        Ok(decoded)
    }
}

impl<T: Send + Sync + 'static> Named<T> {
    /// The app's value of a handler type.
    ///
    /// # Errors
    ///
    /// Where the app has none.
    pub fn instance(&self, resources: &Resources) -> Result<Arc<T>, Missing> {
        resources.get().ok_or_else(|| {
            let name = type_name::<T>();
            Missing::new(format!(
                "there is no `{name}` to handle messages: give it in `setup`, as `app.state(value)`"
            ))
        })
    }
}

/// What takes the place of a type that is not what it should be, in programs that do not compile.
pub trait StandIn<T> {
    /// In place of a translator.
    fn translator(&self) -> NoTranslator {
        NoTranslator
    }

    /// Is met by extractors only.
    fn followed_by<E: FromContext>(&self) {}

    /// In place of what an extractor needs.
    ///
    /// # Errors
    ///
    /// Always.
    fn needs(&self, _: &Resources) -> Result<Nobody<T>, Missing> {
        Err(Missing::new("an argument is no extractor"))
    }

    /// In place of an argument.
    ///
    /// # Errors
    ///
    /// None: there are no needs to call it with.
    fn extract(&self, needs: &Nobody<T>, _: &Context<'_>) -> Result<T, Verdict> {
        match needs.0 {}
    }

    /// In place of a batch handler's argument.
    ///
    /// # Errors
    ///
    /// Always.
    fn of_app<N>(&self, _: &N) -> Result<T, NoCall> {
        Err(None)
    }

    /// In place of a batch.
    ///
    /// # Errors
    ///
    /// Always.
    fn batch<B>(&self, _: B) -> Result<T, NoCall> {
        Err(None)
    }

    /// In place of the value of a handler type.
    ///
    /// # Errors
    ///
    /// Always.
    fn instance(&self, _: &Resources) -> Result<Nobody<T>, Missing> {
        Err(Missing::new("nobody"))
    }
}

impl<T> StandIn<T> for Named<T> {}

/// In place of a translator.
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

/// In place of any value.
#[derive(Debug)]
pub struct Nobody<T>(Infallible, PhantomData<fn() -> T>);

impl<T> Deref for Nobody<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self.0 {}
    }
}

/// A function that answers for failed messages.
#[diagnostic::on_unimplemented(
    message = "`on_error` names an async function that takes a `Failure` and returns an outcome",
    label = "no such function",
    note = "write it as `async fn give_up(failure: Failure) -> bool`; it may also return `Outcome`, or a `Result` of either"
)]
pub trait ErrorHandler<A> {
    /// The handler, with this function asked what becomes of failures.
    fn of(self, handler: PreparedHandler) -> PreparedHandler;
}

/// Its argument and its answer are told apart, so that the one that is wrong is named.
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

/// [`Failure`], and nothing else.
#[diagnostic::on_unimplemented(
    message = "a function for `on_error` takes a `Failure`, not `{Self}`",
    label = "its argument is not a `Failure`",
    note = "write it as `async fn give_up(failure: Failure) -> bool`: by value, with `failure.metadata()`, `failure.error()` and `failure.message()`"
)]
pub trait IsFailure {
    /// The failure.
    fn of(failure: Failure) -> Self;
}

impl IsFailure for Failure {
    fn of(failure: Failure) -> Self {
        failure
    }
}

/// What an async function of `on_error` returns.
#[diagnostic::on_unimplemented(
    message = "a function for `on_error` is async and returns an outcome",
    label = "not async, or its answer is no outcome",
    note = "write it as `async fn give_up(failure: Failure) -> bool`; it may also return `Outcome`, or a `Result` of either"
)]
pub trait AnswersFailure {
    /// The outcome.
    type Answer: IntoOutcome;

    /// The answer, awaited.
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

/// The handler with its `on_error`.
#[must_use]
pub fn on_error<A, F: ErrorHandler<A>>(function: F, handler: PreparedHandler) -> PreparedHandler {
    function.of(handler)
}
