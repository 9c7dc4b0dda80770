//! The installation of servers: once, whole, and again only when a version changes.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{Server, elasticmq, folder};

/// The file which says that an installation is complete, and of what.
const STAMP: &str = "installed";

/// Installs what is missing. All servers are tried before any failure is told: one run shows all that is to be done.
pub(crate) fn all(servers: &[Server]) -> Result<()> {
    let _lock = folder::lock()?;
    let mut failures = Vec::new();
    for &server in servers {
        if let Err(error) = one(server) {
            let name = server.name();
            failures.push(format!(
                "{name} can't be installed: {error:#}\n  (to run without it, knowingly: --without {name})"
            ));
        }
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\nxtask: "));
    }
    Ok(())
}

fn one(server: Server) -> Result<()> {
    if server == Server::Elasticmq {
        // The one program which is needed to run it, installed or not.
        elasticmq::need_java()?;
    }
    let (name, stamp) = (server.name(), server.stamp());
    let home = folder::servers().join(name);
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
