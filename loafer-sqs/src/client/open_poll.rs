//! A receive in flight. If nobody waits for it any more, it is still answered, and what it brings is released. Only SQS has polls that a
//! server goes on with after they were cut off.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use aws_sdk_sqs::{
    error::SdkError,
    operation::receive_message::{ReceiveMessageError, ReceiveMessageOutput},
    types::Message,
};
use tokio::{runtime::Handle, time::timeout};

use super::{
    Clients,
    api::{GRACE, POLL},
};
use crate::error::Call;

type Answer = Result<ReceiveMessageOutput, SdkError<ReceiveMessageError>>;

/// A receive in flight.
///
/// If it is dropped, a task of its own waits for the answer, as long as the runtime lives: a server gives messages also to a client that has
/// closed its connection, and they would stay leased until their leases end.
pub(super) struct OpenPoll<'c, F: Future<Output = Answer> + Send + 'static> {
    /// `None` once it is answered or given up.
    answer: Option<Pin<Box<F>>>,
    clients: &'c Clients,
    url: &'c str,
    call: Call<'c>,
}

impl<'c, F: Future<Output = Answer> + Send + 'static> OpenPoll<'c, F> {
    pub(super) fn new(answer: F, clients: &'c Clients, url: &'c str, call: Call<'c>) -> Self {
        Self {
            answer: Some(Box::pin(answer)),
            clients,
            url,
            call,
        }
    }

    /// Gives it up: no answer will come any more.
    pub(super) fn give_up(mut self) {
        self.answer = None;
    }
}

impl<F: Future<Output = Answer> + Send + 'static> Future for OpenPoll<'_, F> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let Some(answer) = &mut self.answer else {
            return Poll::Pending;
        };
        let answer = answer.as_mut().poll(cx);
        if answer.is_ready() {
            self.answer = None;
        }
        answer
    }
}

impl<F: Future<Output = Answer> + Send + 'static> Drop for OpenPoll<'_, F> {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        // What belongs to no route is looked at by hand, or is a queue of replies that goes with us.
        let (Some(route), Ok(runtime)) = (self.call.route, Handle::try_current()) else {
            return;
        };
        let (clients, url) = (self.clients.clone(), self.url.to_owned());
        let (route, queue) = (route.to_owned(), self.call.queue.to_owned());
        runtime.spawn(async move {
            if let Ok(Ok(answer)) = timeout(POLL + GRACE, answer).await {
                let call = Call {
                    what: "release",
                    queue: &queue,
                    route: Some(&route),
                    endpoint: &clients.endpoint,
                };
                release(&clients, &url, answer.messages.unwrap_or_default(), call).await;
            }
        });
    }
}

/// Releases what came to a poll that was cut off.
async fn release(clients: &Clients, url: &str, messages: Vec<Message>, call: Call<'_>) {
    let handles = messages.iter().filter_map(Message::receipt_handle);
    let changes: Vec<_> = handles.map(|handle| (handle, 0)).enumerate().collect();
    if changes.is_empty() {
        return;
    }
    let faults = clients.change(url, &changes, call).await;
    let (route, queue) = (call.route, call.queue);
    tracing::info!(
        route,
        queue,
        messages = changes.len(),
        failed = faults.len(),
        "released what came to a receive that was cut off: what failed is redelivered when its lease ends"
    );
}
