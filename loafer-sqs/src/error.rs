//! SDK errors, made short: what failed, why, and the way out.

mod place;

use std::{error::Error as StdError, fmt, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::{
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use loafer_core::{BoxError, Error};

pub(crate) use self::place::Place;

/// What AWS answered to a refused call, without what was sent: the [`source`](StdError::source) of errors of this crate.
///
/// ```
/// use loafer_sqs::ServiceError;
///
/// fn is_throttled(error: &loafer_core::Error) -> bool {
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
    /// The error code, as `AccessDenied`.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// What AWS support asks for.
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

/// Whose call it was, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// As `receive`; "… of `queue` failed".
    pub(crate) what: &'static str,
    /// Queue or topic, as it was named.
    pub(crate) queue: &'a str,
    /// The route, for remedies; none for publishers.
    pub(crate) route: Option<&'a str>,
    /// Region and endpoint.
    pub(crate) place: &'a Place,
}

impl Call<'_> {
    /// What the SDK said, in short.
    pub(crate) fn failed<E>(&self, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        match error {
            SdkError::TimeoutError(_) => self.unreachable("no answer in time"),
            SdkError::ServiceError(answer) => {
                if error.code().is_none() {
                    return self.no_aws(answer.raw().status().as_u16());
                }
                let answered = ServiceError {
                    code: error.code().map(str::to_owned),
                    status: Some(answer.raw().status().as_u16()),
                    request_id: error.request_id().map(str::to_owned),
                };
                self.answered(answered, error.message())
            }
            SdkError::ResponseError(answer) => self.no_aws(answer.raw().status().as_u16()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                self.unreachable("no connection in time")
            }
            _ if is_about_credentials(error) => {
                // The SDK goes on with a list over many lines, of which nothing is left here.
                let cause = deepest(error);
                let cause = cause.trim_end_matches(" Attempted:").trim_end_matches('.');
                self.refused(format!("{NO_CREDENTIALS} ({cause})"), None)
            }
            _ => self.unreachable(&deepest(error)),
        }
    }

    /// What SQS or SNS answered.
    fn answered(&self, answer: ServiceError, message: Option<&str>) -> Error {
        let code = answer.code().unwrap_or("unknown error");
        let short = |remedy: &str| {
            let message = message
                .map(|message| format!(": {}", first_line(message)))
                .unwrap_or_default();
            format!("{code}{message}{remedy}")
        };
        let server_failed = answer.status.is_some_and(|status| status >= 500);
        match code.rsplit('.').next().unwrap_or(code) {
            "QueueDoesNotExist" | "NonExistentQueue" => self.unknown_queue(),
            "AccessDenied" | "AccessDeniedException" | "AuthorizationError" | "KmsAccessDenied" => {
                let cause = short(" (allow it in the policy of the role or user)");
                self.refused(cause, Some(answer))
            }
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationToken" => {
                let cause =
                    short(" (check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE)");
                self.refused(cause, Some(answer))
            }
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
                let cause = short(" (sign in again; check the machine's clock)");
                self.refused(cause, Some(answer))
            }
            code if server_failed || is_throttling(code) => Error::Unreachable {
                what: self.what,
                queue: self.queue.to_owned(),
                cause: short(""),
                source: Some(Box::new(answer)),
            },
            _ => {
                let cause = short("");
                self.refused(cause, Some(answer))
            }
        }
    }

    /// The queue is not there.
    pub(crate) fn unknown_queue(&self) -> Error {
        let remedy = match self.route {
            Some(route) => format!(
                "create it, or set `queue = \"…\"` under [routes.{route}] in loafer.toml, or LOAFER_ROUTES__{}__QUEUE",
                environment(route)
            ),
            None => "create it, or check its name".to_owned(),
        };
        Error::UnknownQueue {
            queue: self.queue.to_owned(),
            place: self.place.to_string(),
            remedy,
        }
    }

    /// Nobody answered, or nothing that made sense.
    pub(crate) fn unreachable(&self, cause: &str) -> Error {
        let cause = format!("{} at {}", cause, self.place.endpoint());
        Error::Unreachable {
            what: self.what,
            queue: self.queue.to_owned(),
            cause,
            source: None,
        }
    }

    /// Somebody answered who is not AWS, nor speaks as AWS does.
    fn no_aws(&self, status: u16) -> Error {
        let endpoint = self.place.endpoint();
        let cause = format!(
            "HTTP {status} and no answer of AWS at {endpoint}: check AWS_ENDPOINT_URL, and proxies on the way"
        );
        Error::Unreachable {
            what: self.what,
            queue: self.queue.to_owned(),
            cause,
            source: None,
        }
    }

    /// Somebody answered no.
    pub(crate) fn refused(&self, cause: String, answer: Option<ServiceError>) -> Error {
        let source = answer.map(|answer| Box::new(answer) as BoxError);
        Error::Refused {
            what: self.what,
            queue: self.queue.to_owned(),
            cause,
            source,
        }
    }

    /// It took longer than it may.
    pub(crate) fn timed_out(&self, after: Duration) -> Error {
        Error::Timeout {
            what: self.what,
            queue: self.queue.to_owned(),
            after,
        }
    }

    /// One entry of a batch failed, by our fault or by that of AWS; the call as such did not.
    pub(crate) fn entry_failed(&self, code: &str, message: Option<&str>, our_fault: bool) -> Error {
        let message = message
            .map(|message| format!(": {}", first_line(message)))
            .unwrap_or_default();
        let answer = ServiceError {
            code: Some(code.to_owned()),
            status: None,
            request_id: None,
        };
        let (what, queue, cause) = (self.what, self.queue.to_owned(), format!("{code}{message}"));
        let source: Option<BoxError> = Some(Box::new(answer));
        // Too much at once is called a fault of ours, and is over soon.
        match our_fault && !is_throttling(code) {
            true => Error::Refused {
                what,
                queue,
                cause,
                source,
            },
            false => Error::Unreachable {
                what,
                queue,
                cause,
                source,
            },
        }
    }

    /// The answer was a success and said nothing of this entry.
    pub(crate) fn unanswered(&self) -> Error {
        self.unreachable("the answer leaves an entry out")
    }

    /// Nothing of a group goes after one of it that did not.
    pub(crate) fn unsent(&self) -> Error {
        Error::Unreachable {
            what: self.what,
            queue: self.queue.to_owned(),
            cause: "not sent, since one before it in its group was not".to_owned(),
            source: None,
        }
    }

    /// A request could not be made.
    pub(crate) fn unsendable(&self, error: &BuildError) -> Error {
        self.refused(error.to_string(), None)
    }
}

