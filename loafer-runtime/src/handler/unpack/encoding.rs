//! What the header `content-encoding` says.

use loafer_core::translate::decode_base64;

#[cfg(feature = "compression")]
use super::compressed;

/// How a payload was packed: compressed, then perhaps written in base64.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    compression: Option<Compression>,
    base64: bool,
}

/// The compressions that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    /// With the head and the checksum of zlib, as [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.2) says, or without.
    Deflate,
    Zstd,
}

impl Encoding {
    /// Reads the value of the header, such as `gzip`, `gzip,base64` or `base64(gzip)`. `None` means that something in it is not known, or that there is
    /// nothing to open.
    pub(super) fn of(value: &str) -> Option<Self> {
        let mut encoding = Self {
            compression: None,
            base64: false,
        };
        let words = value.split([',', '(', ')']).map(str::trim);
        for word in words.filter(|word| !word.is_empty()) {
            let compression = match &*word.to_ascii_lowercase() {
                "gzip" | "x-gzip" => Compression::Gzip,
                "deflate" => Compression::Deflate,
                "zstd" => Compression::Zstd,
                "base64" => {
                    encoding.base64 = true;
                    continue;
                }
                "identity" => continue,
                _ => return None,
            };
            if encoding.compression.replace(compression).is_some() {
                return None;
            }
        }
        (encoding.base64 || encoding.compression.is_some()).then_some(encoding)
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &'static str {
        match self.compression {
            None => "base64",
            Some(Compression::Gzip) => "gzip",
            Some(Compression::Deflate) => "deflate",
            Some(Compression::Zstd) => "zstd",
        }
    }

    /// Returns what was packed, at most so many bytes of it. `None` means that the payload is not in this encoding.
    ///
    /// Senders whose broker carries only text write base64 around what they compress, and not all of them say so. So the first bytes decide.
    pub(super) fn open(&self, payload: &[u8], most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let Some(compression) = self.compression else {
            return Ok(decode_base64(payload).ok());
        };
        #[cfg(feature = "compression")]
        return compressed::open(compression, self.base64, payload, most);
        #[cfg(not(feature = "compression"))]
        {
            _ = (compression, most);
            Ok(None)
        }
    }
}

/// Why a payload can't be unpacked.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(
    not(feature = "compression"),
    allow(dead_code, reason = "base64 has no bound")
)]
pub(super) enum Fault {
    #[error("the payload is damaged, or its end is missing")]
    Damaged,
    #[error(
        "the payload has more than {0} bytes once it is unpacked, which `max_unpacked_bytes` does not allow"
    )]
    TooLarge(usize),
}
