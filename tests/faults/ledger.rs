//! The ledger: one file into which consumers, proxies and the test write what happens, in the order in which it does.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// The ledger, to write into. A line is `MILLISECONDS WHAT …`.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    file: Arc<File>,
    path: Arc<Path>,
}

impl Ledger {
    pub(crate) fn create(path: PathBuf) -> Self {
        _ = std::fs::remove_file(&path);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        Self {
            file: Arc::new(file.unwrap()),
            path: path.into(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// In one write, at the end: lines of several writers do not mix.
    pub(crate) fn write(&self, what: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let line = format!("{} {what}\n", now.as_millis());
        let written = (&*self.file).write(line.as_bytes()).unwrap();
        assert_eq!(written, line.len(), "the ledger is cut short: {what}");
    }

    pub(crate) fn read(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }
}
