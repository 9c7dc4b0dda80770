//! Payloads that their senders packed, as the header `content-encoding` says.

#[cfg(feature = "compression")]
mod compressed;
mod encoding;
#[cfg(test)]
mod tests;

use loafer_core::{
    message::Message,
    translate::{Bytes, TranslateError},
};

use self::encoding::Encoding;

/// The most bytes of a payload that was unpacked, unless the program says otherwise.
pub(crate) const MAX_UNPACKED_BYTES: usize = 16 << 20;

/// The program's own bound, among its resources.
pub(crate) struct MaxUnpackedBytes(pub(crate) usize);

/// The name of the header in lower case: on HTTP, and so on SQS, senders write it as they like.
const HEADER: &str = "content-encoding";

/// Returns the message as it was before its sender packed it, without the header that says so. `None` means that it is not packed: an encoding that is
/// not known, and a payload that is not in the encoding, stay as they are.
///
/// # Errors
///
/// If it is damaged, or has more than this many bytes. The error never quotes the payload.
#[doc(hidden)]
#[inline]
pub fn unpacked(message: &Message, most: usize) -> Result<Option<Message>, TranslateError> {
    match said(message) {
        Some((name, value)) => unpack(message, name, value, most),
        None => Ok(None),
    }
}

/// Adds to an error what the message says of its encoding: it was not unpacked, and that may be why it does not decode.
#[cold]
pub(crate) fn explained(error: TranslateError, message: &Message) -> TranslateError {
    let Some((_, value)) = said(message) else {
        return error;
    };
    let known = Encoding::of(value);
    let what = match known.as_ref().map(Encoding::name) {
        Some(name) if cfg!(feature = "compression") || name == "base64" => {
            format!("content-encoding is {name}, and the payload is not")
        }
        Some(name) => {
            format!("content-encoding is {name}, which Loafer opens with its feature `compression`")
        }
        None => "content-encoding is none of gzip, deflate, zstd and base64".to_owned(),
    };
    TranslateError::new(format!("{what}: {error}")).with_source(error)
}

/// Returns the header as it is written, and its value.
#[inline]
fn said(message: &Message) -> Option<(&str, &str)> {
    let mut headers = message.headers().iter();
    headers.find(|(name, _)| name.len() == HEADER.len() && name.eq_ignore_ascii_case(HEADER))
}

#[cold]
fn unpack(
    message: &Message,
    name: &str,
    value: &str,
    most: usize,
) -> Result<Option<Message>, TranslateError> {
    let payload = message.payload();
    let Some(encoding) = Encoding::of(value).filter(|_| !payload.is_empty()) else {
        return Ok(None);
    };
    let found = encoding.open(payload, most).map_err(|fault| {
        TranslateError::new(format!("content-encoding is {}: {fault}", encoding.name()))
    })?;
    Ok(found.map(|found| {
        let mut headers = message.headers().clone();
        headers.remove(name);
        let message = message.clone().with_headers(headers);
        message.with_payload(Bytes::from(found))
    }))
}
