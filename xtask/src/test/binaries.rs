//! The test binaries: what cargo builds of the workspace, and how each is run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;

use super::pool::Job;
use crate::{leash, workspace};

/// A test binary that is built.
#[derive(Debug)]
pub(super) struct Binary {
    /// The path of its main file in the workspace.
    pub(super) name: String,
    /// Whether it is a library, whose documentation may have examples.
    pub(super) is_documented: bool,
    program: PathBuf,
    /// The folder of its package, in which cargo runs it, too.
    package: PathBuf,
}

/// What cargo says of something it has built, as far as it matters here.
#[derive(Deserialize)]
struct Artifact {
    executable: PathBuf,
    manifest_path: PathBuf,
    profile: Profile,
    target: Target,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Target {
    src_path: PathBuf,
    doctest: bool,
}

/// Builds the test binaries. None where the build broke, which cargo has told.
pub(super) fn build(arguments: &[&str]) -> Result<Option<Vec<Binary>>> {
    let mut cargo = workspace::cargo();
    cargo
        .args(["test", "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .args(arguments);
    let mut binaries = Vec::new();
    let status = leash::lines(cargo, None, |line| {
        if line.starts_with('{') {
            binaries.extend(Binary::read(line));
        } else if !line.trim_start().starts_with("Executable ") {
            println!("{line}");
        }
    })?;
    Ok(status.success().then_some(binaries))
}

impl Binary {
    /// Reads a message of cargo's. None where it tells of something else.
    fn read(line: &str) -> Option<Self> {
        let artifact: Artifact = serde_json::from_str(line).ok()?;
        let name = artifact.target.src_path;
        let name = name.strip_prefix(workspace::root()).unwrap_or(&name);
        let package = artifact.manifest_path.parent().map(Path::to_path_buf)?;
        artifact.profile.test.then(|| Self {
            name: name.display().to_string(),
            is_documented: artifact.target.doctest,
            program: artifact.executable,
            package,
        })
    }

    pub(super) fn job(&self) -> Job {
        let mut command = leash::command(&self.program);
        command
            .current_dir(&self.package)
            .env("CARGO_MANIFEST_DIR", &self.package);
        Job {
            name: self.name.clone(),
            command,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(executable: &str, test: bool) -> Option<Binary> {
        let root = workspace::root().display();
        Binary::read(&format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"{root}/loafer-sqs/Cargo.toml","target":{{"kind":["test"],"name":"fifo",
            "src_path":"{root}/loafer-sqs/tests/fifo.rs","doctest":false,"test":true}},"profile":{{"test":{test}}},"executable":{executable}}}"#
        ))
    }

    #[test]
    fn only_test_binaries_are_run() {
        let name = |binary: Option<Binary>| binary.map(|binary| binary.name);
        let fifo = Some("loafer-sqs/tests/fifo.rs".to_owned());
        assert_eq!(name(read(r#""/deps/fifo-1""#, true)), fifo);
        assert_eq!(name(read(r#""/deps/loafer""#, false)), None);
        assert_eq!(name(read("null", true)), None);
        assert_eq!(
            name(Binary::read(
                r#"{"reason":"build-finished","success":true}"#
            )),
            None
        );
    }
}
