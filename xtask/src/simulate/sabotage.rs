//! Sabotages: patches that break the engine on purpose. The simulation must find each of them, or it proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use super::{PACKAGE, PROFILE, simulation};
use crate::leash::{self, Leashed};
use crate::workspace;

/// How many seeds may be needed to find one.
const SEEDS: &str = "1000";

/// Runs these sabotages, or all of them.
pub(super) fn run(names: &[OsString]) -> Result<ExitCode> {
    let patches = wanted(all()?, names)?;
    let copy = Copy::new()?;
    let mut found = 0;
    for (name, patch) in &patches {
        match copy.sabotage(patch) {
            Ok(Some(finding)) => {
                println!("found {name}: {finding}");
                found += 1;
            }
            Ok(None) => println!("NOT FOUND {name}: {SEEDS} seeds see nothing wrong"),
            Err(error) => println!("BROKEN {name}: {error:#}"),
        }
    }
    println!("{found} of {} sabotages found", patches.len());
    match found == patches.len() && found > 0 {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

/// Returns all patches, by name.
fn all() -> Result<BTreeMap<String, PathBuf>> {
    let folder = workspace::root().join("simulation/sabotages");
    let mut patches = BTreeMap::new();
    for file in fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))? {
        let path = file?.path();
        if path.extension() == Some(OsStr::new("patch"))
            && let Some(name) = path.file_stem()
        {
            patches.insert(name.to_string_lossy().into_owned(), path);
        }
    }
    Ok(patches)
}

/// Returns the patches of these names, or all if there are no names.
fn wanted(
    mut patches: BTreeMap<String, PathBuf>,
    names: &[OsString],
) -> Result<BTreeMap<String, PathBuf>> {
    if names.is_empty() {
        return Ok(patches);
    }
    let known: Vec<String> = patches.keys().cloned().collect();
    let mut wanted = BTreeMap::new();
    for name in names {
        let name = name.to_string_lossy().into_owned();
        match patches.remove(&name) {
            Some(path) => _ = wanted.insert(name, path),
            None => bail!("there is no sabotage `{name}`; known: {}", known.join(", ")),
        }
    }
    Ok(wanted)
}

/// A copy of the sources, which patches break, and a target folder of its own.
struct Copy {
    folder: PathBuf,
    sources: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Makes place for it.
    fn new() -> Result<Self> {
        let folder = workspace::target().join("sabotage");
        let (sources, target) = (folder.join("src"), folder.join("target"));
        fs::create_dir_all(&sources)?;
        Ok(Self {
            folder,
            sources,
            target,
        })
    }

    /// Applies one patch, and runs the simulation. Returns what it found.
    fn sabotage(&self, patch: &Path) -> Result<Option<String>> {
        self.refresh()?;
        let mut git = Command::new("git");
        git.args(["apply", "--whitespace=nowarn"]).arg(patch);
        // The copy lies in a folder that a repository ignores: found, that would make git skip the files.
        git.current_dir(&self.sources)
            .env("GIT_CEILING_DIRECTORIES", &self.folder);
        if !git.status().context("can't run git")?.success() {
            bail!("the patch does not apply to the sources of today");
        }
        let mut cargo = leash::command(workspace::cargo_program());
        cargo.args(["build", "--quiet", "--profile", PROFILE, "-p", PACKAGE]);
        cargo
            .current_dir(&self.sources)
            .env("CARGO_TARGET_DIR", &self.target);
        if !Leashed::spawn(cargo)?.wait(None)?.success() {
            bail!("it does not build");
        }
        let mut simulation = simulation(&self.target);
        simulation.args(["--seeds", SEEDS, "--no-shrink"]);
        let mut finding = None;
        let status = leash::lines(simulation, None, |line| {
            if let Some(what) = line.strip_prefix("FOUND ") {
                finding = Some(what.to_owned());
            }
        })?;
        match status.code() {
            Some(0) => Ok(None),
            Some(1) if finding.is_some() => Ok(finding),
            _ => bail!("the simulation ended with {status}"),
        }
    }

    /// Brings the copy up to date with the sources. What is the same stays untouched, so that little is built again.
    fn refresh(&self) -> Result<()> {
        let listed = Command::new("git")
            .args([
                "ls-files",
                "--cached",
                "--others",
                "--exclude-standard",
                "-z",
            ])
            .current_dir(workspace::root())
            .output()
            .context("can't run git")?;
        if !listed.status.success() {
            bail!(
                "git can't list the sources: {}",
                String::from_utf8_lossy(&listed.stderr)
            );
        }
        let names = listed.stdout.split(|byte| *byte == 0);
        let names: BTreeSet<PathBuf> = names
            .filter(|name| !name.is_empty())
            .map(|name| String::from_utf8_lossy(name).into_owned().into())
            .collect();
        remove_others(&self.sources, &self.sources, &names)?;
        for name in &names {
            let (from, to) = (workspace::root().join(name), self.sources.join(name));
            let Ok(content) = fs::read(&from) else {
                // It is listed, and deleted here.
                _ = fs::remove_file(&to);
                continue;
            };
            if fs::read(&to).is_ok_and(|old| old == content) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&to, content)?;
        }
        Ok(())
    }
}

/// Removes the files below a folder of the copy that are not among the sources any more.
fn remove_others(copy: &Path, folder: &Path, sources: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(copy, &path, sources)?;
        } else if !path
            .strip_prefix(copy)
            .is_ok_and(|name| sources.contains(name))
        {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
