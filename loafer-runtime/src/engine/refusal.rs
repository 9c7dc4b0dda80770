//! Notices to requesters that their requests failed for good.

use std::time::Duration;

use super::{Route, Shared};
use loafer_core::{
    broker::{DeadLetter, Provider, Settle, Settlement},
    message::Message,
};

impl Route {
    /// Called when a message is not tried again. If its handler replies to requests, its requester gets a notice with the kind of the
    /// failure.
    #[cold]
    pub(super) fn refuse(&self, message: &Message, kind: &str, reason: Option<&str>) {
        let own = self.handlers.whose(message);
        if let Some(request) = own.request(message) {
            self.bus.refuse(&own.names, request, kind, reason);
        }
    }
}

impl<P: Provider> Shared<P> {
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
        self.route.refuse(&entry.message, kind, reason);
    }

    /// Returns a retry. If the broker gives the message up by itself after this attempt, the requester gets a notice.
    pub(super) fn retry(
        &self,
        message: &Message,
        kind: &str,
        after: Option<Duration>,
    ) -> Settlement {
        if self.capabilities.gives_up_after(message.attempt()) {
            self.route.refuse(message, kind, None);
        }
        Settlement::Retry { after }
    }
}
