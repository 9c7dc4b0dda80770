//! Opens what was compressed, with a bound on what comes out.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status, read::MultiGzDecoder};
use loafer_core::translate::decode_base64;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::encoding::{Compression, Fault};

/// The window that every decoder of zstd should allow ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.2)). It costs memory as it
/// fills, so no more than the content has.
const WINDOW: u64 = 8 << 20;

/// Returns what was compressed. `None` means that the payload is not.
pub(super) fn open(
    compression: Compression,
    says_base64: bool,
    payload: &[u8],
    most: usize,
) -> Result<Option<Vec<u8>>, Fault> {
    // Base64 may begin as zlib does, and never as the others do.
    let is_bare = compression != Compression::Deflate && begins(compression, payload);
    let text = match is_bare {
        true => None,
        false => decode_base64(payload).ok(),
    };
    let text = text.filter(|bytes| says_base64 || begins(compression, bytes));
    let packed = text.as_deref().unwrap_or(payload);
    match (compression, begins(compression, packed)) {
        (Compression::Gzip, true) => read(MultiGzDecoder::new(packed), Vec::new(), most).map(Some),
        (Compression::Zstd, true) => frames(packed, most).map(Some),
        (Compression::Deflate, true) => inflate(packed, true, most).map(Some),
        // Without its head, deflate is known only by trying.
        (Compression::Deflate, false) => match inflate(packed, false, most) {
            Err(Fault::Damaged) => Ok(None),
            inflated => inflated.map(Some),
        },
        (_, false) => Ok(None),
    }
}

/// Whether bytes begin as those of this compression do: with its magic number, or with the head of zlib.
fn begins(compression: Compression, bytes: &[u8]) -> bool {
    match (compression, bytes) {
        (Compression::Gzip, [0x1f, 0x8b, ..]) => true,
        (Compression::Zstd, [0x28, 0xb5, 0x2f, 0xfd, ..]) => true,
        (
            Compression::Deflate,
            [
                first @ (0x08 | 0x18 | 0x28 | 0x38 | 0x48 | 0x58 | 0x68 | 0x78),
                second,
                ..,
            ],
        ) => u16::from_be_bytes([*first, *second]) % 31 == 0,
        _ => false,
    }
}

/// Reads to the end, behind what is there already.
fn read(from: impl Read, mut into: Vec<u8>, most: usize) -> Result<Vec<u8>, Fault> {
    let room = most.saturating_sub(into.len()) as u64;
    let read = from.take(room.saturating_add(1)).read_to_end(&mut into);
    match read {
        _ if into.len() > most => Err(Fault::TooLarge(most)),
        Ok(_) => Ok(into),
        Err(_) => Err(Fault::Damaged),
    }
}

/// Unpacks the frames of zstd.
fn frames(mut packed: &[u8], most: usize) -> Result<Vec<u8>, Fault> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(WINDOW.max(most as u64));
    let mut unpacked = Vec::new();
    while !packed.is_empty() {
        let frame = StreamingDecoder::new_with_decoder(&mut packed, &mut decoder);
        let frame = frame.map_err(|_| Fault::Damaged)?;
        unpacked = read(frame, unpacked, most)?;
    }
    Ok(unpacked)
}

/// Unpacks deflate. The readers of flate2 take a missing end for the end.
fn inflate(packed: &[u8], zlib: bool, most: usize) -> Result<Vec<u8>, Fault> {
    let mut decoder = Decompress::new(zlib);
    let mut unpacked: Vec<u8> = Vec::new();
    loop {
        let grown = unpacked.len().max(4 << 10);
        unpacked.reserve_exact(grown.min((most - unpacked.len()).saturating_add(1)));
        let before = (decoder.total_in(), unpacked.len());
        let rest = &packed[before.0 as usize..];
        let status = decoder.decompress_vec(rest, &mut unpacked, FlushDecompress::None);
        if unpacked.len() > most {
            return Err(Fault::TooLarge(most));
        }
        match status {
            Ok(Status::StreamEnd) => return Ok(unpacked),
            Ok(_) if before != (decoder.total_in(), unpacked.len()) => {}
            _ => return Err(Fault::Damaged),
        }
    }
}
