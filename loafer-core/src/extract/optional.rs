//! Extractors that may be absent, and extractors whose refusals the handler judges.

use super::{Context, FromApp, FromContext, Metadata, Missing, Rejection, Resources};
use crate::message::{Headers, Message};

/// An extractor that the app or a message may lack, so that a handler can take it as `Option<E>`.
///
/// `None` means that it is absent. A refusal is still a refusal, also one [for good](Rejection::reject): the handler is not called, and what
/// becomes of the message is the same as if the handler took the extractor itself. A handler that wants to judge refusals takes [`Result<E, Rejection>`](Rejection).
///
/// | extractor | its `Option` is `None` |
/// |---|---|
/// | [`State<S>`](crate::extract::State) | if the app has no state of that type |
/// | [`Extension<T>`](crate::extract::Extension) | if no layer added a `T` to the message |
/// | [`Metadata`](crate::extract::Metadata), [`Headers`](crate::message::Headers), [`Message`](crate::message::Message), `Bus` | never |
/// | a struct that derives it, beside `FromContext` | if one of its fields is |
/// | a type of your own | if its implementation says so |
///
/// ```
/// use loafer::extract::{Context, FromContext, Missing, OptionalFromContext, Rejection, Resources};
///
/// /// The tenant that a message belongs to. Some messages belong to nobody.
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
///         // An absent header is not an error, a wrong value is.
///         let number = tenant.parse().map_err(|_| Rejection::new("the header `tenant` is not a number"))?;
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
    note = "`None` means absent, not refused: take `{Self}` itself, or `Result<{Self}, Rejection>` to decide about a refusal; an extractor of your own may be absent once it implements `loafer::extract::OptionalFromContext`"
)]
pub trait OptionalFromContext: FromContext {
    /// Finds what it needs among the resources of the app. `None` means that the app lacks it: then it is absent for every message. By default
    /// the app must have it.
    ///
    /// # Errors
    ///
    /// If what the app has is not fit for it. The program says so and does not start.
    fn optional_needs(resources: &Resources) -> Result<Option<Self::Needs>, Missing> {
        Self::needs(resources).map(Some)
    }

    /// Makes the argument for one message. `None` means that it is absent.
    ///
    /// # Errors
    ///
    /// If it is there and is not what it should be, as for [`from_context`](FromContext::from_context).
    fn optional_from_context(
        needs: &Self::Needs,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Rejection>;
}

/// `None` means that it is absent. A refusal is still a refusal.
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

/// The value, or why the extractor refused the message, so that the handler judges the refusal. What it needs of the app must be there.
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

/// For a field of a struct that may be absent: the field is `None`, and the struct is there.
impl<E: OptionalFromContext> OptionalFromContext for Option<E> {
    fn optional_from_context(
        needs: &Self::Needs,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Rejection> {
        Self::from_context(needs, context).map(Some)
    }
}

/// For a field of a struct that may be absent: the field says why the message was refused, and the struct is there.
impl<E: FromContext> OptionalFromContext for Result<E, Rejection> {
    fn optional_from_context(
        needs: &Self::Needs,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Rejection> {
        Self::from_context(needs, context).map(Some)
    }
}
