//! The RabbitMQ server: AMQP, from the Debian package of this system.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Ports;
use crate::{debian, leash};

const PACKAGE: &str = "rabbitmq-server";

/// The package's own programs. Those of the same name on the PATH change the user first.
const PROGRAM: &str = "rabbitmq/bin/rabbitmq-server";

/// Runs a broker, or `rabbitmqctl` on it; the tests run theirs with it, too. It reads in the environment:
///
/// | variable | |
/// |---|---|
/// | `DATA` | the folder of this broker, for all it writes |
/// | `PORT`, `MANAGEMENT_PORT`, `DISTRIBUTION_PORT`, `EPMD_PORT` | all on 127.0.0.1 |
///
/// Where a test has put a `further.config` into `DATA`, it is an `advanced.config` of RabbitMQ's, in which `@DATA@` is that folder as the broker sees it.
/// Nothing of the system's own broker is read or met: it may run beside this one. What `serve` starts is in its process group.
const BROKER: &str = r#"#!/bin/sh
set -eu
bin=@BIN@
unset RABBITMQ_NODE_PORT RABBITMQ_USE_LONGNAME ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS
export LANG=C.UTF-8 HOME="$DATA/home"
export ERL_EPMD_PORT="$EPMD_PORT" ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_NODENAME=loafer@localhost RABBITMQ_DIST_PORT="$DISTRIBUTION_PORT"
export RABBITMQ_CONF_ENV_FILE="$DATA/none" RABBITMQ_CONFIG_FILE="$DATA/rabbitmq.conf"
export RABBITMQ_CONFIG_FILES="$DATA/none" RABBITMQ_ADVANCED_CONFIG_FILE="$DATA/advanced.config"
export RABBITMQ_ENABLED_PLUGINS_FILE="$DATA/enabled_plugins"
export RABBITMQ_MNESIA_BASE="$DATA/db" RABBITMQ_LOG_BASE="$DATA/logs" RABBITMQ_LOGS=-
export RABBITMQ_PID_FILE="$DATA/pid"
# Without the last three, idle schedulers spin, and take the processor from the tests.
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} \
    -rabbit quorum_tick_interval 500 +sbwt none +sbwtdcpu none +sbwtdio none"
command=$1
shift
case $command in
serve)
    mkdir -p "$HOME"
    cat > "$DATA/rabbitmq.conf" <<END
listeners.tcp.1 = 127.0.0.1:$PORT
management.tcp.ip = 127.0.0.1
management.tcp.port = $MANAGEMENT_PORT
collect_statistics_interval = 500
END
    [ ! -f "$DATA/further.config" ] || sed "s|@DATA@|$DATA|g" "$DATA/further.config" > "$DATA/advanced.config"
    echo '[rabbitmq_management].' > "$DATA/enabled_plugins"
    # Not `-daemon`: it would leave the process group, and stay.
    epmd &
    exec "$bin/rabbitmq-server"
    ;;
ctl)
    exec "$bin/rabbitmqctl" "$@"
    ;;
*)
    echo "serve, or ctl and its arguments" >&2
    exit 2
    ;;
esac
"#;

/// Where the package's programs are; installs it where that is possible.
pub(super) fn need() -> Result<PathBuf> {
    debian::need_without_service(PACKAGE, PROGRAM)
}

/// What starts one on these ports, with its files in `data`.
pub(super) fn command(home: &Path, data: &Path, ports: &Ports) -> Result<Command> {
    Ok(serve(&script(home)?, data, ports))
}

/// The same by a script that is there.
pub(super) fn serve(script: &Path, data: &Path, ports: &Ports) -> Command {
    let mut serve = leash::command(script);
    serve.arg("serve").env("DATA", data);
    let names = ["PORT", "MANAGEMENT_PORT", "DISTRIBUTION_PORT", "EPMD_PORT"];
    serve.envs(names.into_iter().zip(ports.map(|port| port.to_string())));
    serve
}

/// A shell's command for tests that run their own: [`BROKER`].
pub(super) fn shell_command(home: &Path) -> Result<String> {
    Ok(format!("'{}'", script(home)?.display()))
}

fn script(home: &Path) -> Result<PathBuf> {
    let program = need()?;
    let Some(bin) = program.parent() else {
        bail!("{} is in no folder", program.display());
    };
    let script = home.join("broker");
    write(&script, &text(bin))?;
    Ok(script)
}

/// [`BROKER`] with the programs in this folder.
pub(super) fn text(bin: &Path) -> String {
    BROKER.replace("@BIN@", &format!("'{}'", bin.display()))
}

/// Writes a script; one that is there stays, as somebody may be running it.
pub(super) fn write(script: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(script).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let told = || format!("can't write {}", script.display());
    if let Some(folder) = script.parent() {
        fs::create_dir_all(folder).with_context(told)?;
    }
    fs::write(script, text).with_context(told)?;
    fs::set_permissions(script, Permissions::from_mode(0o755)).with_context(told)
}
