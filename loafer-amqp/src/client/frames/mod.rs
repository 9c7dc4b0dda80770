//! Frames that RabbitMQ sends, made readable for the client. Only AMQP needs it.
//!
//! RabbitMQ passes on the short strings of a message as they are: ids, names of headers, routing keys. Some publishers put bytes there that are no UTF-8,
//! for example a hash as `correlation-id`. The client reads such a string as an error of the whole connection, and tells nobody which message it was.
//! Every route on the connection would be interrupted, again and again, since RabbitMQ redelivers the message to the next connection. So the stream
//! of a connection looks at each frame before the client does, and [`mend`] replaces what can't be read, in place: lengths stay as they are. [`returned`]
//! leaves out what nobody needs and the client would log. A parser that was patched would help no crate that depends on this one, because a published crate can't replace the dependencies of others.
//!
//! | module | what it is |
//! |---|---|
//! | `mend` | one frame, made readable |
//! | `table` | the header table of a message, made readable |
//! | `report` | what the log says about it |
//! | `returned` | messages that come back unroutable, without their bodies |

mod mend;
mod report;
mod returned;
mod table;
#[cfg(test)]
mod tests;

use std::{
    io, mem,
    task::{Poll, ready},
};

use self::{mend::Mended, returned::Returned};

pub(crate) use self::report::ChannelQueues;

/// The bytes before the payload of a frame: type, channel, size.
const HEAD: usize = 7;

/// The bytes that tell which method a frame has: the head, its class and its number.
const METHOD_HEAD: usize = HEAD + 4;

/// The type of frames with a part of a body.
const BODY: u8 = 3;

/// The largest frame in bytes that is looked at. The client's buffer takes no larger one with RabbitMQ's default `frame_max`.
const LARGEST: usize = 4 * 1024 * 1024;

/// What comes next in the stream.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// A frame of this many bytes, which the client can read as it is.
    Readable(usize),
    /// A frame of this many bytes to look at.
    Doubtful(usize),
    /// A frame of this many bytes with a part of a body. The head is here.
    Body(usize),
    /// Unknown, before there are this many bytes.
    Unknown(usize),
}

/// Returns what these bytes are the beginning of. There is at least one.
fn next(bytes: &[u8]) -> Next {
    let kind = bytes[0];
    // Not AMQP, or another version of it: the client says so.
    if !matches!(kind, mend::METHOD | mend::HEADER | BODY | 8) {
        return Next::Readable(usize::MAX);
    }
    let Some(head) = bytes.first_chunk::<HEAD>() else {
        return Next::Unknown(HEAD);
    };
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    // One more byte ends the frame.
    let whole = size.saturating_add(HEAD + 1);
    match kind {
        mend::METHOD if size >= METHOD_HEAD - HEAD => match bytes.get(HEAD..METHOD_HEAD) {
            None => Next::Unknown(METHOD_HEAD),
            Some(method) if whole <= LARGEST && mend::has_texts_of_others(method) => {
                Next::Doubtful(whole)
            }
            Some(_) => Next::Readable(whole),
        },
        mend::HEADER if whole <= LARGEST => Next::Doubtful(whole),
        BODY => Next::Body(whole),
        _ => Next::Readable(whole),
    }
}

/// Looks at the frames of one connection as they are read, cut at any byte. All but a frame that is cut in two stays in the reader's buffer.
pub(crate) struct Frames {
    /// How many bytes are passed on before the next frame begins.
    passing: usize,
    /// How many bytes are left out before the next frame begins.
    dropping: usize,
    /// One frame that was cut, or its beginning. It is passed on once `lacking` is 0.
    held: Vec<u8>,
    /// How many bytes of `held` were passed on.
    given: usize,
    /// How many bytes `held` needs before it can be passed on, or before more is known of it.
    lacking: usize,
    /// The messages whose bodies are left out.
    returned: Returned,
    /// Who is told what was replaced.
    queues: ChannelQueues,
}

impl Frames {
    pub(super) fn new(queues: ChannelQueues) -> Self {
        Self {
            passing: 0,
            dropping: 0,
            held: Vec::new(),
            given: 0,
            lacking: 0,
            returned: Returned::default(),
            queues,
        }
    }

