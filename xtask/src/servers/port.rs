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

/// The ports of one server: the one its clients know first, then those it needs beside it.
pub(crate) type Ports = [u16; 4];

/// Ports nobody listens on right now.
pub(crate) fn free() -> Result<Ports> {
    let mut ports = Ports::default();
    // Held until all are found, so that no two are the same.
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = any()?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Starting at random keeps concurrent runs apart.
fn any() -> Result<TcpListener> {
    let size = u64::from(RANGE.end - RANGE.start);
    for _ in 0..TRIES {
        let offset = RandomState::new().build_hasher().finish() % size;
        let port = RANGE.start + u16::try_from(offset)?;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(listener);
        }
    }
    bail!("none of {TRIES} ports tried in {RANGE:?} is free on 127.0.0.1: stop what listens there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_can_be_bound_together_and_are_not_ephemeral() {
        let bound = free().unwrap_or_default().map(|port| {
            assert!(RANGE.contains(&port));
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        assert_eq!(bound, [true; 4]);
    }
}
