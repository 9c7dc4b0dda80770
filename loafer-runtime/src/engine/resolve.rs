//! From the verdict on a message to its settlement, through the route's `on_error` if the message failed.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tracing::Span;

use super::Route;
use crate::handler::{Failure, Own, Undecoded, caught};
use loafer_core::{
    broker::{DeadLetter, Settle, Settlement},
    extract::Metadata,
    message::Message,
    outcome::{BoxError, FailureKind, Rare, Said, Verdict},
    policy::{Undecodable, Unmatched},
};

/// What becomes of a message.
pub(super) enum Resolved {
    Settle(Settlement),
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
    /// Resolves a verdict that is not an ack. It runs the user's code: the `Display` and the destructor of an error, reporters, the call of
    /// `on_error`. If that panics, this message fails and no other.
    #[cold]
    pub(super) fn resolve(
        &self,
        message: &Message,
        said: Said,
        span: &Span,
        own: &Own,
    ) -> Resolved {
        let resolved = catch_unwind(AssertUnwindSafe(|| self.judge(message, said, span, own)));
        resolved.unwrap_or_else(|_| {
            let reason = "code that was told of the failure panicked";
            let settlement = self.failure_stands(message, own, FailureKind::Panic, reason);
            Resolved::Settle(self.declined(message, own, reason, settlement))
        })
    }

    fn judge(&self, message: &Message, said: Said, span: &Span, own: &Own) -> Resolved {
        Resolved::Settle(match said {
            Said::Ack => Settlement::Ack,
            Said::Nack => {
                let settlement = self.failure_or_false(message, own, "attempts", || {
                    "the handler returned false on its last attempt".into()
                });
                self.declined(message, own, "the handler returned false", settlement)
            }
            Said::Rare(rare) => match *rare {
                Rare::Failed(kind, error) => return self.fail(message, kind, error, span, own),
                Rare::LeftOut => self.released(message, own),
                Rare::Unmatched(event_type) => self.unmatched(message, event_type.as_deref(), own),
                Rare::Retry(after) => {
                    let reason = format!("the handler asked for a retry after {after:?}");
                    let settlement = self.retry_after(message, own, after);
                    self.declined(message, own, &reason, settlement)
                }
                Rare::Reject(reason) => {
                    let settlement = self.reports.dead_letter(message, own, "rejected", &reason);
                    let reason = format!("the handler rejected it: {reason}");
                    self.declined(message, own, &reason, settlement)
                }
            },
        })
    }

    /// Reports a message that was not acked although nothing failed.
    fn declined(
        &self,
        message: &Message,
        own: &Own,
        reason: &str,
        settlement: Settlement,
    ) -> Settlement {
        let next = self.next(message, &settlement);
        let handler = &own.names.handler;
        self.reports.declined_by(handler, message, reason, &next);
        settlement
    }

    /// Reports a message that failed, and asks the route's `on_error` if it has one.
    fn fail(
        &self,
        message: &Message,
        kind: FailureKind,
        error: BoxError,
        span: &Span,
        own: &Own,
    ) -> Resolved {
        let error = match kind {
            FailureKind::Undecodable => Box::new(Undecoded::new(error, message)),
            _ => error,
        };
        let failure = Failure::new(kind, error, message.clone())
            .with_metadata(Metadata::of(&own.seen(message), &own.names));
        let reason = failure.reason();
        let tell = |next: &str| {
            let failed = || self.reports.failed(&failure, &own.names.handler, next);
            span.in_scope(failed);
        };
        match &own.on_error {
            Some(on_error) => {
                tell("the route's `on_error` decides");
                Resolved::Ask(Box::new(Failed {
                    kind,
                    reason,
                    answer: on_error(failure),
                }))
            }
            None => {
                let settlement = self.failure_stands(message, own, kind, &reason);
                tell(&self.next(message, &settlement));
                Resolved::Settle(settlement)
            }
        }
    }

    /// Resolves a message that stands in its batch behind one of its ordered group that was not handled.
    #[cold]
    pub(super) fn released(&self, message: &Message, own: &Own) -> Settlement {
        let why = "an earlier message of its group in the same batch was not acked";
        let (handler, next) = (&own.names.handler, "run again after that one");
        self.reports.declined_by(handler, message, why, next);
        Settlement::Release
    }

