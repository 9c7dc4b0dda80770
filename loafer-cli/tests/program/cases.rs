//! What is held of a program: stdin, stdout, stderr, signals, exit codes.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Every one of them, by name.
pub(crate) const ALL: &[(&str, fn())] = &[
    (
        "queues_are_named_after_the_package_the_setup_or_the_file",
        queues_are_named_after_the_package_the_setup_or_the_file,
    ),
    ("two_signals_at_once_are_one", two_signals_at_once_are_one),
    (
        "lines_of_stdin_are_handled_and_their_end_ends_it",
        lines_of_stdin_are_handled_and_their_end_ends_it,
    ),
    (
        "a_failed_message_is_named_and_given_up",
        a_failed_message_is_named_and_given_up,
    ),
    (
        "json_logs_are_objects_that_name_the_message",
        json_logs_are_objects_that_name_the_message,
    ),
    (
        "once_handles_what_is_there_and_exits",
        once_handles_what_is_there_and_exits,
    ),
    (
        "an_idle_service_stops_soon_after_its_signal",
        an_idle_service_stops_soon_after_its_signal,
    ),
    (
        "a_second_signal_cuts_off_what_runs",
        a_second_signal_cuts_off_what_runs,
    ),
    (
        "the_drain_deadline_ends_even_a_handler_that_blocks",
        the_drain_deadline_ends_even_a_handler_that_blocks,
    ),
    (
        "a_setup_that_fails_is_told_in_one_line",
        a_setup_that_fails_is_told_in_one_line,
    ),
    (
        "a_signal_is_heard_while_setup_runs",
        a_signal_is_heard_while_setup_runs,
    ),
    (
        "a_signal_while_a_start_hook_runs_drains_what_was_received",
        a_signal_while_a_start_hook_runs_drains_what_was_received,
    ),
    (
        "a_second_signal_while_a_start_hook_runs_cuts_off_what_runs",
        a_second_signal_while_a_start_hook_runs_cuts_off_what_runs,
    ),
    (
        "the_table_is_all_there_is_on_stdout",
        the_table_is_all_there_is_on_stdout,
    ),
    ("check_says_what_it_found", check_says_what_it_found),
    (
        "publishing_in_memory_is_refused_with_what_to_do_instead",
        publishing_in_memory_is_refused_with_what_to_do_instead,
    ),
    (
        "dead_letters_in_memory_are_refused",
        dead_letters_in_memory_are_refused,
    ),
    (
        "a_setup_that_panics_is_told_with_its_place",
        a_setup_that_panics_is_told_with_its_place,
    ),
    #[cfg(feature = "sentry")]
    (
        "a_failure_is_reported_before_the_program_ends",
        a_failure_is_reported_before_the_program_ends,
    ),
    #[cfg(feature = "sentry")]
    (
        "a_wrong_dsn_is_told_and_not_repeated",
        a_wrong_dsn_is_told_and_not_repeated,
    ),
    (
        "what_is_wrong_is_told_before_anything_starts",
        what_is_wrong_is_told_before_anything_starts,
    ),
];

/// The service, with this command line.
fn echo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test's path"));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env_clear().env(crate::SERVICE, "1");
    command
}

fn spawn(command: &mut Command) -> Child {
    command.spawn().expect("a child process")
}

fn output(command: &mut Command, stdin: &str) -> Output {
    let mut child = spawn(command);
    // It may have ended without reading.
    _ = child
        .stdin
        .take()
        .expect("stdin")
        .write_all(stdin.as_bytes());
    child.wait_with_output().expect("its end")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("utf-8")
}

