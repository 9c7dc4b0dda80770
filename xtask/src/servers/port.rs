//! The free ports: on 127.0.0.1, below the range of ephemeral ones.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// Linux gives outgoing connections ports from 32768 on; there, a connect loop may meet itself and call a
/// server ready that does not exist.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Tries before the search is given up.
const TRIES: u8 = 100;

/// A port nobody listens on right now. Starting at random keeps concurrent runs apart.
pub(crate) fn free() -> Result<u16> {
    let size = u64::from(RANGE.end - RANGE.start);
    for _ in 0..TRIES {
        let offset = RandomState::new().build_hasher().finish() % size;
        let port = RANGE.start + u16::try_from(offset)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("none of {TRIES} ports tried in {RANGE:?} is free on 127.0.0.1: stop what listens there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_bound_and_is_not_ephemeral() {
        let port = free().unwrap_or_default();
        assert!(RANGE.contains(&port));
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
