//! From the verdict on a message to its disposition, through the route's `on_error` if the message failed.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use tracing::Span;

use super::{Disposition, RareDisposition, Route};
use crate::handler::{Failure, Own, Undecoded, caught};
use futures_util::future::BoxFuture;
use loafer_core::{
    extract::Metadata,
    message::Message,
    outcome::{BoxError, FailureKind, Verdict},
    outcome::{Rare, Said},
    policy::Unmatched,
};

/// The result of judging a message.
pub(super) enum Judged {
    Settle(Disposition),
    /// It failed, and the route's `on_error` has to decide.
    Ask(Box<Failed>),
}

/// A failure that the route's `on_error` decides about.
pub(super) struct Failed {
    kind: FailureKind,
    reason: String,
    answer: BoxFuture<'static, Verdict>,
}

impl Route {
    /// Judges a message by a verdict that is not an ack.
    #[cold]
    pub(super) fn judge_unacked(
        &self,
        message: &Message,
        said: Said,
        span: &Span,
        own: &Own,
    ) -> Judged {
        Judged::Settle(match said {
            Said::Ack => Disposition::Ack,
            Said::Nack => {
                self.declined(message, "the handler returned false");
                Disposition::Nack
            }
            Said::Rare(rare) => match *rare {
                Rare::Failed(kind, error) => return self.fail(message, kind, error, span, own),
                Rare::Unmatched(event_type) => self.unmatched(message, event_type.as_deref()),
                Rare::Retry(after) => {
                    self.declined(
                        message,
                        &format!("the handler asked for a retry after {after:?}"),
                    );
                    Disposition::Rare(Box::new(RareDisposition::Retry(after)))
                }
                Rare::Reject(reason) => {
                    self.declined(message, &format!("the handler rejected it: {reason}"));
                    Disposition::Rare(Box::new(RareDisposition::Reject(reason.into_owned())))
                }
            },
        })
    }

    /// Judges a message that failed, and reports it.
    #[cold]
    pub(super) fn fail(
        &self,
        message: &Message,
        kind: FailureKind,
        error: BoxError,
        span: &Span,
        own: &Own,
    ) -> Judged {
        let error = match kind {
            FailureKind::Undecodable => Box::new(Undecoded::new(error, message)),
            _ => error,
        };
        let failure = Failure::new(kind, error, message.clone())
            .with_metadata(Metadata::of(message, &own.names));
        let reason = failure.reason();
        span.in_scope(|| self.failed(&failure));
        match &own.on_error {
            Some(on_error) => Judged::Ask(Box::new(Failed {
                kind,
                reason,
                answer: on_error(failure),
            })),
            None => Judged::Settle(Disposition::failed(kind, reason)),
        }
    }

    /// Judges a message that no handler takes.
    fn unmatched(&self, message: &Message, event_type: Option<&str>) -> Disposition {
        let what = match event_type {
            Some(event_type) => {
                format!("no handler of the route takes the event type `{event_type}`")
            }
            None => "no handler of the route takes it, and it has no event type".to_owned(),
        };
        match self.policy.unmatched {
            Unmatched::Ignore => {
                tracing::debug!(route = %self.policy.route, message_id = %message.id(), "acked unhandled: {what}");
                Disposition::Ack
            }
            Unmatched::Reject => {
                self.declined(message, &what);
                Disposition::Rare(Box::new(RareDisposition::Reject(what)))
            }
            Unmatched::Retry => {
                let remedy =
                    "give it a handler, or set the route's `unmatched` to \"reject\" or \"ignore\"";
                self.declined(message, &format!("{what}: {remedy}"));
                Disposition::Nack
            }
        }
    }

    /// Returns the error of a handler that exceeded its `timeout`.
    pub(super) fn too_late(timeout: Option<Duration>) -> BoxError {
        let after = humantime::format_duration(timeout.unwrap_or_default());
        format!("the handler took longer than the route's `timeout` of {after}").into()
    }
}

impl Failed {
    /// Waits for the answer of `on_error`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        caught(|| self.answer.as_mut().poll(cx))
    }

    /// Judges the message by the answer of `on_error`. If `on_error` returned `false` or failed itself, the failure stands.
    pub(super) fn answered(
        self,
        verdict: Verdict,
        message: &Message,
        route: &Route,
    ) -> Disposition {
        match Disposition::from(verdict) {
            Disposition::Nack => Disposition::failed(self.kind, self.reason),
            Disposition::Rare(rare) => match *rare {
                RareDisposition::Failed(_, reason) => {
                    route.declined(
                        message,
                        &format!("the route's `on_error` failed too: {reason}"),
                    );
                    Disposition::failed(self.kind, self.reason)
                }
                rare => Disposition::Rare(Box::new(rare)),
            },
            Disposition::Ack => {
                route.refuse(message, self.kind.as_str(), None);
                Disposition::Ack
            }
            other => other,
        }
    }

    /// Judges the message whose `on_error` exceeded the `timeout`: the failure stands.
    pub(super) fn unanswered(self, message: &Message, route: &Route) -> Disposition {
        route.declined(
            message,
            "the route's `on_error` took longer than its `timeout`",
        );
        Disposition::failed(self.kind, self.reason)
    }
}
