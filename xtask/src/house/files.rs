//! The texts of a checkout, or of a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Error;

/// What is kept of a checkout: sources, manifests, guides.
const EXTENSIONS: [&str; 3] = ["md", "rs", "toml"];
/// Cargo and others put it into folders of things made.
const MARK_OF_A_CACHE: &str = "CACHEDIR.TAG";

/// Texts by their path from the root of the checkout, with `/` between folders.
#[derive(Debug, Default)]
pub struct Files {
    texts: BTreeMap<String, String>,
}

impl Files {
    /// Reads the sources, manifests and guides below `root`. Hidden folders and build folders are left out.
    ///
    /// # Errors
    ///
    /// A file or folder can't be read, or a file is not UTF-8.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let mut files = Self::default();
        files.read_folder(root, "")?;
        Ok(files)
    }

    /// Returns the text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Returns all paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<(), Error> {
        let unreadable = |source| Error::Unreadable {
            path: folder.to_owned(),
            source,
        };
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            let path = entry.path();
            if kind.is_dir() && !path.join(MARK_OF_A_CACHE).exists() {
                self.read_folder(&path, &format!("{prefix}{name}/"))?;
            } else if kind.is_file() && is_kept(name) {
                let text = fs::read_to_string(&path)
                    .map_err(|source| Error::Unreadable { path, source })?;
                self.texts.insert(format!("{prefix}{name}"), text);
            }
        }
        Ok(())
    }
}

impl<P: Into<String>, T: Into<String>> FromIterator<(P, T)> for Files {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(files: I) -> Self {
        let texts = files
            .into_iter()
            .map(|(path, text)| (path.into(), text.into()));
        Self {
            texts: texts.collect(),
        }
    }
}

fn is_kept(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}
