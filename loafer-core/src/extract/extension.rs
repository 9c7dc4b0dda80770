//! Values that a layer gives to the handler.

use std::{any::type_name, ops::Deref};

use super::{Context, FromContext, Missing, OptionalFromContext, Rejection, Resources};

/// A value that a layer added to the message with `Request::with_extension`.
///
/// A message without such a value is refused, as if the handler had returned an error. `Option<Extension<T>>` is `None` instead. In a unit test,
/// write `Extension(value)`.
///
/// ```
/// use loafer::Extension;
///
/// #[derive(Clone)]
/// struct Caller(String);
///
/// async fn order_placed(order: u64, caller: Extension<Caller>) -> bool {
///     order > 0 && caller.0.0 != "nobody"
/// }
///
/// # async fn test() {
/// assert!(order_placed(1, Extension(Caller("ana".to_owned()))).await);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Extension<T>(pub T);

impl<T> Deref for Extension<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone + Send + Sync + 'static> FromContext for Extension<T> {
    type Needs = ();

    fn needs(_: &Resources) -> Result<(), Missing> {
        Ok(())
    }

    fn from_context((): &(), context: &Context<'_>) -> Result<Self, Rejection> {
        let value = Self::optional_from_context(&(), context)?;
        value.ok_or_else(|| {
            Rejection::new(format!(
                "no layer put a `{}` on the message: see `Request::with_extension`",
                type_name::<T>()
            ))
        })
    }
}

/// `None` means that no layer added one to the message.
impl<T: Clone + Send + Sync + 'static> OptionalFromContext for Extension<T> {
    fn optional_from_context((): &(), context: &Context<'_>) -> Result<Option<Self>, Rejection> {
        Ok(context.raw().extension::<T>().cloned().map(Self))
    }
}
