//! The leash: a child process that ends, with everything that it started, when this process ends in any way, or drops it.
//!
//! The child leads a process group of its own. A process in that group reads from a pipe whose other end is here, and kills the group when
//! that end closes. The kernel closes it for a test that was killed itself.

use std::process::Stdio;

use tokio::process::{Child, ChildStdin, Command};

/// What the shell runs. The reader gets the pipe as descriptor 3, since shells give background jobs an empty standard input.
const SCRIPT: &str = r#"
    exec 3<&0 </dev/null
    (read -r _; kill -KILL 0) <&3 >/dev/null 2>&1 3<&- &
    eval "exec $0 $1 3<&-"
"#;

/// A running child. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Leashed {
    pub(crate) child: Child,
    /// Our end of the pipe. `None` after a kill.
    leash: Option<ChildStdin>,
}

impl Leashed {
    /// Runs a shell command with this argument, with the environment and the output of `command`.
    pub(crate) fn spawn(command: &mut Command, shell: &str, argument: &str) -> Self {
        command.args(["-c", SCRIPT, shell, argument]);
        command.process_group(0).stdin(Stdio::piped());
        let mut child = command.spawn().expect("`sh` is on the PATH");
        let leash = child.stdin.take();
        Self { child, leash }
    }

    /// Sends SIGKILL to the child and everything that it started. Returns when the child is gone.
    pub(crate) async fn kill(mut self) {
        drop(self.leash.take());
        let ended = self.child.wait().await;
        ended.expect("the system knows the child");
    }
}
