//! The folder of one run: data and logs of its servers, locked for as long as the run lives.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result};

use crate::workspace;

/// Where servers are installed and run.
pub(crate) fn servers() -> PathBuf {
    workspace::target().join("servers")
}

/// Waits until no other run is installing or sweeping; the lock ends with the file.
pub(crate) fn lock() -> Result<File> {
    let folder = servers();
    fs::create_dir_all(&folder)
        .with_context(|| format!("can't make the folder {}", folder.display()))?;
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("can't make {}", path.display()))?;
    file.lock()
        .with_context(|| format!("can't lock {}", path.display()))?;
    Ok(file)
}

/// A folder removed when dropped, unless kept.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    kept: bool,
    /// Tells a living run from one that was killed: a pid may come again, a lock ends with its process.
    _alive: File,
}

impl Folder {
    /// Makes this run's folder and removes those of dead runs.
    pub(crate) fn create() -> Result<Self> {
        let _lock = lock()?;
        sweep(&servers());
        let path = servers().join(format!("run-{}", process::id()));
        fs::create_dir_all(&path)
            .with_context(|| format!("can't make the folder {}", path.display()))?;
        let alive = path.join("alive");
        let file =
            File::create(&alive).with_context(|| format!("can't make {}", alive.display()))?;
        file.lock()
            .with_context(|| format!("can't lock {}", alive.display()))?;
        Ok(Self {
            path,
            kept: false,
            _alive: file,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder where it is, for whoever reads its logs; the next run removes it.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            // What can't be removed now is swept by the next run.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes the folders of dead runs. They are only litter, so errors don't matter.
fn sweep(servers: &Path) {
    let Ok(entries) = fs::read_dir(servers) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("run-") {
            continue;
        }
        let alive = File::open(entry.path().join("alive"));
        if !alive.is_ok_and(|file| file.try_lock().is_err()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
