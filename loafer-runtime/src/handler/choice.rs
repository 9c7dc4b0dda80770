//! The choice among several handlers of one route.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use super::{
    OnError, PreparedHandler, Verdicts,
    call_slot::{CallSlot, Make, Opener, Slot},
};
use crate::limits::GROUPED;
use loafer_core::{extract::RouteName, message::Message, outcome::Verdict, policy::Selector};

/// The handlers of one route, prepared.
pub(crate) struct Handlers {
    make: Make,
    choice: Arc<Choice>,
    /// The own settings of each handler. The last entry is for messages that no handler takes.
    each: Vec<Own>,
}

/// One handler of a route.
pub(crate) struct Handler {
    pub(crate) ready: PreparedHandler,
    pub(crate) names: Arc<RouteName>,
    pub(crate) timeout: Option<Duration>,
    /// Which messages it takes. `None` means those that no other handler takes.
    pub(crate) on: Option<Selector>,
    /// Whether it replies to requests.
    pub(crate) replies: bool,
}

/// A handler's own settings, beside its call.
pub(crate) struct Own {
    pub(crate) on_error: Option<OnError>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) names: Arc<RouteName>,
    /// Opens envelopes for it. `None` for messages that no handler takes.
    opener: Option<Opener>,
    /// Whether it replies to requests.
    replies: bool,
}

impl Own {
    /// Returns the request that this message is, with its envelope opened. `None` if the handler does not reply to requests.
    pub(crate) fn request(&self, message: &Message) -> Option<Message> {
        self.replies.then(|| self.found_in(message)).flatten()
    }

    /// Returns the message as the handler sees it: with its envelope opened. What can't be opened stays as it is.
    pub(crate) fn seen(&self, message: &Message) -> Message {
        self.found_in(message).unwrap_or_else(|| message.clone())
    }

    fn found_in(&self, message: &Message) -> Option<Message> {
        let mut raw = message.clone();
        match self.opener.as_ref()?.open(&mut raw) {
            Ok(opened) => Some(opened.clone()),
            Err(verdict) => {
                // It holds an error of the user's, whose destructor may panic.
                drop(Verdicts::one(verdict));
                None
            }
        }
    }

    /// Returns the settings for messages that no handler takes: no `on_error` decides about them.
    fn of_nobody(names: &RouteName) -> Self {
        Self {
            on_error: None,
            timeout: None,
            opener: None,
            replies: false,
            names: Arc::new(RouteName::new(
                names.route.clone(),
                names.queue.clone(),
                "none",
                names.broker.clone(),
            )),
        }
    }
}

impl Handlers {
    /// Combines the handlers of a route. There must be at least one.
    pub(crate) fn new(mut handlers: Vec<Handler>) -> Self {
        // The handler with the most specific selector is asked first, and one without a selector last.
        handlers
            .sort_by_key(|handler| std::cmp::Reverse(handler.on.as_ref().map(Selector::weight)));
        let is_chosen = |handler: &Handler| handler.on.is_some() || handler.replies;
        let choice = Arc::new(Choice(handlers.iter().map(Chosen::new).collect()));
        let make = match handlers.iter().any(is_chosen) {
            true => switch(&handlers, &choice),
            false => handlers[0].ready.make.clone(),
        };
        let nobody = Own::of_nobody(&handlers[0].names);
        let each = handlers.into_iter().map(|handler| Own {
            opener: Some(handler.ready.opener),
            replies: handler.replies,
            on_error: handler.ready.on_error,
            timeout: handler.timeout,
            names: handler.names,
        });
        Self {
            make,
            choice,
            each: each.chain([nobody]).collect(),
        }
    }

    /// Makes the call slot of one worker.
    pub(crate) fn slot(&self) -> Slot {
        self.make.slot(&self.own(0).names)
    }

    /// Returns the own settings of the handler with this index.
    pub(crate) fn own(&self, which: usize) -> &Own {
        &self.each[which]
    }