/// Reads until a line contains this.
fn wait_for(lines: &mut BufReader<ChildStderr>, part: &str) {
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

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

/// A signal of its own: one that comes at once after another is the same.
fn signal_again(child: &Child, name: &str) {
    std::thread::park_timeout(Duration::from_millis(250));
    signal(child, name);
}

fn lines_of_stdin_are_handled_and_their_end_ends_it() {
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

fn a_failed_message_is_named_and_given_up() {
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
        log.contains("given up: these messages are dead letters route=\"echo\" messages=2"),
        "{log}"
    );
}

fn json_logs_are_objects_that_name_the_message() {
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

fn once_handles_what_is_there_and_exits() {
    let done = output(
        &mut echo(&["--once", "--only", "shout", "--provider", "memory"]),
        "shout a\nshout b\n",
    );
    let log = text(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{log}");
    assert!(log.contains(" A ") && log.contains(" B "), "{log}");
}

fn an_idle_service_stops_soon_after_its_signal() {
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

fn a_second_signal_cuts_off_what_runs() {
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

fn two_signals_at_once_are_one() {
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

fn the_drain_deadline_ends_even_a_handler_that_blocks() {
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

fn a_setup_that_fails_is_told_in_one_line() {
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

fn a_signal_is_heard_while_setup_runs() {
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

fn a_signal_while_a_start_hook_runs_drains_what_was_received() {
    let mut child = spawn(echo(&["--provider", "memory"]).env("ECHO_SETUP", "nap"));
    let mut log = BufReader::new(child.stderr.take().expect("stderr"));
    wait_for(&mut log, "at work");
    signal(&child, "TERM");
    wait_for(&mut log, "stopping: SIGTERM");
    wait_for(&mut log, "rested");
    wait_for(&mut log, "stopped");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

fn a_second_signal_while_a_start_hook_runs_cuts_off_what_runs() {
    let mut child = spawn(echo(&["--provider", "memory"]).env("ECHO_SETUP", "sleep"));
    let mut log = BufReader::new(child.stderr.take().expect("stderr"));
    wait_for(&mut log, "at work");
    signal(&child, "TERM");
    wait_for(&mut log, "stopping: SIGTERM");
    signal_again(&child, "TERM");
    wait_for(&mut log, "cutting off what still runs");
    assert_eq!(child.wait().expect("its end").code(), Some(1));
}

/// What is made for the service on brokers that name it after the app.
fn queues_are_named_after_the_package_the_setup_or_the_file() {
    let queue_of = |variables: &[(&str, &str)]| {
        let mut routes = echo(&["routes"]);
        routes
            .env("ECHO_NAMED", "1")
            .envs(variables.iter().copied());
        let table = text(&output(&mut routes, "").stdout).to_owned();
        let line = table.lines().find(|line| line.starts_with("named "));
        let queue = line.and_then(|line| line.split_whitespace().nth(1));
        queue.unwrap_or("none").to_owned()
    };
    assert_eq!(queue_of(&[]), "named-of-echo-package");
    let renamed = ("ECHO_SETUP", "rename");
    assert_eq!(queue_of(&[renamed]), "named-of-renamed");
    assert_eq!(
        queue_of(&[renamed, ("LOAFER_APP", "operated")]),
        "named-of-operated"
    );
    assert_eq!(queue_of(&[("ECHO_SETUP", "fail")]), "named-of-echo-package");
}

fn the_table_is_all_there_is_on_stdout() {
    let done = output(&mut echo(&["routes"]), "");
    let table = text(&done.stdout);
    assert_eq!(done.status.code(), Some(0));
    assert!(done.stderr.is_empty());
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(
        table.starts_with("ROUTE  QUEUE  PROVIDER  TRANSLATOR  CONCURRENCY  TAKES  HANDLER"),
        "{table}"
    );
    assert!(
        table.contains("memory    Json        10           all    program::service::echo"),
        "{table}"
    );

    let done = output(
        echo(&["routes"])
            .env("LOAFER_ROUTES__ECHO__QUEUE", "elsewhere")
            .env("ECHO_SETUP", "fail"),
        "",
    );
    assert_eq!(done.status.code(), Some(0));
    assert!(text(&done.stdout).contains("elsewhere"));
    assert!(text(&done.stderr).contains("what `setup` would change is not shown"));
}

fn check_says_what_it_found() {
    let done = output(&mut echo(&["check", "--provider", "memory"]), "");
    assert_eq!(done.status.code(), Some(0));
    let report = text(&done.stdout);
    assert!(
        report.contains("echo\n  ✓ queue `echo` is in memory"),
        "{report}"
    );
    assert!(
        report.ends_with("2 routes: 0 problems, 0 warnings\n"),
        "{report}"
    );
}

fn publishing_in_memory_is_refused_with_what_to_do_instead() {
    let done = output(&mut echo(&["publish", "echo"]), "{}");
    assert_eq!(done.status.code(), Some(1));
    let log = text(&done.stderr);
    assert!(
        log.starts_with("error: echo can't publish: route `echo` is in memory"),
        "{log}"
    );
    assert!(log.contains("| echo --provider memory"), "{log}");
}

fn dead_letters_in_memory_are_refused() {
    let done = output(&mut echo(&["dead-letters", "echo", "list"]), "");
    assert_eq!(done.status.code(), Some(1));
    let log = text(&done.stderr);
    let refused = "error: echo can't work with its dead letters: route `echo` is in memory";
    assert!(log.starts_with(refused), "{log}");
    let done = output(&mut echo(&["dead-letters", "ecko", "list"]), "");
    let log = text(&done.stderr);
    assert!(log.contains("did you mean `echo`?"), "{log}");
}

fn what_is_wrong_is_told_before_anything_starts() {
    let cases = [
        (&["--provider", "sqz"][..], 2, "[possible values: memory]"),
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

#[cfg(feature = "sentry")]
fn a_wrong_dsn_is_told_and_not_repeated() {
    let done = output(
        echo(&["--provider", "memory"]).env("SENTRY_DSN", "https://hush@nowhere"),
        "",
    );
    let log = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{log}");
    assert!(
        log.starts_with("error: echo can't start: `SENTRY_DSN` is no DSN"),
        "{log}"
    );
    assert!(!log.contains("hush"), "{log}");
}

#[cfg(feature = "sentry")]
fn a_failure_is_reported_before_the_program_ends() {
    let endpoint = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let dsn = format!(
        "http://public@127.0.0.1:{}/1",
        endpoint.local_addr().expect("an address").port()
    );
    let posted = std::thread::spawn(move || {
        let (mut stream, _) = endpoint.accept().expect("a connection");
        let mut request = String::new();
        let mut lines = BufReader::new(stream.try_clone().expect("a clone"));
        while !request.contains("told to fail") {
            assert_ne!(
                lines.read_line(&mut request).expect("a line"),
                0,
                "{request}"
            );
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .expect("an answer");
        request
    });
    let mut service = echo(&["--once", "--provider", "memory"]);
    let done = output(
        service.env("SENTRY_DSN", dsn),
        "echo {\"do\":\"fail\",\"card\":\"4111\"}\n",
    );
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let request = posted.join().expect("a report");
    assert!(
        request.contains("\"release\":\"echo@") && !request.contains("4111"),
        "{request}"
    );
}

fn a_setup_that_panics_is_told_with_its_place() {
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
