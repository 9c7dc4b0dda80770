//! Publish rounds: which messages of a batch are sent next, and what became of each.

use std::{collections::HashMap, fmt, time::Duration};

use crate::{Error, message::MessageId};

/// The pauses between the tries of one message.
///
/// A pause doubles from try to try. Up to as much again is added at random, so that publishers which failed together do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    first: Duration,
    longest: Duration,
    tries: Option<u32>,
}

impl Pauses {
    /// Creates pauses that begin with this one, double up to 5 s, and never end.
    #[must_use]
    pub const fn new(first: Duration) -> Self {
        Self {
            first,
            longest: Duration::from_secs(5),
            tries: None,
        }
    }

    /// Sets the longest pause, before the random part is added.
    #[must_use]
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Sets how often a message is tried again. After that [`Rounds::again`] is a failure.
    #[must_use]
    pub const fn tries(mut self, tries: u32) -> Self {
        self.tries = Some(tries);
        self
    }

    /// Returns the pauses one after another. They end after so many [`tries`](Self::tries), if there is a limit.
    pub fn iter(self) -> impl Iterator<Item = Duration> {
        (1..).map_while(move |failed| self.after(failed))
    }

    /// Returns the pause after so many tries failed. `None` means that there is no further try.
    fn after(&self, failed: u32) -> Option<Duration> {
        if self.tries.is_some_and(|most| failed > most) {
            return None;
        }
        let doubled = 1_u32.checked_shl(failed.saturating_sub(1));
        let pause = doubled.and_then(|times| self.first.checked_mul(times));
        let pause = pause.map_or(self.longest, |pause| pause.min(self.longest));
        Some(pause + pause.mul_f64(fastrand::f64()))
    }
}

/// One batch on its way to one topic: rounds of publishing until each message has an answer.
///
/// A publisher asks for the [next round](Self::next_round), publishes the messages it names in as many calls as it likes, and answers for each:
/// [`done`](Self::done), [`again`](Self::again) or [`failed`](Self::failed). Then it sleeps for the [pause](Self::pause), if there is one. The first
/// answer to a message counts. A message without an answer at the end of its round has failed: it may or may not have been published.
///
/// With [groups](Self::in_groups) a round has one message of each group, and after one that failed for good, no later one of its group is published.
/// That is the contract of [`Publisher::publish`](crate::broker::Publisher::publish) on a broker that accepts or refuses each message of a call by
/// itself (SQS API, `SendMessageBatch`: "The result of sending each message is reported individually in the response").
///
/// It makes no calls and does not sleep, so that it serves any client.
///
/// ```
/// use std::time::Duration;
/// use loafer::{Error, broker::{Pauses, Rounds}, message::MessageId};
///
/// const PAUSES: Pauses = Pauses::new(Duration::from_millis(100)).tries(4);
///
/// /// Returns an answer for each message.
/// fn call(messages: &[usize]) -> Vec<Result<MessageId, Error>> {
///     messages.iter().map(|_| Ok(MessageId::new())).collect()
/// }
///
/// let mut rounds = Rounds::new("publish", "orders", 3, PAUSES);
/// while let Some(round) = rounds.next_round() {
///     for (index, answer) in round.iter().zip(call(&round)) {
///         match answer {
///             Ok(id) => rounds.done(*index, id),
///             Err(error) if error.is_transient() => rounds.again(*index, error),
///             Err(error) => rounds.failed(*index, error),
///         }
///     }
///     if let Some(pause) = rounds.pause() {
///         std::thread::sleep(pause);
///     }
/// }
/// assert!(rounds.into_answers().iter().all(Result::is_ok));
/// ```
pub struct Rounds<'t, T = MessageId> {
    what: &'static str,
    topic: &'t str,
    pauses: Pauses,
    messages: Vec<State<T>>,
    /// The number of each message's group. `None` for a message means that it has no group; empty means that the broker keeps none.
    groups: Vec<Option<usize>>,
    /// How many groups there are.
    group_count: usize,
    /// The longest pause that a message of this round asked for.
    pause: Option<Duration>,
}

/// Where one message is.
enum State<T> {
    /// It waits for a round, after so many tries.
    Waiting(u32),
    /// It is in the round, after so many tries. Only between two calls of `next_round`.
    Asked(u32),
    /// It is in no further round.
    Answered(Result<T, Error>),
}