    /// Resolves a message that no handler takes.
    fn unmatched(&self, message: &Message, event_type: Option<&str>, own: &Own) -> Settlement {
        let what = match event_type {
            Some(event_type) => {
                format!("no handler of the route takes the event type `{event_type}`")
            }
            None => "no handler of the route takes it, and it has no event type".to_owned(),
        };
        match self.policy.unmatched {
            Unmatched::Ignore => {
                tracing::debug!(route = %self.policy.route, message_id = %message.id(), "acked unhandled: {what}");
                Settlement::Ack
            }
            Unmatched::Reject => {
                let settlement = self.reports.dead_letter(message, own, "rejected", &what);
                self.declined(message, own, &what, settlement)
            }
            Unmatched::Retry => {
                let remedy =
                    "give it a handler, or set the route's `unmatched` to \"reject\" or \"ignore\"";
                let reason = format!("{what}: {remedy}");
                let settlement = self.failure_or_false(message, own, "attempts", || what.into());
                self.declined(message, own, &reason, settlement)
            }
        }
    }

    /// Returns the settlement of a message that failed.
    fn failure_stands(
        &self,
        message: &Message,
        own: &Own,
        kind: FailureKind,
        reason: &str,
    ) -> Settlement {
        let rejects = self.policy.undecodable == Undecodable::Reject;
        match kind {
            FailureKind::Undecodable if rejects => {
                self.reports
                    .dead_letter(message, own, kind.as_str(), reason)
            }
            // The kinds of dead letters are the same for every service, so a refusal by an extractor is an error.
            FailureKind::Extractor => {
                self.failure_or_false(message, own, FailureKind::Error.as_str(), || reason.into())
            }
            kind => self.failure_or_false(message, own, kind.as_str(), || reason.into()),
        }
    }

    /// Returns a retry after the route's backoff or, on the last attempt, a dead letter with this reason.
    fn failure_or_false<'r>(
        &self,
        message: &Message,
        own: &Own,
        kind: &str,
        reason: impl FnOnce() -> Cow<'r, str>,
    ) -> Settlement {
        if self.used_up(message) {
            return self.reports.dead_letter(message, own, kind, &reason());
        }
        self.retry(message, own, kind, self.backoff(message.attempt()))
    }

    /// Returns a retry after this delay or, on the last attempt, a dead letter.
    fn retry_after(&self, message: &Message, own: &Own, after: Duration) -> Settlement {
        if self.used_up(message) {
            let reason = "the handler asked for a retry on its last attempt";
            return self.reports.dead_letter(message, own, "attempts", reason);
        }
        self.retry(message, own, "attempts", Some(self.within_limits(after)))
    }

    /// Returns a retry. If the broker gives the message up by itself after this attempt, the requester gets a notice.
    fn retry(
        &self,
        message: &Message,
        own: &Own,
        kind: &str,
        after: Option<Duration>,
    ) -> Settlement {
        if self.capabilities.gives_up_after(message.attempt()) {
            self.refuse(message, own, kind, None);
        }
        Settlement::Retry { after }
    }

    /// Whether this was the message's last attempt.
    fn used_up(&self, message: &Message) -> bool {
        // In an ordered group the broker would give up those behind it as well.
        let brokers = self.capabilities.max_receives;
        let brokers = brokers.filter(|_| self.capabilities.ordered);
        let most = self.policy.max_attempts.into_iter().chain(brokers).min();
        most.is_some_and(|most| message.attempt() >= most)
    }

    /// Returns the delay of a retry after this attempt. `None` means the end of the lease.
    pub(super) fn backoff(&self, attempt: u32) -> Option<Duration> {
        match &self.policy.backoff {
            Some(backoff) => Some(self.within_limits(backoff.delay(attempt))),
            // A group waits in place for as long as it would take its lease to end.
            None => self
                .capabilities
                .lease
                .filter(|_| self.capabilities.ordered),
        }
    }

    /// Returns the delay, or the longest that the broker allows.
    fn within_limits(&self, delay: Duration) -> Duration {
        match self.capabilities.max_delay {
            Some(longest) if delay > longest => {
                self.too_long_told.call_once(|| {
                    let (route, queue) = (&self.policy.route, &self.policy.queue);
                    tracing::warn!(%route, %queue, asked = ?delay, ?longest, "a retry was asked for after a longer delay than this queue can have: its messages are retried after the longest; ask for less, or set a lower `max` of the route's `backoff`");
                });
                longest
            }
            _ => delay,
        }
    }

    /// Called when a message is not tried again. If its handler replies to requests, its requester gets a notice with the kind of the
    /// failure.
    fn refuse(&self, message: &Message, own: &Own, kind: &str, reason: Option<&str>) {
        if let Some(request) = own.request(message) {
            self.bus.refuse(&own.names, request, kind, reason);
        }
    }

    /// Called when the broker has confirmed a settlement.
    pub(super) fn confirmed<R>(&self, entry: &Settle<R>) {
        let Settlement::DeadLetter(dead_letter) = &entry.settlement else {
            return;
        };
        let DeadLetter { kind, reason, .. } = &**dead_letter;
        // Texts of errors are for the people who run this service. But the reason of a rejection is written to be read, and that of an
        // undecodable payload names the field, not the value.
        let is_public = matches!(&**kind, "rejected" | "undecodable");
        let reason = reason.as_deref().filter(|_| is_public);
        if let Some(own) = self.handlers.named(&dead_letter.handler) {
            self.refuse(&entry.message, own, kind, reason);
        }
    }

    /// Returns the verdict on a handler that exceeded its `timeout`.
    pub(super) fn too_late(timeout: Option<Duration>) -> Verdict {
        let after = humantime::format_duration(timeout.unwrap_or_default());
        let error = format!("the handler took longer than the route's `timeout` of {after}");
        Verdict::failed(FailureKind::Timeout, error)
    }
}

