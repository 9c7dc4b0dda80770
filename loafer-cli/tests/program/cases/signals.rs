//! Signals, and what still runs when they come.

use std::{
    io::{BufReader, Read as _, Write as _},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::child::{echo, signal, signal_again, spawn, wait_for};

pub(super) fn an_idle_service_stops_soon_after_its_signal() {
    for name in ["TERM", "INT"] {
        let mut child = spawn(echo(&["--provider", "memory"]).stdin(Stdio::null()));
        let mut log = BufReader::new(child.stderr.take().expect("stderr"));
        wait_for(&mut log, "running");
        let asked = Instant::now();
        signal(&child, name);
        assert_eq!(child.wait().expect("its end").code(), Some(0));
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        wait_for(&mut log, &format!("stopping: SIG{name}"));
    }
}

pub(super) fn two_signals_at_once_are_one() {
    let mut child = spawn(&mut echo(&["--provider", "memory"]));
    let mut stdin = child.stdin.take().expect("stdin");
    writeln!(stdin, "echo {{\"do\":\"nap\"}}").expect("written");
    let mut log = BufReader::new(child.stderr.take().expect("stderr"));
    wait_for(&mut log, "at work");
    // As `timeout` does: the process, then its group.
    let both = format!("kill -TERM {0}; kill -TERM {0}", child.id());
    let sent = Command::new("sh").args(["-c", &both]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    wait_for(&mut log, "rested");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

pub(super) fn a_second_signal_cuts_off_what_runs() {
    for task in ["sleep", "block"] {
        let mut child = spawn(&mut echo(&["--provider", "memory"]));
        let mut stdin = child.stdin.take().expect("stdin");
        writeln!(stdin, "echo {{\"do\":\"{task}\"}}").expect("written");
        writeln!(stdin, "shout taken").expect("written");
        let mut log = BufReader::new(child.stderr.take().expect("stderr"));
        wait_for(&mut log, "TAKEN");
        signal(&child, "TERM");
        wait_for(&mut log, "stopping");
        let asked = Instant::now();
        signal_again(&child, "TERM");
        assert_eq!(child.wait().expect("its end").code(), Some(1));
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "{task}: {:?}",
            asked.elapsed()
        );
    }
}

pub(super) fn the_drain_deadline_ends_even_a_handler_that_blocks() {
    for task in ["sleep", "block"] {
        let mut child = spawn(&mut echo(&["--provider", "memory", "--drain", "200ms"]));
        let mut stdin = child.stdin.take().expect("stdin");
        writeln!(stdin, "echo {{\"do\":\"{task}\"}}").expect("written");
        writeln!(stdin, "shout taken").expect("written");
        let mut log = BufReader::new(child.stderr.take().expect("stderr"));
        wait_for(&mut log, "TAKEN");
        let asked = Instant::now();
        signal(&child, "TERM");
        assert_eq!(child.wait().expect("its end").code(), Some(1));
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "{task}: {:?}",
            asked.elapsed()
        );
    }
}

pub(super) fn a_signal_is_heard_while_setup_runs() {
    let mut child = spawn(
        echo(&["--provider", "memory"])
            .env("ECHO_SETUP", "slow")
            .env("RUST_LOG", "debug"),
    );
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
    let mut log = String::new();
    child
        .stderr
        .take()
        .expect("stderr")
        .read_to_string(&mut log)
        .expect("its log");
    assert!(log.contains("stopped before it had started"), "{log}");
}

pub(super) fn a_signal_while_a_start_hook_runs_drains_what_was_received() {
    let mut child = spawn(echo(&["--provider", "memory"]).env("ECHO_SETUP", "nap"));
    let mut log = BufReader::new(child.stderr.take().expect("stderr"));
    wait_for(&mut log, "at work");
    signal(&child, "TERM");
    wait_for(&mut log, "stopping: SIGTERM");
    wait_for(&mut log, "rested");
    wait_for(&mut log, "stopped");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

pub(super) fn a_second_signal_while_a_start_hook_runs_cuts_off_what_runs() {
    let mut child = spawn(echo(&["--provider", "memory"]).env("ECHO_SETUP", "sleep"));
    let mut log = BufReader::new(child.stderr.take().expect("stderr"));
    wait_for(&mut log, "at work");
    signal(&child, "TERM");
    wait_for(&mut log, "stopping: SIGTERM");
    signal_again(&child, "TERM");
    wait_for(&mut log, "cancelling what still runs");
    assert_eq!(child.wait().expect("its end").code(), Some(1));
}
