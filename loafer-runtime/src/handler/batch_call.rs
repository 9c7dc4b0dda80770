//! One call of a batch handler: its messages, and which of them did not decode.

use std::{
    borrow::Cow,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Env, call_slot::panicked, explained, undecodable};
use loafer_core::extract::{Batch, BatchItem, IntoBatchOutcome};
use loafer_core::{
    extract::Metadata,
    extract::RouteName,
    message::Message,
    outcome::Verdict,
    translate::{Envelope, TranslateError, Translator},
};

/// The messages of one call.
///
/// The call and its call slot share this value, so what did not decode stays known whatever becomes of the call.
#[doc(hidden)]
#[derive(Debug)]
pub struct BatchCall {
    messages: Vec<Message>,
    /// Whether the messages of a group run in order.
    ordered: bool,
    /// The messages that did not decode, by their indexes, in the order in which they were found.
    undecoded: Mutex<Vec<(usize, Verdict)>>,
}

/// One message of a call, with its envelope opened.
#[doc(hidden)]
#[derive(Debug)]
pub struct Opened<'m> {
    /// The message's index in the call.
    index: usize,
    message: Cow<'m, Message>,
}

impl<T: Envelope, N> Env<T, N> {
    /// Returns the messages of a call with their envelopes opened. Messages whose envelope can't be opened fail, and are left out.
    pub fn open_all<'m>(&'m self, batch: &'m BatchCall) -> Vec<Opened<'m>> {
        let mut opened = Vec::with_capacity(batch.messages.len());
        for (index, message) in batch.messages.iter().enumerate() {
            batch.guarded(index, &mut || {
                let message = self.open(message)?;
                opened.push(Opened { index, message });
                Ok(())
            });
        }
        opened
    }
}

impl BatchCall {
    pub(super) fn new(messages: Vec<Message>, ordered: bool) -> Self {
        Self {
            messages,
            ordered,
            undecoded: Mutex::default(),
        }
    }

    fn undecoded(&self) -> MutexGuard<'_, Vec<(usize, Verdict)>> {
        self.undecoded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the batch of the messages that decode. `None` if no message decodes: the handler is not called then.
    pub(crate) fn decode<'m, M, T>(
        &self,
        translator: &T,
        names: &Arc<RouteName>,
        opened: &'m [Opened<'m>],
    ) -> Option<Batch<M>>
    where
        T: Translator<'m, M>,
    {
        let mut batch = Batch::with_capacity(opened.len());
        self.decode_each(opened, &mut |message| {
            let value = translator.translate(message)?;
            batch.push(BatchItem::new(value, Metadata::of(message, names)));
            Ok(())
        });
        if batch.is_empty() { None } else { Some(batch) }
    }

    /// Decodes each message. This part is compiled once, whatever the type of the messages.
    fn decode_each<'m>(
        &self,
        opened: &'m [Opened<'m>],
        decode: &mut dyn FnMut(&'m Message) -> Result<(), TranslateError>,
    ) {
        for Opened { index, message } in opened {
            self.guarded(*index, &mut || {
                decode(message).map_err(|error| undecodable(explained(error, message)))
            });
        }
    }

    /// Opens or decodes one message. A translator is the user's code: if it panics, only this message fails. A message that would run before an
    /// earlier one of its group is left out.
    fn guarded(&self, index: usize, translate: &mut dyn FnMut() -> Result<(), Verdict>) {
        if self.ordered && self.is_behind(index) {
            return self.undecoded().push((index, Verdict::left_out()));
        }
        let verdict = match catch_unwind(AssertUnwindSafe(translate)) {
            Ok(Ok(())) => return,
            Ok(Err(verdict)) => verdict,
            Err(panic) => panicked(panic),
        };
        self.undecoded().push((index, verdict));
    }

    /// Whether a message stands behind one of its group that does not decode.
    fn is_behind(&self, index: usize) -> bool {
        let group = self.messages[index].group();
        let undecoded = self.undecoded();
        let mut before = undecoded.iter().filter(|(failed, _)| *failed < index);
        group.is_some() && before.any(|(failed, _)| self.messages[*failed].group() == group)
    }

    /// Returns the verdicts that a handler's result gives, one for each message that decoded.
    pub fn said<O: IntoBatchOutcome>(&self, said: O) -> Vec<Verdict> {
        let decoded = self.messages.len() - self.undecoded().len();
        said.into_verdicts(decoded)
    }

    /// Adds the verdicts on the messages that did not decode to those on the messages that did. Returns one verdict for each message, in
    /// order.
    pub(super) fn with_undecoded(&self, said: Vec<Verdict>) -> Vec<Verdict> {
        let mut undecoded = mem::take(&mut *self.undecoded());
        if undecoded.is_empty() {
            return said;
        }
        // Envelopes that did not open were found before messages that did not decode.
        undecoded.sort_unstable_by_key(|(index, _)| *index);
        let (mut said, mut undecoded) = (said.into_iter(), undecoded.into_iter().peekable());
        let each = (0..self.messages.len()).map(|index| {
            let failed = undecoded.next_if(|(at, _)| *at == index);
            failed.map(|(_, verdict)| verdict).or_else(|| said.next())
        });
        each.map(|verdict| verdict.unwrap_or(Verdict::NACK))
            .collect()
    }

    /// Returns one verdict for each message, in order: this verdict for those that decoded.
    pub(super) fn all(&self, verdict: Verdict) -> Vec<Verdict> {
        let decoded = self.messages.len() - self.undecoded().len();
        self.with_undecoded(verdict.repeated(decoded))
    }
}