    /// Returns the names of each handler, by its index.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<RouteName>> {
        self.each.iter().map(|own| &own.names)
    }

    /// Returns the own settings of the handler of this name.
    pub(crate) fn named(&self, handler: &str) -> Option<&Own> {
        self.each.iter().find(|own| *own.names.handler == *handler)
    }

    /// Whether a handler's translator may open an envelope.
    pub(crate) fn open_envelopes(&self) -> bool {
        self.choice.0.iter().any(|chosen| chosen.opener.opens())
    }

    /// Opens the envelope of a message for the handler that takes it, so that its group is what that handler sees. What can't be opened, or belongs
    /// to no handler, is in no group.
    pub(crate) fn open_for_group(&self, message: &mut Message) {
        // Errors of translators are the user's, and their destructors may panic.
        let chosen = catch_unwind(AssertUnwindSafe(|| {
            let which = self.choice.choose(message).ok()?;
            let opener = &self.choice.0[which].opener;
            opener.open(message).is_ok().then_some(opener)
        }));
        let seen = match chosen {
            Ok(Some(opener)) => opener.opened(message).cloned(),
            _ => Some(Message::new("")),
        };
        if let Some(seen) = seen {
            message.remember_opened(GROUPED, seen);
        }
    }

    /// Whether one call handles many messages.
    pub(crate) fn take_batches(&self) -> bool {
        matches!(self.make, Make::Batches(_))
    }
}

/// Which messages the handlers of a route take.
struct Choice(Vec<Chosen>);

/// When a handler is chosen.
struct Chosen {
    opener: Opener,
    on: Option<Selector>,
    /// Whether the envelope is opened before the call in any case, because a notice to a requester may need what is inside.
    replies: bool,
}

impl Chosen {
    fn new(handler: &Handler) -> Self {
        Self {
            opener: handler.ready.opener.clone(),
            on: handler.on.clone(),
            replies: handler.replies,
        }
    }
}

impl Choice {
    /// Returns the index of the handler that takes the message. Each handler's own translator opens the envelope for it.
    fn choose(&self, raw: &mut Message) -> Result<usize, Verdict> {
        let (mut fault, mut seen) = (None, None);
        for (which, chosen) in self.0.iter().enumerate() {
            let Some(on) = &chosen.on else {
                if chosen.replies {
                    // If it can't be opened, the handler's own call says so.
                    _ = chosen.opener.open(raw);
                }
                return Ok(which);
            };
            match chosen.opener.open(raw) {
                Ok(message) if on.takes(message) => return Ok(which),
                Ok(message) => seen = Some(message.event_type().map(str::to_owned)),
                Err(verdict) => fault = fault.or(Some(verdict)),
            }
        }
        // An envelope that no handler could open is broken. If at least one could open it, the message belongs to none of these handlers.
        match (fault, seen) {
            (Some(verdict), None) => Err(verdict),
            (_, seen) => Err(Verdict::unmatched(seen.flatten().as_deref())),
        }
    }
}

/// Makes call slots that choose the handler for each message.
fn switch(handlers: &[Handler], choice: &Arc<Choice>) -> Make {
    let mut each = Vec::new();
    for handler in handlers {
        // The plan of a program that has a batch handler among several is an error.
        let Make::CallSlot(make) = &handler.ready.make else {
            return handler.ready.make.clone();
        };
        each.push((make.clone(), handler.names.clone()));
    }
    let choice = choice.clone();
    Make::CallSlot(Arc::new(move |_| {
        let slots = each.iter().map(|(make, names)| make(names));
        Box::new(Switch {
            slots: slots.collect(),
            choice: choice.clone(),
            which: Arc::default(),
        })
    }))
}

/// A call slot for each handler. One of them runs at a time.
struct Switch {
    slots: Vec<Box<dyn CallSlot>>,
    choice: Arc<Choice>,
    /// The index of the one that was started last. It is beyond them if no handler took the message. The watchdog reads it, too.
    which: Arc<AtomicUsize>,
}

impl Switch {
    /// Returns the one that was started last. `None` means that no handler took the message.
    fn started(&mut self) -> Option<&mut Box<dyn CallSlot>> {
        self.slots.get_mut(self.which.load(Ordering::Relaxed))
    }
}

impl CallSlot for Switch {
    fn start(&mut self, message: &mut Message, cx: &mut Context<'_>) -> Poll<Verdict> {
        match self.choice.choose(message) {
            Ok(which) => {
                self.which.store(which, Ordering::Relaxed);
                self.slots[which].start(message, cx)
            }
            Err(verdict) => {
                self.which.store(self.slots.len(), Ordering::Relaxed);
                Poll::Ready(verdict)
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        match self.started() {
            Some(slot) => slot.poll(cx),
            None => Poll::Ready(Verdict::NACK),
        }
    }

    fn cancel(&mut self) -> bool {
        self.started().is_none_or(|slot| slot.cancel())
    }

    fn which(&self) -> Option<&Arc<AtomicUsize>> {
        Some(&self.which)
    }
}
