//! Requests that failed for good: their requesters need not wait for a reply.

use std::time::Duration;

use super::{Route, Shared};
use loafer_core::{
    broker::{DeadLetter, Provider, Settle, Settlement},
    message::Message,
};

impl Route {
    /// This message is not tried again. Where its handler replies to requests, its requester is told the kind of the failure.
    #[cold]
    pub(super) fn refuse(&self, message: &Message, kind: &str, reason: Option<&str>) {
        let own = self.handlers.whose(message);
        if let Some(request) = own.request(message) {
            self.bus.refuse(&own.names, request, kind, reason);
        }
    }
}

impl<P: Provider> Shared<P> {
    /// A settlement was confirmed.
    pub(super) fn confirmed<R>(&self, entry: &Settle<R>) {
        let Settlement::DeadLetter(letter) = &entry.settlement else {
            return;
        };
        let DeadLetter { kind, reason, .. } = &**letter;
        // Texts of errors are for whoever runs this service. What a handler rejects with is written to be read, and a payload that does not
        // decode is told by place.
        let told = matches!(&**kind, "rejected" | "undecodable");
        let reason = reason.as_deref().filter(|_| told);
        self.route.refuse(&entry.message, kind, reason);
    }

    /// Another try, unless the broker gives the message up by itself after this one.
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
