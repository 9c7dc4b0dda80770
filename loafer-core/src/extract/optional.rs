//! Extractors that may be absent, and those whose refusals the handler judges.

use super::{Context, FromApp, FromContext, Metadata, Missing, Rejection, Resources};
use crate::message::{Headers, Message};

/// An extractor that the app or a message may lack: what `Option<E>` takes.
///
/// `None` means that it is absent. A refusal stays one: the handler is not called, and the message is treated as if it had returned an error.
/// A handler that is to judge refusals takes [`Result<E, Rejection>`](Rejection).
///
/// | `Option<…>` of | is `None` |
/// |---|---|
/// | [`State<S>`](crate::extract::State) | where the app has no state of that type |
/// | [`Extension<T>`](crate::extract::Extension) | where no layer put a `T` on the message |
/// | [`Metadata`](crate::extract::Metadata), [`Headers`](crate::message::Headers), [`Message`](crate::message::Message), `Bus` | never |
/// | a struct that derives it, beside `FromContext` | where one of its fields is |
/// | a type of your own | where its implementation says so |
///
/// ```
/// use loafer::{Context, FromContext, Missing, OptionalFromContext, Rejection, extract::Resources};
///
/// /// The tenant a message speaks for: some messages are nobody's.
/// struct Tenant(u32);
///
/// impl FromContext for Tenant {
///     type Needs = ();
///
///     fn needs(_: &Resources) -> Result<(), Missing> {
///         Ok(())
///     }
///
///     fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
///         Self::optional_from_context(&(), context)?.ok_or_else(|| Rejection::new("there is no header `tenant`"))
///     }
/// }
///
/// impl OptionalFromContext for Tenant {
///     fn optional_from_context((): &(), context: &Context<'_>) -> Result<Option<Self>, Rejection> {
///         let Some(tenant) = context.message().headers().get("tenant") else {
///             return Ok(None);
///         };
///         // Absent is one thing, a value that is none another.
///         let number = tenant.parse().map_err(|_| Rejection::new("the header `tenant` is no number"))?;
///         Ok(Some(Self(number)))
///     }
/// }
///
/// async fn order_placed(order: u64, tenant: Option<Tenant>) -> bool {
///     order > 0 && tenant.is_none_or(|tenant| tenant.0 > 0)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`Option<{Self}>` is not an extractor",
    label = "`{Self}` can't be absent",
    note = "`None` stands for what is absent, not for a refusal: take `{Self}` itself, or `Result<{Self}, Rejection>` to judge a refusal; an extractor of your own may be absent once it implements `loafer::OptionalFromContext`"
)]
pub trait OptionalFromContext: FromContext {
    /// Finds what it needs in the app; `None` where the app lacks it, and every message is then without it. Unless implemented, the app must have it.
    ///
    /// # Errors
    ///
    /// Where the app has something else than it should: the program says so and does not start.
    fn optional_needs(resources: &Resources) -> Result<Option<Self::Needs>, Missing> {
        Self::needs(resources).map(Some)
    }

    /// Makes the argument for one message; `None` where it is absent.
    ///
    /// # Errors
    ///
    /// Where what is there is not what it should be: the handler is not called, and the message is treated as if it had returned an error.
    fn optional_from_context(
        needs: &Self::Needs,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Rejection>;
}

/// None where it is absent; a refusal stays one.
impl<E: OptionalFromContext> FromContext for Option<E> {
    type Needs = Option<E::Needs>;

    fn needs(resources: &Resources) -> Result<Option<E::Needs>, Missing> {
        E::optional_needs(resources)
    }

    fn from_context(needs: &Option<E::Needs>, context: &Context<'_>) -> Result<Self, Rejection> {
        match needs {
            Some(needs) => E::optional_from_context(needs, context),
            None => Ok(None),
        }
    }
}

impl<E: FromApp + OptionalFromContext> FromApp for Option<E> {
    fn from_app(needs: &Option<E::Needs>) -> Self {
        needs.as_ref().map(E::from_app)
    }
}

/// What it says to the message, for the handler to judge. What it needs of the app must be there.
impl<E: FromContext> FromContext for Result<E, Rejection> {
    type Needs = E::Needs;

    fn needs(resources: &Resources) -> Result<E::Needs, Missing> {
        E::needs(resources)
    }

    fn from_context(needs: &E::Needs, context: &Context<'_>) -> Result<Self, Rejection> {
        Ok(E::from_context(needs, context))
    }
}

macro_rules! never_absent {
    ($($extractor:ty),*) => {
        $(impl OptionalFromContext for $extractor {
            fn optional_from_context(
                needs: &Self::Needs,
                context: &Context<'_>,
            ) -> Result<Option<Self>, Rejection> {
                Self::from_context(needs, context).map(Some)
            }
        })*
    };
}

never_absent!(Headers, Message, Metadata);

/// As a field of a struct that may be absent itself: the field says `None`, the struct is there.
impl<E: OptionalFromContext> OptionalFromContext for Option<E> {
    fn optional_from_context(
        needs: &Self::Needs,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Rejection> {
        Self::from_context(needs, context).map(Some)
    }
}

/// As a field of a struct that may be absent itself: the field says why it was refused, the struct is there.
impl<E: FromContext> OptionalFromContext for Result<E, Rejection> {
    fn optional_from_context(
        needs: &Self::Needs,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Rejection> {
        Self::from_context(needs, context).map(Some)
    }
}
