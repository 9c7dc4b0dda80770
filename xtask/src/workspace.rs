//! The places of the workspace: its root, its target folder, its cargo.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::leash;

/// The folder of the workspace's manifest.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The folder cargo builds into, as cargo itself finds it when run from [`root`].
pub(crate) fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target")))
}

/// A release binary of this workspace, once built.
pub(crate) fn release(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// The cargo that runs us.
pub(crate) fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// The same on a leash, at the root of the workspace.
///
/// Cargo tells us of our own package in the environment. Build scripts that watch such a variable, as that of `ring` does, would run again,
/// and all that depends on them be built again, whenever a `cargo` of ours follows one of the shell's.
pub(crate) fn cargo() -> Command {
    let mut cargo = leash::command(cargo_program());
    cargo.current_dir(root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_of_a_package) {
            cargo.env_remove(name);
        }
    }
    cargo
}

fn is_of_a_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"]
        .iter()
        .any(|of| variable.starts_with(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cargo has set them for this test, too.
    #[test]
    fn cargo_is_not_told_of_our_own_package() {
        let cargo = cargo();
        let removed = |name: &str| {
            cargo
                .get_envs()
                .any(|(set, to)| set == name && to.is_none())
        };
        assert!(removed("CARGO_MANIFEST_DIR") && removed("CARGO_PKG_NAME"));
        assert!(!removed("CARGO") && !removed("PATH"));
    }
}
