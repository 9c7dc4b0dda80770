//! Signals, and what still runs when they come.

use std::{
    io::{BufReader, Write as _},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::child::{echo, signal, signal_again, spawn, wait_for};

pub(super) fn an_idle_service_stops_soon_after_its_signal() {
    for name in ["TERM", "INT", "QUIT", "HUP"] {
        if name == "HUP" && hangup_is_ignored() {
            continue;
        }
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
    let mut log = BufReader::new(child.stderr.take().expect("stderr"));
    wait_for(&mut log, "setting up");
    signal(&child, "TERM");
    wait_for(&mut log, "stopped before it had started");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
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

/// Whether whoever runs these tests ignores SIGHUP, as `nohup` does: so do its children.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_none_or(|set| u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & 1 == 1))
}

pub(super) fn a_hangup_that_is_ignored_or_reloads_stops_nothing() {
    let mut service = echo(&["--provider", "memory"]);
    let mut ignoring = Command::new("sh");
    ignoring
        .args(["-c", "trap '' HUP; exec \"$0\" --provider memory"])
        .arg(service.get_program())
        .env_clear()
        .env(crate::SERVICE, "1")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    service.env("ECHO_SETUP", "reload");
    for (mut command, said) in [(ignoring, None), (service, Some("reloaded"))] {
        let mut child = spawn(&mut command);
        let mut log = BufReader::new(child.stderr.take().expect("stderr"));
        wait_for(&mut log, "running");
        signal(&child, "HUP");
        if let Some(said) = said {
            wait_for(&mut log, said);
        }
        // It still serves.
        let mut stdin = child.stdin.take().expect("stdin");
        writeln!(stdin, "shout taken").expect("written");
        wait_for(&mut log, "TAKEN");
        signal(&child, "TERM");
        wait_for(&mut log, "stopping: SIGTERM");
        assert_eq!(child.wait().expect("its end").code(), Some(0));
    }
}

/// What may block or hang, what the log says of it, and the exit code. A start hook that is given up costs no message.
pub(super) fn whatever_hangs_the_end_comes_within_four_seconds_of_the_drain() {
    let setups = [
        ("block", "`setup` or a hook blocks its thread", 1),
        ("block-started", "stopped", 0),
        ("block-stop", "it took longer than there was time", 1),
        ("hang-stop", "it took longer than there was time", 1),
        ("block-all", "code that blocks has the threads", 1),
    ];
    let cases = setups
        .map(|(setup, said, code)| std::thread::spawn(move || ends_in_time(setup, said, code)));
    for case in cases {
        case.join().expect("it ends in time");
    }
}

fn ends_in_time(setup: &str, said: &str, code: i32) {
    let mut child =
        spawn(echo(&["--provider", "memory", "--drain", "200ms"]).env("ECHO_SETUP", setup));
    let mut log = BufReader::new(child.stderr.take().expect("stderr"));
    let mut stdin = child.stdin.take().expect("stdin");
    match setup {
        "block-all" => {
            for _ in 0..64 {
                writeln!(stdin, "echo {{\"do\":\"block\"}}").expect("written");
            }
            // Nothing that needs a thread of the runtime can tell that all are taken.
            std::thread::sleep(Duration::from_secs(1));
        }
        "block" | "block-started" => wait_for(&mut log, "at work"),
        _ => wait_for(&mut log, "running"),
    }
    let asked = Instant::now();
    signal(&child, "TERM");
    wait_for(&mut log, said);
    let ended = child.wait().expect("its end");
    assert_eq!(ended.code(), Some(code), "{setup}");
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(6), "{setup}: {took:?}");
}

pub(super) fn a_log_that_nobody_reads_does_not_hold_up_the_end() {
    let mut child = spawn(&mut echo(&["--provider", "memory", "--drain", "200ms"]));
    let mut stdin = child.stdin.take().expect("stdin");
    let long = "x".repeat(1 << 16);
    for _ in 0..16 {
        writeln!(stdin, "shout {long}").expect("written");
    }
    let mut log = BufReader::new(child.stderr.take().expect("stderr"));
    wait_for(&mut log, "running");
    let asked = Instant::now();
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("its end").code(), Some(1));
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    drop(log);
}
