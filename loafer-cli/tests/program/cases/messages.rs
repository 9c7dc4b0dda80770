//! Messages from stdin, and what the log says of them.

use serde_json::Value;

use crate::child::{echo, output, text};

pub(super) fn lines_of_stdin_are_handled_and_their_end_ends_it() {
    let done = output(
        &mut echo(&["--provider", "memory"]),
        "echo {\"a\":1}\n\nnope 1\nshout hello there",
    );
    let log = text(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{log}");
    assert!(done.stdout.is_empty(), "stdout is for what was asked for");
    assert!(
        log.contains("echo attempt=1 value={\"a\":1} route=echo message_id="),
        "{log}"
    );
    assert!(log.contains("HELLO THERE"), "{log}");
    assert!(
        log.contains("WARN line 3 of stdin was not published: unknown route `nope`"),
        "{log}"
    );
    assert!(!log.contains('\u{1b}'), "no colours on a pipe: {log}");
}

pub(super) fn a_failed_message_is_named_and_given_up() {
    let done = output(
        &mut echo(&["run", "--provider", "memory"]),
        "echo {\"do\":\"fail\"}\necho {\"do\":\"panic\"}\n",
    );
    let log = text(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{log}");
    let failed = log
        .lines()
        .find(|line| line.contains("told to fail"))
        .expect("a line");
    for part in ["ERROR", "route=echo", "message_id=", "attempt=1", "body="] {
        assert!(failed.contains(part), "{failed}");
        assert_eq!(failed.matches(part).count(), 1, "{failed}");
    }
    assert!(
        log.contains("panicked: told to panic at=\"loafer-cli/tests/program/service.rs:"),
        "{log}"
    );
    assert!(
        !log.contains("thread '"),
        "the standard library's text is not wanted: {log}"
    );
    assert!(
        log.contains("given up after too many attempts: these messages are dead letters, and end with this process route=\"echo\" messages=2"),
        "{log}"
    );
}

pub(super) fn json_logs_are_objects_that_name_the_message() {
    let done = output(
        &mut echo(&["--provider", "memory", "--log-format", "json"]),
        "echo {\"a\":1}\n",
    );
    let log = text(&done.stderr);
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let echoed = lines
        .iter()
        .find(|line| line["message"] == "echo")
        .expect("the handler's line");
    assert_eq!(echoed["span"]["route"], "echo");
    assert_eq!(echoed["span"]["attempt"], 1);
    assert!(echoed["span"]["message_id"].is_string(), "{echoed}");
}

pub(super) fn once_handles_what_is_there_and_exits() {
    let done = output(
        &mut echo(&["--once", "--only", "shout", "--provider", "memory"]),
        "shout a\nshout b\n",
    );
    let log = text(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{log}");
    assert!(log.contains(" A ") && log.contains(" B "), "{log}");
}
