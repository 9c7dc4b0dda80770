//! Free ports on 127.0.0.1.
//!
//! They are below the ports that Linux gives to outgoing connections: such a connection could take the port of a server that is down.

use std::net::TcpListener;

/// Returns different ports on which nobody listens at the moment.
///
/// # Panics
///
/// If 100 ports in a row are taken.
pub(crate) fn free<const N: usize>() -> [u16; N] {
    // They stay open until all are found, so that no two are the same.
    let open: [TcpListener; N] = std::array::from_fn(|_| {
        let mut ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000)).take(100);
        let free = ports.find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
        free.expect("one of 100 ports is free")
    });
    open.map(|listener| {
        let address = listener.local_addr();
        address.expect("a listener has an address").port()
    })
}

/// Returns whether a server could listen on the port now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
