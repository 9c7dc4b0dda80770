//! The service as a child process.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::Duration,
};

/// The service, with this command line.
pub(crate) fn echo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test's path"));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env_clear().env(crate::SERVICE, "1");
    command
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    command.spawn().expect("a child process")
}

pub(crate) fn output(command: &mut Command, stdin: &str) -> Output {
    let mut child = spawn(command);
    // It may have ended without reading.
    _ = child
        .stdin
        .take()
        .expect("stdin")
        .write_all(stdin.as_bytes());
    child.wait_with_output().expect("its end")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("utf-8")
}

/// Reads until a line contains this.
pub(crate) fn wait_for(lines: &mut BufReader<ChildStderr>, part: &str) {
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        assert_ne!(
            lines.read_line(&mut line).expect("a line"),
            0,
            "it ended without `{part}`"
        );
    }
}

pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

/// A signal of its own: one that comes at once after another is the same.
pub(crate) fn signal_again(child: &Child, name: &str) {
    std::thread::park_timeout(Duration::from_millis(250));
    signal(child, name);
}
