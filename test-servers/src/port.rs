//! Free ports: on 127.0.0.1, below those that Linux gives to outgoing connections. One of them could take it while the server is down.

use std::net::TcpListener;

/// Ports nobody listens on right now, each another.
pub(crate) fn free<const N: usize>() -> [u16; N] {
    // Held until all are found, so that no two are the same.
    let held: [TcpListener; N] = std::array::from_fn(|_| {
        let mut ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000)).take(100);
        let free = ports.find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
        free.expect("one of 100 ports is free")
    });
    held.map(|listener| {
        let address = listener.local_addr();
        address.expect("a listener has an address").port()
    })
}

/// Whether somebody could listen there now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