fn is_throttling(code: &str) -> bool {
    code.contains("Throttl") || code.ends_with("OverLimit")
}

/// The same error for the next message of a batch; its source stays with the first.
pub(crate) fn again(error: &Error) -> Error {
    match error {
        Error::UnknownQueue {
            queue,
            place,
            remedy,
        } => Error::UnknownQueue {
            queue: queue.clone(),
            place: place.clone(),
            remedy: remedy.clone(),
        },
        Error::Unreachable {
            what, queue, cause, ..
        } => Error::Unreachable {
            what,
            queue: queue.clone(),
            cause: cause.clone(),
            source: None,
        },
        Error::Refused {
            what, queue, cause, ..
        } => Error::Refused {
            what,
            queue: queue.clone(),
            cause: cause.clone(),
            source: None,
        },
        Error::Timeout { what, queue, after } => Error::Timeout {
            what,
            queue: queue.clone(),
            after: *after,
        },
        other => Error::Config(other.to_string()),
    }
}

const NO_CREDENTIALS: &str = "no AWS credentials were found, or they can't be loaded: set AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (`aws configure`), or give the machine a role";

/// `friend-created` as the environment writes it: `FRIEND_CREATED`.
fn environment(route: &str) -> String {
    route.to_uppercase().replace(['-', '.'], "_")
}

/// AWS explains a wrong signature over many lines, credentials included: only the first is told, 300 bytes of it.
fn first_line(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default().trim();
    &line[..line.floor_char_boundary(300)]
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        (*error).source()
    })
}

fn is_about_credentials(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|error| error.is::<CredentialsError>())
        // What the SDK's cache says of a credentials provider that hangs; a type of its own, not public.
        || deepest(error).starts_with("identity resolver timed out")
}

/// The first cause, as `Connection refused (os error 111)`.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    chain(error)
        .last()
        .map(|error| first_line(&error.to_string()).to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
