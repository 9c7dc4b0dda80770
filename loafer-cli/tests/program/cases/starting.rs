//! What is told of a service that does not start.

use crate::child::{echo, output, text};

pub(super) fn a_setup_that_fails_is_told_in_one_line() {
    let done = output(
        echo(&["--provider", "memory"]).env("ECHO_SETUP", "fail"),
        "",
    );
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(
        text(&done.stderr),
        "error: echo can't start: `setup` failed: no database: connection refused\n"
    );
}

pub(super) fn a_setup_that_panics_is_told_with_its_place() {
    let done = output(
        echo(&["--provider", "memory"]).env("ECHO_SETUP", "panic"),
        "",
    );
    let log = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{log}");
    assert!(
        log.contains("panicked: no DATABASE_URL at=\"loafer-cli/tests/program/service.rs:"),
        "{log}"
    );
    assert!(
        log.contains("error: echo can't start: `setup` or a hook panicked"),
        "{log}"
    );
}

pub(super) fn what_is_wrong_is_told_before_anything_starts() {
    let cases = [
        (
            &["--provider", "memroy"][..],
            1,
            "error: echo can't start: unknown broker `memroy`; did you mean `memory`?",
        ),
        (
            &["--only", "ecko"],
            1,
            "error: echo can't start: unknown route `ecko`; did you mean `echo`?",
        ),
        (
            &["--config", "/nowhere.toml"],
            1,
            "error: echo can't start: the configuration `/nowhere.toml` can't be read",
        ),
        (&["--drain", "30"], 2, "`30` is no duration"),
    ];
    for (arguments, code, reason) in cases {
        let done = output(&mut echo(arguments), "");
        let log = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{log}");
        assert!(log.contains(reason), "{log}");
    }
}
