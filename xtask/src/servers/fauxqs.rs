//! The fauxqs server: SQS and SNS in one Node process, from npm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{debian, leash};

const VERSION: &str = "2.4.1";

/// fauxqs wants a newer Node than Debian has; with an older one npm would quietly take an older fauxqs.
const NODE: &str = "24";

const LIMIT: Duration = Duration::from_mins(10);

/// Its own command line listens on every interface; this one on loopback only.
const LAUNCH: &str = r#"import net from "node:net";
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (options, ...rest) {
  const open = options?.host === "0.0.0.0";
  return listen.call(this, open ? { ...options, host: "127.0.0.1" } : options, ...rest);
};
const { startFauxqs } = await import("fauxqs");
const { PORT, DATA } = process.env;
await startFauxqs({ port: Number(PORT), dataDir: DATA || undefined, logger: false });
"#;

pub(crate) fn stamp() -> String {
    format!("fauxqs@{VERSION} node@{NODE}")
}

pub(crate) fn install(home: &Path) -> Result<()> {
    debian::need("npm", "npm")?;
    // With a manifest of its own npm does not look for one in the folders above.
    write(home, "package.json", "{ \"private\": true }\n")?;
    let (fauxqs, node) = (format!("fauxqs@{VERSION}"), format!("node@{NODE}"));
    let mut npm = leash::command("npm");
    npm.current_dir(home)
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            &fauxqs,
            &node,
        ])
        .env("npm_config_update_notifier", "false");
    debian::run(npm, &format!("npm install {fauxqs} {node}"), LIMIT)
        .context("npm must reach its registry: check network and `npm config get registry`")?;

    let mut node = leash::command(home.join("node_modules/.bin/node"));
    node.arg("--version");
    debian::run(node, "node_modules/.bin/node --version", LIMIT)
        .context("npm installed a node that does not run: see whether it may run install scripts")
}

/// In memory, without a data folder: nobody restarts it, and it is ten times as fast.
pub(crate) fn command(home: &Path, port: u16) -> Result<Command> {
    let [node, script] = launcher(home)?;
    let mut command = leash::command(node);
    command
        .arg(script)
        .env("PORT", port.to_string())
        .env_remove("DATA");
    Ok(command)
}

/// A shell's command for tests that start it themselves: on `PORT`, with its data in `DATA`.
pub(crate) fn shell_command(home: &Path) -> Result<String> {
    let quoted = launcher(home)?.map(|path| format!("'{}'", path.display()));
    Ok(quoted.join(" "))
}

/// Node and its script; this is written here, or a change of ours would wait for the next installation.
fn launcher(home: &Path) -> Result<[PathBuf; 2]> {
    let script = home.join("launch.mjs");
    if !fs::read_to_string(&script).is_ok_and(|found| found == LAUNCH) {
        write(home, "launch.mjs", LAUNCH)?;
    }
    Ok([home.join("node_modules/.bin/node"), script])
}

fn write(home: &Path, name: &str, text: &str) -> Result<()> {
    let file = home.join(name);
    fs::write(&file, text).with_context(|| format!("can't write {}", file.display()))
}