    /// Reads into a buffer what the client can parse. `source` reads what RabbitMQ sent. 0 bytes mean that it sends no more.
    ///
    /// # Errors
    ///
    /// Those of `source`.
    pub(super) fn read(
        &mut self,
        into: &mut [u8],
        mut source: impl FnMut(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.lacking > 0 {
                if ready!(self.fill(&mut source))? == 0 {
                    return Poll::Ready(Ok(0));
                }
            } else if !self.held.is_empty() {
                return Poll::Ready(Ok(self.give(into)));
            } else {
                let read = ready!(source(into))?;
                let readable = self.look(&mut into[..read]);
                // 0 bytes would mean the end, and all of these are held.
                if read == 0 || readable > 0 {
                    return Poll::Ready(Ok(readable));
                }
            }
        }
    }

    /// Makes the frames in a buffer readable. Returns how many bytes can be passed on; the rest is held or left out.
    fn look(&mut self, bytes: &mut [u8]) -> usize {
        let (mut at, mut end) = (0, bytes.len());
        loop {
            let dropped = self.dropping.min(end - at);
            if dropped > 0 {
                self.dropping -= dropped;
                bytes.copy_within(at + dropped..end, at);
                end -= dropped;
            }
            let passed = self.passing.min(end - at);
            self.passing -= passed;
            at += passed;
            let rest = &mut bytes[at..end];
            if rest.is_empty() {
                return at;
            }
            match next(rest) {
                Next::Readable(whole) => self.passing = whole,
                Next::Body(whole) => self.begin_body(rest, whole),
                Next::Doubtful(whole) if whole <= rest.len() => {
                    let left = self.mend(&mut rest[..whole]);
                    at += left;
                    self.dropping = whole - left;
                }
                Next::Doubtful(enough) | Next::Unknown(enough) => {
                    self.held.extend_from_slice(rest);
                    self.lacking = enough - rest.len();
                    return at;
                }
            }
        }
    }

    /// Decides about a frame of a body, whose head is here.
    fn begin_body(&mut self, head: &[u8], whole: usize) {
        match self.returned.takes(head, whole - HEAD - 1) {
            true => self.dropping = whole,
            false => self.passing = whole,
        }
    }

    /// Reads what is lacking, and no more. Returns how many bytes came.
    fn fill(
        &mut self,
        source: &mut impl FnMut(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let before = self.held.len();
        self.held.resize(before + self.lacking, 0);
        let read = source(&mut self.held[before..]);
        let came = match &read {
            Poll::Ready(Ok(came)) => *came,
            _ => 0,
        };
        self.held.truncate(before + came);
        self.lacking -= came;
        if came > 0 && self.lacking == 0 {
            self.judge();
        }
        read
    }

    /// Decides about what is held, now that more of it is there.
    fn judge(&mut self) {
        let held = self.held.len();
        match next(&self.held) {
            Next::Readable(whole) => self.passing = whole - held,
            Next::Body(whole) => {
                let head = mem::take(&mut self.held);
                self.begin_body(&head, whole);
                if self.dropping > 0 {
                    self.dropping -= held;
                } else {
                    self.passing -= held;
                    self.held = head;
                }
            }
            Next::Doubtful(whole) if whole == held => {
                let mut frame = mem::take(&mut self.held);
                let left = self.mend(&mut frame);
                frame.truncate(left);
                self.held = frame;
            }
            Next::Doubtful(enough) | Next::Unknown(enough) => self.lacking = enough - held,
        }
    }

    /// Passes on what is held.
    fn give(&mut self, into: &mut [u8]) -> usize {
        let rest = &self.held[self.given..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        if self.given == self.held.len() {
            self.held.clear();
            self.given = 0;
        }
        count
    }

    /// Makes a frame readable. Returns how many bytes are left of it.
    fn mend(&mut self, frame: &mut [u8]) -> usize {
        let mut mended = Mended::default();
        mend::mend(frame, &mut mended);
        if !mended.is_empty() {
            self.queues.report(frame, &mended);
        }
        self.returned.shorten(frame)
    }
}
