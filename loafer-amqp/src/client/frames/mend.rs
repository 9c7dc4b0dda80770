//! One frame, made readable: a method that tells of a message, or the header with its properties.

use super::{HEAD, METHOD_HEAD, table};

/// The types of frames that are looked at.
pub(super) const METHOD: u8 = 1;
pub(super) const HEADER: u8 = 2;

/// The bytes of a header before the properties: head, class, weight, size of the body.
pub(super) const PROPERTIES: usize = HEAD + 12;

/// What stands for wrong bytes. There are many, so that ids which differ in such bytes alone most often still differ.
const STAND_INS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A part of a method or of the properties.
#[derive(Clone, Copy)]
enum Part {
    /// A short string of this name.
    Text(&'static str),
    /// This many bytes of numbers.
    Number(usize),
    /// The header table.
    Table,
}

use Part::{Number, Table, Text};

/// The properties of a message in their order, as the highest bits of the flags tell which are there.
const ALL_PROPERTIES: [Part; 14] = [
    Text("content-type"),
    Text("content-encoding"),
    Table,
    Number(1),
    Number(1),
    Text("correlation-id"),
    Text("reply-to"),
    Text("expiration"),
    Text("message-id"),
    Number(8),
    Text("type"),
    Text("user-id"),
    Text("app-id"),
    Text("cluster-id"),
];

/// The flags of properties that are a header table alone, or a cluster id alone, which nobody reads.
const TABLE_ALONE: u16 = 1 << 13;
const CLUSTER_ID_ALONE: u16 = 1 << 2;

/// What was replaced, each once.
#[derive(Debug, Default)]
pub(super) struct Mended(Vec<&'static str>);

impl Mended {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn note(&mut self, what: &'static str) {
        if !self.0.contains(&what) {
            self.0.push(what);
        }
    }

    pub(super) fn list(&self) -> String {
        self.0.join(", ")
    }
}

/// Returns whether this method, as its class and number, quotes texts that others chose, or that RabbitMQ cut to 255 bytes.
pub(super) fn has_texts_of_others(method: &[u8]) -> bool {
    !parts(method).is_empty()
}

/// Returns the arguments of a method up to its last text.
fn parts(method: &[u8]) -> &'static [Part] {
    match method {
        // basic.deliver
        [0, 60, 0, 60] => &[
            Text("consumer tag"),
            Number(9),
            Text("exchange"),
            Text("routing key"),
        ],
        // basic.get-ok
        [0, 60, 0, 71] => &[Number(9), Text("exchange"), Text("routing key")],
        // basic.return
        [0, 60, 0, 50] => &[
            Number(2),
            Text("reply text"),
            Text("exchange"),
            Text("routing key"),
        ],
        // connection.close, channel.close
        [0, 10, 0, 50] | [0, 20, 0, 40] => &[Number(2), Text("reply text")],
        _ => &[],
    }
}

/// Replaces what the client can't read in a whole frame. Its length stays.
pub(super) fn mend(frame: &mut [u8], mended: &mut Mended) {
    let end = frame.len().saturating_sub(1);
    let frame = &mut frame[..end];
    match frame.first() {
        Some(&METHOD) if frame.len() >= METHOD_HEAD => {
            let (head, mut arguments) = frame.split_at_mut(METHOD_HEAD);
            for part in parts(&head[HEAD..]) {
                if walk(*part, &mut arguments, mended).is_none() {
                    return;
                }
            }
        }
        Some(&HEADER) if frame.len() >= PROPERTIES + 2 => {
            let properties = &mut frame[PROPERTIES..];
            if walk_properties(properties, mended).is_none() {
                blank(properties);
                mended.note("all properties");
            }
        }
        _ => {}
    }
}

/// Replaces what is wrong in the properties. `None` means that they are no properties.
fn walk_properties(properties: &mut [u8], mended: &mut Mended) -> Option<()> {
    let mut rest = properties;
    let flags = u16::from_be_bytes([*rest.split_off_first_mut()?, *rest.split_off_first_mut()?]);
    for (at, part) in ALL_PROPERTIES.iter().enumerate() {
        if flags & (1 << (15 - at)) != 0 {
            walk(*part, &mut rest, mended)?;
        }
    }
    rest.is_empty().then_some(())
}

fn walk(part: Part, rest: &mut &mut [u8], mended: &mut Mended) -> Option<()> {
    match part {
        Text(name) => short_string(rest, name, mended),
        Number(bytes) => rest.split_off_mut(..bytes).map(drop),
        Table => table::walk(rest, mended),
    }
}

/// Replaces the wrong bytes of a short string.
pub(super) fn short_string(
    rest: &mut &mut [u8],
    name: &'static str,
    mended: &mut Mended,
) -> Option<()> {
    let length = *rest.split_off_first_mut()?;
    let mut text = rest.split_off_mut(..usize::from(length))?;
    // Nearly all are, and this costs less.
    if text.is_ascii() {
        return Some(());
    }
    while let Err(wrong) = std::str::from_utf8(text) {
        mended.note(name);
        let from = wrong.valid_up_to();
        let to = wrong.error_len().map_or(text.len(), |bytes| from + bytes);
        for byte in &mut text[from..to] {
            *byte = STAND_INS[usize::from(*byte) % STAND_INS.len()];
        }
        text = &mut text[to..];
    }
    Some(())
}

/// Makes properties of as many bytes that say nothing. There are at least two bytes.
fn blank(properties: &mut [u8]) {
    let (flags, rest) = properties.split_at_mut(2);
    let set = match rest.len() {
        0 => 0,
        // A short string has at most 255 bytes.
        length @ 1..=256 => {
            rest.fill(b'?');
            rest[0] = u8::try_from(length - 1).unwrap_or(u8::MAX);
            CLUSTER_ID_ALONE
        }
        length => {
            let (prefix, entries) = rest.split_at_mut(4);
            prefix.copy_from_slice(&table::length(length - 4));
            table::blank(entries);
            TABLE_ALONE
        }
    };
    flags.copy_from_slice(&set.to_be_bytes());
}
