//! The workspace's packages, and what they depend on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Value;

use super::{Error, Files};

/// A package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its folder with a `/` behind it; empty for the package at the root.
    pub(crate) folder: String,
    /// Its normal dependencies within the workspace.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency on another package of the workspace.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) package: String,
    /// The line of the manifest.
    pub(crate) line: usize,
}

/// A crate of a package: its library or a program.
#[derive(Debug)]
pub(crate) struct Root {
    /// The package's name, and the file where it is not the library.
    pub(crate) name: String,
    pub(crate) file: String,
}

#[derive(Deserialize)]
struct Manifest {
    package: Option<PackageTable>,
    workspace: Option<WorkspaceTable>,
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    target: BTreeMap<String, TargetTable>,
}

#[derive(Deserialize)]
struct PackageTable {
    name: String,
}

#[derive(Deserialize)]
struct WorkspaceTable {
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct TargetTable {
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
}

/// Returns the members of the workspace whose manifest is at the root.
pub(crate) fn of(files: &Files) -> Result<Vec<Package>, Error> {
    let root: Manifest = parse(files, "Cargo.toml")?;
    let Some(workspace) = root.workspace else {
        return Err(manifest("Cargo.toml", "it has no [workspace]"));
    };
    let mut members = Vec::new();
    for member in &workspace.members {
        let folder = match member.as_str() {
            "." => String::new(),
            member => format!("{member}/"),
        };
        let file = format!("{folder}Cargo.toml");
        let manifest: Manifest = parse(files, &file)?;
        if let Some(PackageTable { name }) = &manifest.package {
            members.push((name.clone(), folder, file, manifest));
        }
    }
    let names: Vec<String> = members.iter().map(|(name, ..)| name.clone()).collect();
    let package = |(name, folder, file, manifest): (_, _, String, Manifest)| Package {
        name,
        folder,
        dependencies: dependencies(
            &manifest,
            &workspace,
            &names,
            files.text(&file).unwrap_or_default(),
        ),
    };
    Ok(members.into_iter().map(package).collect())
}

impl Package {
    /// Returns the crates among its `src/`.
    pub(crate) fn roots(&self, files: &Files) -> Vec<Root> {
        let source = format!("{}src/", self.folder);
        let is_root = |path: &str| {
            let Some(inner) = path.strip_prefix(&source) else {
                return false;
            };
            let program = inner.strip_prefix("bin/").unwrap_or_default();
            matches!(inner, "lib.rs" | "main.rs")
                || program.ends_with("/main.rs")
                || (program.ends_with(".rs") && !program.contains('/'))
        };
        let root = |path: &str| Root {
            name: match path.strip_prefix(&source) {
                Some("lib.rs") | None => self.name.clone(),
                Some(program) => format!("{} ({program})", self.name),
            },
            file: path.to_owned(),
        };
        files
            .paths()
            .filter(|path| is_root(path))
            .map(root)
            .collect()
    }
}

fn dependencies(
    manifest: &Manifest,
    workspace: &WorkspaceTable,
    members: &[String],
    text: &str,
) -> Vec<Dependency> {
    let of_targets = manifest.target.values().flat_map(|it| &it.dependencies);
    let dependency = |(key, value): (&String, &Value)| {
        let shared = workspace.dependencies.get(key);
        let package = renamed(value)
            .or_else(|| shared.and_then(renamed))
            .unwrap_or(key);
        members.iter().any(|it| it == package).then(|| Dependency {
            package: package.to_owned(),
            line: line_of(text, key),
        })
    };
    let all = manifest.dependencies.iter().chain(of_targets);
    all.filter_map(dependency).collect()
}

/// The package that a dependency with a name of its own is of.
fn renamed(value: &Value) -> Option<&str> {
    value.get("package")?.as_str()
}

/// The first line, among dependencies, that begins with this key.
fn line_of(text: &str, key: &str) -> usize {
    let mut is_among = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            is_among = line.ends_with("dependencies]") && !line.contains("dev-");
        }
        let after = line.strip_prefix(key).and_then(|rest| rest.chars().next());
        if is_among && after.is_some_and(|next| matches!(next, ' ' | '=' | '.')) {
            return index + 1;
        }
    }
    1
}

fn parse<T: DeserializeOwned>(files: &Files, file: &str) -> Result<T, Error> {
    let Some(text) = files.text(file) else {
        return Err(manifest(file, "it is not there"));
    };
    toml::from_str(text).map_err(|error| manifest(file, error.message()))
}

fn manifest(file: &str, reason: &str) -> Error {
    Error::Manifest {
        file: file.to_owned(),
        reason: reason.to_owned(),
    }
}
