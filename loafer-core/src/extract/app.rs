//! Extractors that need no message.

use super::FromContext;

/// An extractor that needs no message, so that a batch handler can take it beside its `Batch`.
///
/// [`State`](crate::extract::State) and `Bus` are such extractors. What belongs to one message is in the items of the batch. If an extractor of
/// your own needs only what it found at startup, implement this trait too:
///
/// ```
/// use loafer::extract::{Context, FromApp, FromContext, Missing, Rejection, Resources};
///
/// /// What a call of the price list costs at most.
/// #[derive(Clone)]
/// struct Budget(u64);
///
/// impl FromContext for Budget {
///     type Needs = Self;
///
///     fn needs(resources: &Resources) -> Result<Self, Missing> {
///         let cents = resources.get::<u64>();
///         let cents = cents.ok_or_else(|| Missing::new("there is no budget: give it in `setup`: `app.state(500_u64)`"))?;
///         Ok(Self(*cents))
///     }
///
///     fn from_context(needs: &Self, _: &Context<'_>) -> Result<Self, Rejection> {
///         Ok(Self::from_app(needs))
///     }
/// }
///
/// impl FromApp for Budget {
///     fn from_app(needs: &Self) -> Self {
///         needs.clone()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of a batch handler",
    label = "of one message, or no extractor at all",
    note = "what belongs to one message is in the items of the batch: `item.metadata()` has its attempt, id, group and headers, and `Batch<Message>` the messages themselves",
    note = "beside its batch a batch handler takes `State<S>`, `Bus`, or types that implement `loafer::extract::FromApp`"
)]
pub trait FromApp: FromContext {
    /// Makes the argument of one call from what was found at startup.
    fn from_app(needs: &Self::Needs) -> Self;
}
