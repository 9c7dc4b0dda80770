//! One call of a batch handler: its messages, and what is known of them before it is made.

use std::{
    borrow::Cow,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Env, place::panicked, undecodable};
use crate::{
    Batch, BatchItem, Envelope, IntoBatchOutcome, Message, Metadata, TranslateError, Translator,
    Verdict,
};

/// The messages of one call.
///
/// Shared by the call and its place: what did not decode stays known whatever becomes of the call.
#[doc(hidden)]
#[derive(Debug)]
pub struct BatchCall {
    messages: Vec<Message>,
    /// What did not decode, in order.
    undecoded: Mutex<Vec<(usize, Verdict)>>,
}

/// One message of a call, its envelope opened.
#[doc(hidden)]
#[derive(Debug)]
pub struct Opened<'m> {
    /// Where it stands in the call.
    place: usize,
    message: Cow<'m, Message>,
}

impl BatchCall {
    pub(super) fn new(messages: Vec<Message>) -> Self {
        Self {
            messages,
            undecoded: Mutex::default(),
        }
    }

    fn undecoded(&self) -> MutexGuard<'_, Vec<(usize, Verdict)>> {
        self.undecoded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages inside their envelopes, those that could be opened.
    pub fn open<'m, T: Envelope, N>(&'m self, env: &Env<T, N>) -> Vec<Opened<'m>> {
        let mut opened = Vec::with_capacity(self.messages.len());
        for (place, message) in self.messages.iter().enumerate() {
            match guarded(|| env.translator().open(message)) {
                Ok(message) => opened.push(Opened { place, message }),
                Err(verdict) => self.undecoded().push((place, verdict)),
            }
        }
        opened
    }

    /// The batch, of what decodes; none where nothing does: then there is nothing to call the handler with.
    pub fn decode<'m, M, T, N>(&self, env: &Env<T, N>, opened: &'m [Opened<'m>]) -> Option<Batch<M>>
    where
        T: Envelope + Translator<'m, M>,
    {
        let mut items = Vec::with_capacity(opened.len());
        for Opened { place, message } in opened {
            match guarded(|| env.translator().translate(message)) {
                Ok(value) => {
                    items.push(BatchItem::new(value, Metadata::of(message, env.names())));
                }
                Err(verdict) => self.undecoded().push((*place, verdict)),
            }
        }
        (!items.is_empty()).then(|| items.into_iter().collect())
    }

    /// What the handler returned.
    pub fn said<O: IntoBatchOutcome>(&self, said: O) -> Vec<Verdict> {
        let decoded = self.messages.len() - self.undecoded().len();
        said.into_verdicts(decoded)
    }

    /// What is said of every message, where this is said of those that decoded.
    pub(super) fn with_undecoded(&self, said: Vec<Verdict>) -> Vec<Verdict> {
        let mut undecoded = mem::take(&mut *self.undecoded());
        if undecoded.is_empty() {
            return said;
        }
        // Those that did not open were found before those that did not decode.
        undecoded.sort_unstable_by_key(|(place, _)| *place);
        let (mut said, mut undecoded) = (said.into_iter(), undecoded.into_iter().peekable());
        let each = (0..self.messages.len()).map(|place| {
            let failed = undecoded.next_if(|(at, _)| *at == place);
            failed.map(|(_, verdict)| verdict).or_else(|| said.next())
        });
        each.map(|verdict| verdict.unwrap_or(Verdict::NACK))
            .collect()
    }

    /// What is said of every message, where this is said of the call.
    pub(super) fn all(&self, verdict: Verdict) -> Vec<Verdict> {
        let decoded = self.messages.len() - self.undecoded().len();
        self.with_undecoded(verdict.repeated(decoded))
    }
}

/// A translator is the user's code: where it panics, its message fails alone.
fn guarded<T>(translate: impl FnOnce() -> Result<T, TranslateError>) -> Result<T, Verdict> {
    match catch_unwind(AssertUnwindSafe(translate)) {
        Ok(translated) => translated.map_err(undecodable),
        Err(panic) => Err(panicked(&*panic)),
    }
}
