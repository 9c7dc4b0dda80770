//! What is on its way, and what the broker has said of it.

use std::{collections::VecDeque, mem, ops::Range, sync::Arc};

use lapin::{Confirmation, message::BasicReturnMessage};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

use super::{CONFIRM, Parcel, Sent, Unsent, alone::alone};
use crate::{
    error::{cause, code},
    link::Link,
};

/// Messages of one sender that go out together.
pub(super) struct Part {
    /// What they are sent for.
    pub(super) what: String,
    pub(super) parcels: Arc<[Parcel]>,
    pub(super) range: Range<usize>,
    /// An error: nothing could be sent at all.
    pub(super) answer: oneshot::Sender<Result<Sent, Unsent>>,
    /// Given back once they are answered.
    pub(super) _room: OwnedSemaphorePermit,
}

impl Part {
    /// Answers; nobody may be there to hear it.
    pub(super) fn tell(self, answer: Result<Sent, Unsent>) {
        _ = self.answer.send(answer);
    }
}

/// A part on its way.
pub(super) struct Open {
    pub(super) part: Part,
    /// In the order of its messages; none: nothing is known yet.
    pub(super) answers: Vec<Option<Result<(), Unsent>>>,
    /// Of how many nothing is known.
    left: usize,
    /// Which of them came back.
    returned: Vec<usize>,
    deadline: Instant,
}

/// What was said of one message: of which part, and where in its parcels it stands.
pub(super) struct Confirmed {
    pub(super) number: u64,
    pub(super) at: usize,
    pub(super) confirmed: lapin::Result<Confirmation>,
}

/// All that is on its way on one channel, in the order in which it was handed over.
pub(super) struct Book {
    link: Arc<Link>,
    /// None: answered.
    open: VecDeque<Option<Open>>,
    /// The number of the first of them.
    first: u64,
    /// Parts of which all is known, not yet answered.
    known: Vec<u64>,
    /// What came back, and whose it is was not looked up yet.
    returned: Vec<BasicReturnMessage>,
    /// Messages that are told the end of their channel, and not yet answered.
    closed: usize,
}

impl Book {
    pub(super) fn new(link: &Arc<Link>) -> Self {
        Self {
            link: link.clone(),
            open: VecDeque::new(),
            first: 0,
            known: Vec::new(),
            returned: Vec::new(),
            closed: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Notes down a part; gives its number with each of its places.
    pub(super) fn open(&mut self, part: Part) -> impl Iterator<Item = (u64, usize)> + use<> {
        let (range, count) = (part.range.clone(), part.range.len());
        let number = self.first + self.open.len() as u64;
        self.open.push_back(Some(Open {
            part,
            answers: (0..count).map(|_| None).collect(),
            left: count,
            returned: Vec::new(),
            deadline: Instant::now() + CONFIRM,
        }));
        range.map(move |at| (number, at))
    }

    /// Notes what was said of a message. It is told with [`conclude`](Self::conclude).
    pub(super) fn note(&mut self, said: Confirmed) {
        let Confirmed {
            number,
            at,
            confirmed,
        } = said;
        let answer = read(confirmed, &mut self.returned);
        // Nobody waits for what was confirmed too late.
        let place = number.checked_sub(self.first).map(|place| place as usize);
        let open = place.and_then(|place| self.open.get_mut(place)?.as_mut());
        let Some(open) = open else { return };
        self.closed += usize::from(matches!(answer, Err(Unsent::Closed(..))));
        open.answers[at - open.part.range.start] = Some(answer);
        open.left -= 1;
        if open.left == 0 {
            self.known.push(number);
        }
    }

    /// Whether the channel was closed over one of the messages.
    pub(super) fn lost_its_channel(&self) -> bool {
        self.closed > 0
    }

    /// Answers the parts of which all is known.
    pub(super) fn conclude(&mut self) {
        for returned in mem::take(&mut self.returned) {
            let mut open = self.open.iter_mut().flatten();
            _ = open.find_map(|open| open.take_back(&returned));
        }
        // What closed the channel took its neighbours along: each is sent once more, alone, so that only that one is told.
        let again = mem::take(&mut self.closed) > 1;
        let mut closed = Vec::new();
        for number in mem::take(&mut self.known) {
            let open = self.open[(number - self.first) as usize].take();
            let Some(open) = open else { continue };
            if again && open.closed().next().is_some() {
                closed.push(open);
            } else {
                open.tell();
            }
        }
        self.forget_answered();
        if !closed.is_empty() {
            tokio::spawn(alone(self.link.clone(), closed));
        }
    }

    /// Answers the parts whose time is up.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        for open in &mut self.open {
            if open.as_ref().is_some_and(|open| open.deadline <= now) {
                open.take().into_iter().for_each(Open::tell);
            }
        }
        self.forget_answered();
    }

    /// Gives all of them the whole time again: while the broker takes nothing, none runs.
    pub(super) fn prolong(&mut self) {
        let deadline = Instant::now() + CONFIRM;
        for open in self.open.iter_mut().flatten() {
            open.deadline = deadline;
        }
    }

    fn forget_answered(&mut self) {
        while self.open.front().is_some_and(Option::is_none) {
            self.open.pop_front();
            self.first += 1;
        }
    }
}

impl Open {
    /// Those whose channel was closed, over them or over others: places in its parcels.
    pub(super) fn closed(&self) -> impl Iterator<Item = usize> {
        let closed = |answer: &Option<_>| matches!(answer, Some(Err(Unsent::Closed(..))));
        let answers = self.answers.iter().enumerate();
        answers.filter_map(move |(at, answer)| closed(answer).then_some(self.part.range.start + at))
    }

    /// Sets what is said of one of its messages.
    pub(super) fn set(&mut self, at: usize, answer: Result<(), Unsent>) {
        self.answers[at - self.part.range.start] = Some(answer);
    }

    /// Whether a message that came back is one of these; if so, that is noted.
    fn take_back(&mut self, returned: &BasicReturnMessage) -> Option<()> {
        let mut range = self.part.range.clone();
        let at =
            range.find(|at| self.part.parcels[*at].is(returned) && !self.returned.contains(at))?;
        self.returned.push(at);
        Some(())
    }

    /// Answers.
    pub(super) fn tell(self) {
        let late = || {
            Err(Unsent::Unknown(format!(
                "RabbitMQ did not confirm it within {CONFIRM:?}"
            )))
        };
        let answers = self.answers.into_iter();
        let mut answers: Sent = answers.map(|answer| answer.unwrap_or_else(late)).collect();
        for at in self.returned {
            let answer = &mut answers[at - self.part.range.start];
            if answer.is_ok() {
                *answer = Err(Unsent::Unroutable);
            }
        }
        self.part.tell(Ok(answers));
    }
}

/// What was said of one message; what came back is put aside.
pub(super) fn read(
    confirmed: lapin::Result<Confirmation>,
    returned: &mut Vec<BasicReturnMessage>,
) -> Result<(), Unsent> {
    match confirmed {
        Ok(Confirmation::Ack(message)) => {
            returned.extend(message);
            Ok(())
        }
        Ok(Confirmation::NotRequested) => Ok(()),
        Ok(Confirmation::Nack(message)) => {
            returned.extend(message);
            Err(Unsent::Refused(
                "RabbitMQ would not take it: a queue it was routed to is full, or can't store it now"
                    .to_owned(),
            ))
        }
        // What ends the connection says nothing of the message.
        Err(error) => Err(match code(&error) {
            Some(code) if !error.is_amqp_hard_error() => Unsent::Closed(code, cause(&error)),
            _ => Unsent::Unknown(cause(&error)),
        }),
    }
}
