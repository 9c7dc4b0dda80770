//! From what was said of a message to its fate, by way of the route's `on_error` where it failed.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use tracing::Span;

use super::{Fate, RareFate, Route};
use crate::handler::{Failure, Own, Undecoded, caught};
use futures_util::future::BoxFuture;
use loafer_core::{
    extract::Metadata,
    message::Message,
    outcome::{BoxError, FailureKind, Verdict},
    outcome::{Rare, Said},
    policy::Unmatched,
};

/// What became of a call.
pub(super) enum Judged {
    Settle(Fate),
    /// It failed, and the route has an `on_error`.
    Ask(Box<Failed>),
}

/// A failure on its way through `on_error`.
pub(super) struct Failed {
    kind: FailureKind,
    reason: String,
    answer: BoxFuture<'static, Verdict>,
}

impl Route {
    /// What is to become of a message of which this was said, and which is not acked by it.
    #[cold]
    pub(super) fn judge_unacked(
        &self,
        message: &Message,
        said: Said,
        span: &Span,
        own: &Own,
    ) -> Judged {
        Judged::Settle(match said {
            Said::Ack => Fate::Ack,
            Said::Nack => {
                self.declined(message, "the handler returned false");
                Fate::Nack
            }
            Said::Rare(rare) => match *rare {
                Rare::Failed(kind, error) => return self.fail(message, kind, error, span, own),
                Rare::Unmatched(event_type) => self.unmatched(message, event_type.as_deref()),
                Rare::Retry(after) => {
                    self.declined(
                        message,
                        &format!("the handler asked for a retry after {after:?}"),
                    );
                    Fate::Rare(Box::new(RareFate::Retry(after)))
                }
                Rare::Reject(reason) => {
                    self.declined(message, &format!("the handler rejected it: {reason}"));
                    Fate::Rare(Box::new(RareFate::Reject(reason.into_owned())))
                }
            },
        })
    }

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
            None => Judged::Settle(Fate::failed(kind, reason)),
        }
    }

    /// No handler takes it.
    fn unmatched(&self, message: &Message, event_type: Option<&str>) -> Fate {
        let what = match event_type {
            Some(event_type) => {
                format!("no handler of the route takes the event type `{event_type}`")
            }
            None => "no handler of the route takes it, and it has no event type".to_owned(),
        };
        match self.policy.unmatched {
            Unmatched::Ignore => {
                tracing::debug!(route = %self.policy.route, message_id = %message.id(), "acked unhandled: {what}");
                Fate::Ack
            }
            Unmatched::Reject => {
                self.declined(message, &what);
                Fate::Rare(Box::new(RareFate::Reject(what)))
            }
            Unmatched::Retry => {
                let remedy =
                    "give it a handler, or set the route's `unmatched` to \"reject\" or \"ignore\"";
                self.declined(message, &format!("{what}: {remedy}"));
                Fate::Nack
            }
        }
    }

    /// What is said where a handler took too long.
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

    /// `on_error` has the last word; where it fails itself, the failure stands.
    pub(super) fn answered(self, verdict: Verdict, message: &Message, route: &Route) -> Fate {
        match Fate::from(verdict) {
            Fate::Nack => Fate::failed(self.kind, self.reason),
            Fate::Rare(rare) => match *rare {
                RareFate::Failed(_, reason) => {
                    route.declined(
                        message,
                        &format!("the route's `on_error` failed too: {reason}"),
                    );
                    Fate::failed(self.kind, self.reason)
                }
                rare => Fate::Rare(Box::new(rare)),
            },
            Fate::Ack => {
                route.refuse(message, self.kind.as_str(), None);
                Fate::Ack
            }
            other => other,
        }
    }

    /// `on_error` took longer than a handler may.
    pub(super) fn unanswered(self, message: &Message, route: &Route) -> Fate {
        route.declined(
            message,
            "the route's `on_error` took longer than its `timeout`",
        );
        Fate::failed(self.kind, self.reason)
    }
}
