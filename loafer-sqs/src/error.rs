//! Errors of the SDK in short: what failed, why, and what to do.

mod call;

use std::{error::Error as StdError, fmt};

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use loafer_core::Error;

pub(crate) use self::call::Call;

/// The answer of AWS to a refused call, without anything of the request. It is the [`source`](StdError::source) of the errors of this crate.
///
/// ```
/// # use loafer_core as loafer;
/// use loafer_sqs::ServiceError;
///
/// fn is_throttled(error: &loafer::Error) -> bool {
///     let answer = std::error::Error::source(error).and_then(|source| source.downcast_ref::<ServiceError>());
///     answer.is_some_and(|answer| answer.code() == Some("RequestThrottled"))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    code: Option<String>,
    status: Option<u16>,
    request_id: Option<String>,
}

impl ServiceError {
    /// Returns the error code, such as `AccessDenied`.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns the id of the request, which AWS support asks for.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AWS answered {}", self.code().unwrap_or("an error"))?;
        if let Some(status) = self.status {
            write!(f, " (HTTP {status})")?;
        }
        match &self.request_id {
            Some(id) => write!(f, ", request {id}"),
            None => Ok(()),
        }
    }
}

impl StdError for ServiceError {}

/// Returns the code with which AWS refused a call. `None` means that the refusal is not AWS's.
pub(crate) fn code(error: &Error) -> Option<&str> {
    let answer: &ServiceError = error.source()?.downcast_ref()?;
    answer.code()
}

/// Returns whether a call was refused because a permission is missing.
pub(crate) fn is_denied<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    is_denial(error.code().unwrap_or_default())
}

/// Returns whether an error code says that a permission is missing.
pub(crate) fn is_denial(code: &str) -> bool {
    code.contains("AccessDenied") || code.contains("AuthorizationError")
}

#[cfg(test)]
mod tests;
