//! The header table of a message, made readable.

use super::mend::{Mended, short_string};

/// How deep tables and arrays may stand in each other. RabbitMQ has no bound, and the client's parser calls itself at each level: thousands of them would
/// overflow its stack and end the process.
const DEEPEST: usize = 32;

/// Replaces what the client can't read in a table. `None` means that its length is wrong, or that it has one byte, which no table has.
pub(super) fn walk(rest: &mut &mut [u8], mended: &mut Mended) -> Option<()> {
    table(rest, DEEPEST, mended)
}

fn table(rest: &mut &mut [u8], deeper: usize, mended: &mut Mended) -> Option<()> {
    let entries = long(rest)?;
    let mut left = &mut *entries;
    while !left.is_empty() {
        let entry = short_string(&mut left, "name of a header", mended);
        if entry
            .and_then(|()| value(&mut left, deeper, mended))
            .is_none()
        {
            mended.note("a table in the headers");
            return blank(entries);
        }
    }
    Some(())
}

fn array(rest: &mut &mut [u8], deeper: usize, mended: &mut Mended) -> Option<()> {
    let values = long(rest)?;
    let mut left = &mut *values;
    while !left.is_empty() {
        if value(&mut left, deeper, mended).is_none() {
            mended.note("a list in the headers");
            blank_list(values);
            break;
        }
    }
    Some(())
}

/// Walks one value behind its type, of those that RabbitMQ and the client know.
fn value(rest: &mut &mut [u8], deeper: usize, mended: &mut Mended) -> Option<()> {
    let bytes = match *rest.split_off_first_mut()? {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'S' | b'x' => return long(rest).map(drop),
        b'F' => return table(rest, deeper.checked_sub(1)?, mended),
        b'A' => return array(rest, deeper.checked_sub(1)?, mended),
        _ => return None,
    };
    rest.split_off_mut(..bytes).map(drop)
}

/// Takes the bytes behind a length of four bytes.
fn long<'f>(rest: &mut &'f mut [u8]) -> Option<&'f mut [u8]> {
    let length = rest.split_off_mut(..4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    rest.split_off_mut(..usize::try_from(length).ok()?)
}

/// Returns a length as four bytes. It is that of a part of a frame, which is far smaller.
pub(super) fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// Makes one entry of all bytes of a table. `None` means that it has one byte, which can't be an entry.
pub(super) fn blank(entries: &mut [u8]) -> Option<()> {
    match entries {
        [] => {}
        [_] => return None,
        // Its name is all but the first byte and the last.
        [name, text @ .., kind] if text.len() < 5 => {
            *name = u8::try_from(text.len()).unwrap_or(u8::MAX);
            text.fill(b'?');
            *kind = b'V';
        }
        // A long string may have any bytes, so those stay.
        entries => {
            let text = length(entries.len() - 7);
            entries[..3].copy_from_slice(b"\x01?S");
            entries[3..7].copy_from_slice(&text);
        }
    }
    Some(())
}

/// Makes one value of all bytes of a list, or as many that say nothing where it is short.
fn blank_list(values: &mut [u8]) {
    match values.len().checked_sub(5) {
        // A long string may have any bytes, so those stay.
        Some(text) => {
            values[0] = b'S';
            values[1..5].copy_from_slice(&length(text));
        }
        None => values.fill(b'V'),
    }
}
