//! Which call on which queue failed: what errors name, and the remedy. Only AWS has so many ways to refuse a call.

use std::{borrow::Cow, error::Error as StdError, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::{
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use loafer_core::{Error, SharedError};

use super::ServiceError;
use crate::names::Endpoint;

/// A call, as errors name it.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// What was called, such as `receive`: the error says "receive of `queue` failed".
    pub(crate) what: &'static str,
    /// The queue or topic, as it was named.
    pub(crate) queue: &'a str,
    /// The route, which remedies name. `None` for a publisher.
    pub(crate) route: Option<&'a str>,
    /// Where the call goes.
    pub(crate) endpoint: &'a Endpoint,
}

impl<'a> Call<'a> {
    /// A call that belongs to no route.
    pub(crate) fn new(what: &'static str, queue: &'a str, endpoint: &'a Endpoint) -> Self {
        Self {
            what,
            queue,
            route: None,
            endpoint,
        }
    }

    /// The same call on a queue that is not the route's own, such as its dead-letter queue.
    pub(crate) fn on<'b>(&self, queue: &'b str) -> Call<'b>
    where
        'a: 'b,
    {
        Call::new(self.what, queue, self.endpoint)
    }

    /// Shortens an error of the SDK.
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
                // The SDK adds a list over many lines, of which only its heading is left here.
                let cause = deepest(error);
                let cause = cause.trim_end_matches(" Attempted:").trim_end_matches('.');
                self.refused(format!("{NO_CREDENTIALS} ({cause})"), None)
            }
            _ => self.unreachable(&deepest(error)),
        }
    }

    /// Makes an error of what AWS answered.
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
            // Roles renew their credentials by themselves: the same call may succeed a moment later.
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => Error::Unreachable {
                what: self.what,
                queue: self.queue.to_owned(),
                cause: short(
                    " (sign in again, unless a role renews them; check the machine's clock)",
                ),
                source: Some(answer.into()),
            },
            code if server_failed || is_throttling(code) => Error::Unreachable {
                what: self.what,
                queue: self.queue.to_owned(),
                cause: short(match code {
                    "OverLimit" => IN_FLIGHT,
                    _ => "",
                }),
                source: Some(answer.into()),
            },
            _ => {
                let cause = short("");
                self.refused(cause, Some(answer))
            }
        }
    }

    /// Says that the queue does not exist.
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
            location: self.endpoint.to_string(),
            remedy,
        }
    }

    /// Says that nobody answered.
    pub(crate) fn unreachable(&self, cause: &str) -> Error {
        let cause = format!("{} at {}", cause, self.endpoint.url());
        Error::Unreachable {
            what: self.what,
            queue: self.queue.to_owned(),
            cause,
            source: None,
        }
    }

    /// Says that the answer did not come from AWS.
    fn no_aws(&self, status: u16) -> Error {
        let endpoint = self.endpoint.url();
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

    /// Says that the call was refused.
    pub(crate) fn refused(&self, cause: String, answer: Option<ServiceError>) -> Error {
        let source = answer.map(SharedError::from);
        Error::Refused {
            what: self.what,
            queue: self.queue.to_owned(),
            cause,
            source,
        }
    }

    /// Says that the call took too long.
    pub(crate) fn timed_out(&self, after: Duration) -> Error {
        Error::Timeout {
            what: self.what,
            queue: self.queue.to_owned(),
            after,
        }
    }

    /// Says that one entry of an answered call failed.
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
        let source = Some(SharedError::from(answer));
        // AWS calls throttling a fault of the sender, but it passes.
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

    /// Says that a successful answer left an entry out.
    pub(crate) fn unanswered(&self) -> Error {
        self.unreachable("the answer leaves an entry out")
    }

    /// Says that the request could not be built.
    pub(crate) fn unsendable(&self, error: &BuildError) -> Error {
        self.refused(error.to_string(), None)
    }
}

fn is_throttling(code: &str) -> bool {
    code.contains("Throttl") || code.ends_with("OverLimit")
}

/// What `OverLimit` of a receive means (SQS quotas).
const IN_FLIGHT: &str = " (the queue has as many messages in flight as SQS allows, 120,000, of all its consumers together: settle what was received, lower \
     `concurrency` and `prefetch`, and look for consumers that never delete)";

const NO_CREDENTIALS: &str = "no AWS credentials were found, or they can't be loaded: set AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (`aws configure`), or give the machine a role";

/// Returns `FRIEND_CREATED` for `friend-created`, as variables of the environment are named.
fn environment(route: &str) -> String {
    route.to_uppercase().replace(['-', '.'], "_")
}

/// Returns 300 bytes of the first line. AWS explains a wrong signature over many lines, which contain credentials. A value that it quotes, such as a
/// group or a receipt handle, is left out.
fn first_line(message: &str) -> Cow<'_, str> {
    let line = message.lines().next().unwrap_or_default().trim();
    let quoted = [("Value ", " for parameter "), ("receipt handle \"", "\"")];
    for (before, after) in quoted {
        if let Some((head, rest)) = line.split_once(before)
            && let Some((_, tail)) = rest.rsplit_once(after)
        {
            let tail = &tail[..tail.floor_char_boundary(300)];
            return Cow::Owned(format!("{head}{before}…{after}{tail}"));
        }
    }
    Cow::Borrowed(&line[..line.floor_char_boundary(300)])
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
        // The SDK's cache says so of a credentials provider that hangs. The type of that error is not public.
        || deepest(error).starts_with("identity resolver timed out")
}

/// Returns the innermost cause, such as `Connection refused (os error 111)`.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    chain(error)
        .last()
        .map(|error| first_line(&error.to_string()).into_owned())
        .unwrap_or_default()
}
