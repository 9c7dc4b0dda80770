//! The commands beside `run`.

use crate::child::{echo, output, text};

pub(super) fn the_table_is_all_there_is_on_stdout() {
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

/// What is made for the service on brokers that name it after the app.
pub(super) fn queues_are_named_after_the_package_the_setup_or_the_file() {
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

/// A second broker, that only the environment names.
pub(super) fn routes_run_on_the_broker_that_is_named() {
    let brokers = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut routes = echo(arguments);
        routes
            .env("ECHO_NAMED", "1")
            .env("LOAFER_BROKERS__LEGACY__KIND", "named")
            .envs(variables.iter().copied());
        let done = output(&mut routes, "");
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        let broker = |line: &str| line.split_whitespace().nth(2).map(str::to_owned);
        let table = text(&done.stdout);
        let brokers: Vec<_> = table.lines().skip(1).filter_map(broker).collect();
        brokers
    };
    let named = brokers(&["routes"], &[]);
    assert_eq!(named, ["memory", "named", "memory"]);
    let moved = [("LOAFER_ROUTES__NAMED__BROKER", "legacy")];
    let moved = brokers(&["routes"], &moved);
    assert_eq!(moved, ["memory", "legacy", "memory"]);
    let all = brokers(&["--provider", "legacy", "routes"], &[]);
    assert_eq!(all, ["legacy"; 3]);
    let help = output(&mut echo(&["--help"]), "");
    let help = text(&help.stdout);
    assert!(help.contains("memory, or one under [brokers]"), "{help}");
}

pub(super) fn check_says_what_it_found() {
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

pub(super) fn publishing_in_memory_is_refused_with_what_to_do_instead() {
    let done = output(&mut echo(&["publish", "echo"]), "{}");
    assert_eq!(done.status.code(), Some(1));
    let log = text(&done.stderr);
    assert!(
        log.starts_with("error: echo can't publish: route `echo` is in memory"),
        "{log}"
    );
    assert!(log.contains("| echo --provider memory"), "{log}");
}

pub(super) fn dead_letters_in_memory_are_refused() {
    let done = output(&mut echo(&["dead-letters", "echo", "list"]), "");
    assert_eq!(done.status.code(), Some(1));
    let log = text(&done.stderr);
    let refused = "error: echo can't access its dead letters: route `echo` is in memory";
    assert!(log.starts_with(refused), "{log}");
    let done = output(&mut echo(&["dead-letters", "ecko", "list"]), "");
    let log = text(&done.stderr);
    assert!(log.contains("did you mean `echo`?"), "{log}");
}

/// The dead letters of all routes on a broker that has some.
fn of_all_routes(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let line = [&["dead-letters", "--all-routes"], arguments].concat();
    let mut command = echo(&line);
    command
        .env("ECHO_NAMED", "1")
        .envs(variables.iter().copied());
    let done = output(&mut command, "");
    let (out, log) = (text(&done.stdout), text(&done.stderr));
    (done.status.code(), out.to_owned(), log.to_owned())
}

pub(super) fn dead_letters_of_all_routes_are_listed_once_for_each_queue() {
    let shared = [
        ("LOAFER_ROUTES__ECHO__QUEUE", "both"),
        ("LOAFER_ROUTES__SHOUT__QUEUE", "both"),
    ];
    let list = ["list", "--json", "--provider", "named"];
    let (code, out, log) = of_all_routes(&list, &shared);
    assert_eq!(code, Some(0), "{log}");
    // Each opening adds two: the shared queue was opened twice and listed once.
    assert_eq!(out.lines().count(), 4 + 2, "{out}");
    assert!(out.contains(r#""dead_letter_queue":"both-dlq""#), "{out}");
    assert!(out.contains(r#""routes":["echo","shout"]"#), "{out}");

    let retry = ["retry", "--all", "--provider", "named"];
    let (code, _, log) = of_all_routes(&retry, &shared);
    assert_eq!(
        (code, log.matches("tried again").count()),
        (Some(0), 3),
        "{log}"
    );

    let (code, _, log) = of_all_routes(&["purge", "--provider", "named"], &shared);
    assert_eq!(code, Some(1), "{log}");
    let how = "run `echo dead-letters --all-routes purge --yes --provider named`";
    assert!(log.contains(how), "{log}");
}

pub(super) fn a_route_that_can_not_be_read_hides_no_other() {
    let (code, out, log) = of_all_routes(&["list"], &[]);
    assert_eq!(code, Some(1), "{log}");
    let heading = "named-of-echo-package-dlq, of named:\nID ";
    assert!(out.starts_with(heading), "{out}");
    assert_eq!(out.lines().count(), 4, "{out}");
    for route in ["echo", "shout"] {
        let refused = format!("error: route `{route}`: route `{route}` is in memory");
        assert!(log.contains(&refused), "{log}");
    }
}
