//! A cause that several errors share.

use std::{error::Error as StdError, fmt, ops::Deref, sync::Arc};

use crate::outcome::BoxError;

/// The cause of an [`Error`](crate::Error): any error, shared by all clones.
///
/// It dereferences to the error itself. It is not an error of its own, so that [`source`](std::error::Error::source) returns what was put in,
/// and `downcast_ref` finds its type.
///
/// ```
/// use loafer::broker::SharedError;
///
/// let error = "x".parse::<u8>().unwrap_err();
/// let shared = SharedError::from(error);
/// assert!(shared.downcast_ref::<std::num::ParseIntError>().is_some());
/// ```
#[derive(Clone)]
pub struct SharedError(Arc<dyn StdError + Send + Sync>);

impl<E: Into<BoxError>> From<E> for SharedError {
    fn from(error: E) -> Self {
        Self(error.into().into())
    }
}

impl Deref for SharedError {
    type Target = dyn StdError + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
