//! The state of the app, as an argument.

use std::{any::type_name, fmt, ops::Deref, sync::Arc};

use super::{Context, FromApp, FromContext, Missing, OptionalFromContext, Rejection, Resources};

/// The value of this type that the app was given with `app.state(value)`. All handlers share it.
///
/// It dereferences to `S`, which need not be `Clone`. In a unit test, [`State::new`] makes it.
///
/// ```
/// use loafer::State;
///
/// struct Prices { cents: u64 }
///
/// async fn order_placed(order: u64, prices: State<Prices>) -> bool {
///     order * prices.cents > 0
/// }
///
/// # async fn test() {
/// assert!(order_placed(2, State::new(Prices { cents: 5 })).await);
/// # }
/// ```
pub struct State<S: ?Sized>(pub Arc<S>);

impl<S> State<S> {
    /// Returns state that shares this value.
    pub fn new(value: S) -> Self {
        Self(Arc::new(value))
    }
}

impl<S> From<S> for State<S> {
    fn from(value: S) -> Self {
        Self::new(value)
    }
}

impl<S: ?Sized> From<Arc<S>> for State<S> {
    fn from(shared: Arc<S>) -> Self {
        Self(shared)
    }
}

impl<S: ?Sized> Clone for State<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: ?Sized> Deref for State<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: fmt::Debug + ?Sized> fmt::Debug for State<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&self.0).finish()
    }
}

/// A type whose values the handlers of a program can share: `Send + Sync + Sized + 'static`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be state: the handlers share it between threads",
    label = "not `Send + Sync + Sized + 'static`",
    note = "use `Arc` for `Rc`, `Mutex` or atomics for `RefCell` and `Cell`, owned values for references, and `State<Arc<dyn Trait>>` for `State<dyn Trait>`, given as `app.state::<Arc<dyn Trait>>(…)`"
)]
pub trait Shareable: Send + Sync + Sized + 'static {}

#[diagnostic::do_not_recommend]
impl<S: Send + Sync + 'static> Shareable for S {}

#[expect(
    clippy::needless_maybe_sized,
    reason = "an unsized type gets the error that it can't be state, instead of one about its size"
)]
impl<S: Shareable + ?Sized> FromContext for State<S> {
    type Needs = Arc<S>;

    fn needs(resources: &Resources) -> Result<Arc<S>, Missing> {
        Self::optional_needs(resources)?.ok_or_else(|| {
            Missing::new(format!(
                "there is no state of type `{}`: give it in `setup`: `app.state(value)`",
                type_name::<S>()
            ))
        })
    }

    fn from_context(needs: &Arc<S>, _: &Context<'_>) -> Result<Self, Rejection> {
        Ok(Self(needs.clone()))
    }
}

/// `None` means that the app has no state of this type. If it has state of type `Arc<S>`, that is still an error: the state was given in the wrong
/// form.
#[expect(
    clippy::needless_maybe_sized,
    reason = "an unsized type gets the error that it can't be state, instead of one about its size"
)]
impl<S: Shareable + ?Sized> OptionalFromContext for State<S> {
    fn optional_needs(resources: &Resources) -> Result<Option<Arc<S>>, Missing> {
        let state = resources.get::<S>();
        if state.is_none() && resources.get::<Arc<S>>().is_some() {
            let name = type_name::<S>();
            return Err(Missing::new(format!(
                "the app has no state of type `{name}`, but of `Arc<{name}>`: give the value itself, Loafer shares it, or take `State<Arc<{name}>>`"
            )));
        }
        Ok(state)
    }

    fn optional_from_context(needs: &Arc<S>, _: &Context<'_>) -> Result<Option<Self>, Rejection> {
        Ok(Some(Self(needs.clone())))
    }
}

#[expect(
    clippy::needless_maybe_sized,
    reason = "an unsized type gets the error that it can't be state, instead of one about its size"
)]
impl<S: Shareable + ?Sized> FromApp for State<S> {
    fn from_app(needs: &Arc<S>) -> Self {
        Self(needs.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_value_becomes_state_as_it_is() {
        let shared = Arc::new(1_u8);
        let state: State<u8> = shared.clone().into();
        assert!(Arc::ptr_eq(&state.0, &shared));
        assert_eq!(*State::from(2_u8), 2);
    }

    #[test]
    fn missing_state_that_is_there_in_an_arc_is_an_error() {
        let mut resources = Resources::new();
        resources.insert(Arc::new(1_u8));
        let missing = State::<u8>::needs(&resources).unwrap_err().to_string();
        assert!(missing.contains("take `State<Arc<u8>>`"), "{missing}");
        assert!(State::<Arc<u8>>::needs(&resources).is_ok());
        // It is not absent: it was given in another form.
        assert!(Option::<State<u8>>::needs(&resources).is_err());
        assert!(Option::<State<u16>>::needs(&resources).is_ok());
    }
}