/// How the wait for `on_error` ended.
pub(super) enum Answer {
    Said(Verdict),
    /// It took longer than the `timeout`.
    TooLate,
    /// The message's lease was lost, or the route is cancelled.
    Cancelled,
}

impl Failed {
    /// Waits for the answer of `on_error`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        caught(|| self.answer.as_mut().poll(cx))
    }

    /// Resolves the message by the answer of `on_error`. `None` means that nothing is sent. If `on_error` returned `false`, failed itself or
    /// gave no answer, the failure stands.
    pub(super) fn resolve(
        self,
        answer: Answer,
        message: &Message,
        own: &Own,
        route: &Route,
    ) -> Option<Settlement> {
        let Self {
            kind,
            reason,
            answer: future,
        } = self;
        // Destructors are the user's code.
        _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
        let verdict = match answer {
            Answer::Said(verdict) => verdict,
            Answer::TooLate => {
                let why =
                    "the route's `on_error` took longer than its `timeout`: the failure stands";
                route.reports.declined(message, why);
                Verdict::NACK
            }
            Answer::Cancelled => return None,
        };
        let answered = AssertUnwindSafe(|| route.answered(verdict, kind, message, own));
        let settlement = catch_unwind(answered).unwrap_or_default();
        Some(settlement.unwrap_or_else(|| route.failure_stands(message, own, kind, &reason)))
    }
}

impl Route {
    /// Returns the settlement that `on_error` asked for. `None` means that the failure stands.
    fn answered(
        &self,
        verdict: Verdict,
        kind: FailureKind,
        message: &Message,
        own: &Own,
    ) -> Option<Settlement> {
        match verdict.0 {
            Said::Ack => {
                self.refuse(message, own, kind.as_str(), None);
                Some(Settlement::Ack)
            }
            Said::Nack => None,
            Said::Rare(rare) => match *rare {
                Rare::Retry(after) => Some(self.retry_after(message, own, after)),
                Rare::Reject(reason) => {
                    Some(self.reports.dead_letter(message, own, "rejected", &reason))
                }
                Rare::Failed(_, error) => {
                    // A failure knows its reason also where the error's `Display` panics.
                    let failure = Failure::new(kind, error, message.clone());
                    let reason = failure.reason();
                    self.reports.declined(
                        message,
                        &format!(
                            "the route's `on_error` failed too, so the failure stands: {reason}"
                        ),
                    );
                    None
                }
                // No handler gives these verdicts.
                Rare::Unmatched(_) | Rare::LeftOut => None,
            },
        }
    }
}