impl<'t, T> Rounds<'t, T> {
    /// Creates the rounds of a batch of so many messages. `what` and `topic` are for errors: "publish of `orders` failed".
    #[must_use]
    pub fn new(what: &'static str, topic: &'t str, messages: usize, pauses: Pauses) -> Self {
        Self {
            what,
            topic,
            pauses,
            messages: (0..messages).map(|_| State::Waiting(0)).collect(),
            groups: Vec::new(),
            group_count: 0,
            pause: None,
        }
    }

    /// Keeps the messages of each group in order. Takes the group of each message of the batch; `None` means that a message has no group.
    #[must_use]
    pub fn in_groups<'g>(mut self, groups: impl IntoIterator<Item = Option<&'g str>>) -> Self {
        let mut numbers = HashMap::new();
        let mut number = |group| {
            let next = numbers.len();
            *numbers.entry(group).or_insert(next)
        };
        self.groups = groups
            .into_iter()
            .map(|group| group.map(&mut number))
            .collect();
        self.group_count = numbers.len();
        self
    }

    /// Returns the indexes of the messages to publish now, in order. `None` means that each message has its answer.
    #[must_use]
    pub fn next_round(&mut self) -> Option<Vec<usize>> {
        for index in 0..self.messages.len() {
            if matches!(self.messages[index], State::Asked(_)) {
                self.failed(index, self.unanswered());
            }
        }
        let mut taken = vec![false; self.group_count];
        let mut round = Vec::new();
        for (index, message) in self.messages.iter_mut().enumerate() {
            let State::Waiting(tries) = *message else {
                continue;
            };
            let group = self.groups.get(index).copied().flatten();
            if group.is_some_and(|group| std::mem::replace(&mut taken[group], true)) {
                continue;
            }
            *message = State::Asked(tries);
            round.push(index);
        }
        (!round.is_empty()).then_some(round)
    }

    /// Says that a message was published and confirmed.
    ///
    /// # Panics
    ///
    /// If the batch has no message of this index. So do [`again`](Self::again) and [`failed`](Self::failed).
    pub fn done(&mut self, index: usize, answer: T) {
        if !matches!(self.messages[index], State::Answered(_)) {
            self.messages[index] = State::Answered(Ok(answer));
        }
    }

    /// Says that a message is to be published again, after a pause: the broker was out of reach or overloaded.
    ///
    /// It fails with this error if it was tried as often as the [`Pauses`] allow.
    pub fn again(&mut self, index: usize, error: Error) {
        let State::Asked(tries) = self.messages[index] else {
            return;
        };
        match self.pauses.after(tries + 1) {
            Some(pause) => {
                self.pause = self.pause.max(Some(pause));
                self.messages[index] = State::Waiting(tries + 1);
            }
            None => self.failed(index, error),
        }
    }

    /// Says that a message is not published, for good. Later messages of its group fail with it.
    ///
    /// A message that can't be sent at all may fail before the first round.
    pub fn failed(&mut self, index: usize, error: Error) {
        if matches!(self.messages[index], State::Answered(_)) {
            return;
        }
        self.messages[index] = State::Answered(Err(error));
        let Some(group) = self.groups.get(index).copied().flatten() else {
            return;
        };
        for later in index + 1..self.messages.len() {
            if self.groups.get(later).copied().flatten() == Some(group)
                && !matches!(self.messages[later], State::Answered(_))
            {
                let cause = "not sent, since one before it in its group was not";
                self.messages[later] = State::Answered(Err(self.unreachable(cause)));
            }
        }
    }

    /// Returns how long to sleep before the next round, once. `None` means not at all: nothing of this round is tried again.
    #[must_use]
    pub fn pause(&mut self) -> Option<Duration> {
        self.pause.take()
    }

    /// Returns the answers, one a message, in order.
    #[must_use]
    pub fn into_answers(mut self) -> Vec<Result<T, Error>> {
        let messages = std::mem::take(&mut self.messages);
        let answers = messages.into_iter().map(|message| match message {
            State::Answered(answer) => answer,
            State::Waiting(_) | State::Asked(_) => Err(self.unanswered()),
        });
        answers.collect()
    }

    fn unanswered(&self) -> Error {
        self.unreachable("no answer: it may or may not have been published")
    }

    fn unreachable(&self, cause: &str) -> Error {
        Error::Unreachable {
            what: self.what,
            queue: self.topic.to_owned(),
            cause: cause.to_owned(),
            source: None,
        }
    }
}

impl<T> fmt::Debug for Rounds<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = |state: &&State<T>| matches!(state, State::Answered(_));
        f.debug_struct("Rounds")
            .field("topic", &self.topic)
            .field("messages", &self.messages.len())
            .field("answered", &self.messages.iter().filter(answered).count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
