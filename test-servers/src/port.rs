//! Free ports on 127.0.0.1, which no other test takes.
//!
//! They are below the ports that Linux gives to outgoing connections: such a connection could take the port of a server that is down.

use std::{
    env,
    fs::{self, File},
    net::TcpListener,
};

/// How many ports are tried for one that is free.
const TRIES: usize = 100;

/// Different ports on which nobody listens when they are taken. Until this is dropped, no other test of this user gets them from here.
///
/// A server may take seconds until it listens, or be down for a while. The lock on a file keeps its port for it.
#[derive(Debug)]
pub struct Ports<const N: usize> {
    numbers: [u16; N],
    /// The kernel unlocks them when this process ends in any way.
    _locks: [File; N],
}

impl<const N: usize> Ports<N> {
    /// Takes free ports.
    ///
    /// # Panics
    ///
    /// If 100 ports in a row are taken, or the system's folder for temporary files can't be written.
    pub fn take() -> Self {
        let taken: [(u16, File); N] = std::array::from_fn(|_| {
            let mut ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000)).take(TRIES);
            let free = ports.find_map(|port| Some((port, locked(port)?)));
            free.expect("one of 100 ports is free")
        });
        let numbers = taken.each_ref().map(|(port, _)| *port);
        Self {
            numbers,
            _locks: taken.map(|(_, lock)| lock),
        }
    }

    /// Returns the ports.
    pub fn numbers(&self) -> [u16; N] {
        self.numbers
    }
}

/// Locks the file of a port on which nobody listens. `None` means that somebody has the port.
fn locked(port: u16) -> Option<File> {
    let file = lock(&port.to_string())?;
    is_free(port).then_some(file)
}

/// Locks a file of this name, which all tests of this user share. `None` means that somebody has it.
pub(crate) fn lock(name: &str) -> Option<File> {
    let user = env::var("USER").unwrap_or_default();
    let folder = env::temp_dir().join(format!("loafer-test-servers-{user}"));
    fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    let file = File::create(folder.join(name)).expect("a file in our folder can be made");
    file.try_lock().ok()?;
    Some(file)
}

/// Returns whether a server could listen on the port now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_nobody_elses_until_it_is_dropped() {
        let ports = Ports::<5>::take();
        for port in ports.numbers() {
            assert!(is_free(port));
            assert!(locked(port).is_none(), "{port} is taken twice");
        }
        let [port, ..] = ports.numbers();
        drop(ports);
        assert!(locked(port).is_some());
    }
}
