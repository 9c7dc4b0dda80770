//! The installation of servers: once, whole, and again only when a version changes.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{Server, folder};

/// The file which says that an installation is complete, and of what.
const STAMP: &str = "installed";

/// Installs what is missing, and gives the servers that are there now. All are tried before any failure is told: one run shows all that is to be done.
pub(crate) fn all(servers: &[Server]) -> Result<Vec<Server>> {
    let _lock = folder::lock()?;
    let (mut there, mut failures) = (Vec::new(), Vec::new());
    for &server in servers {
        let name = server.name();
        match one(server) {
            Ok(()) => there.push(server),
            Err(error) if server.is_optional() => {
                eprintln!("xtask: {name} is left out, and its tests skip: {error:#}");
            }
            Err(error) => failures.push(format!(
                "{name} can't be installed: {error:#}\n  (to run without it, knowingly: --without {name})"
            )),
        }
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\nxtask: "));
    }
    Ok(there)
}

fn one(server: Server) -> Result<()> {
    server.need()?;
    let Some(stamp) = server.stamp() else {
        return Ok(());
    };
    let (name, home) = (server.name(), server.home());
    let stamp_file = home.join(STAMP);
    if fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        return Ok(());
    }
    eprintln!("xtask: installing {name} ({stamp}) into {}", home.display());
    let begin = Instant::now();
    if home.exists() {
        // Half an installation, or another version.
        fs::remove_dir_all(&home).with_context(|| format!("can't remove {}", home.display()))?;
    }
    fs::create_dir_all(&home)
        .with_context(|| format!("can't make the folder {}", home.display()))?;
    server.install(&home)?;
    fs::write(&stamp_file, stamp)
        .with_context(|| format!("can't write {}", stamp_file.display()))?;
    eprintln!(
        "xtask: installed {name} in {:.1} s",
        begin.elapsed().as_secs_f32()
    );
    Ok(())
}
