//! Command lines: what they mean, and which are refused.

use loafer_memory::Memory;
use loafer_runtime::program::BrokerKind;

use super::*;
use crate::dead_letters::Chosen;

fn parsed(line: &str) -> Result<Args, Error> {
    let program = Program {
        name: "friends",
        package: "friends",
        version: "1.2.3",
        brokers: &[BrokerKind::of::<Memory>()],
    };
    parse(
        program,
        ["friends"]
            .into_iter()
            .chain(line.split_whitespace())
            .map(OsString::from),
    )
}

fn refused(line: &str) -> (i32, String) {
    let error = parsed(line).expect_err("should be refused");
    (error.exit_code(), error.to_string())
}

#[test]
fn run_is_the_default() {
    let args = parsed("").expect("parses");
    assert_eq!(
        (args.global.log_format, args.global.provider.clone()),
        (LogFormat::Text, None)
    );
    assert_eq!(args.into_command(), Command::Run(RunArgs::default()));
}

#[test]
fn the_options_of_run_mean_the_same_with_and_without_the_word() {
    let expected = RunArgs {
        only: vec!["a".into(), "b".into()],
        drain: Some(Duration::from_secs(90)),
        once: true,
    };
    let options = "--only a --only b --drain 1m30s --once";
    for line in [
        options.to_owned(),
        format!("run {options}"),
        "--once run --only a --only b --drain 90s".to_owned(),
    ] {
        assert_eq!(
            parsed(&line).expect("parses").into_command(),
            Command::Run(expected.clone()),
            "{line}"
        );
    }
}

#[test]
fn global_options_stand_before_and_after_the_command() {
    for line in [
        "--provider memory --config x.toml routes",
        "routes --provider memory --config x.toml",
    ] {
        let args = parsed(line).expect("parses");
        assert_eq!(args.global.provider.as_deref(), Some("memory"));
        assert_eq!(args.global.config, Some("x.toml".into()));
        assert_eq!(args.into_command(), Command::Routes);
    }
}

#[test]
fn global_options_are_printed_as_they_were_given() {
    let given = |line| parsed(line).expect("parses").global.as_given();
    assert_eq!(given("routes"), "");
    assert_eq!(
        given("--config conf/x.toml dead-letters orders purge --provider legacy"),
        " --provider legacy --config conf/x.toml"
    );
    assert_eq!(quoted("it's mine.toml"), r"'it'\''s mine.toml'");
}

#[test]
fn what_belongs_to_run_is_refused_elsewhere() {
    let (code, text) = refused("--once check");
    assert_eq!(code, 2);
    assert!(text.contains("options of `run`"), "{text}");
    assert_eq!(refused("check --once").0, 2);
}

#[test]
fn a_duration_without_a_unit_is_refused_with_an_example() {
    let (_, text) = refused("--drain 30");
    assert!(
        text.contains("`30` is no duration") && text.contains("\"20s\""),
        "{text}"
    );
}

#[test]
fn headers_of_a_message_are_read_and_each_is_given_once() {
    let line = "publish orders --header event-type=order.placed --header tenant=acme --group g";
    let command = format!("{:?}", parsed(line).expect("parses").into_command());
    assert!(command.contains(r#"("tenant", "acme")"#), "{command}");
    let (code, text) = refused("publish orders --header event-type");
    assert_eq!(code, 2);
    assert!(
        text.contains("--header <NAME=VALUE>") && text.contains("it has no `=`"),
        "{text}"
    );
    let (code, text) = refused("publish orders --header a=1 --header a=2");
    assert_eq!(code, 2);
    assert!(text.contains("the header `a` is given twice"), "{text}");
    assert_eq!(refused("publish orders --group=").0, 2);
}

#[test]
fn dead_letters_are_chosen_by_id_or_all_of_them() {
    let action = |line: &str| match parsed(line).expect("parses").into_command() {
        Command::DeadLetters { route, action, .. } => (route, action),
        other => panic!("{other:?}"),
    };
    let chosen = |ids: &[&str], all| Chosen {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        all,
        rate: None,
    };
    let (route, retry) = action("dead-letters orders retry 1 2");
    assert_eq!(route.as_deref(), Some("orders"));
    assert_eq!(retry, Action::Retry(chosen(&["1", "2"], false)));
    let moved = Action::Move {
        chosen: chosen(&[], true),
        to: "parked".into(),
    };
    let line = "dead-letters orders move --all --to parked --provider memory";
    assert_eq!(action(line).1, moved);
    let paced = Chosen {
        rate: Some(20),
        ..chosen(&[], true)
    };
    let line = "dead-letters --all-routes retry --all --rate 20";
    assert_eq!(action(line), (None, Action::Retry(paced)));
    for wrong in [
        "",
        "list",
        "orders list",
        "show 1",
        "retry 1",
        "move 1 --to parked",
    ] {
        let line = format!("dead-letters --all-routes {wrong}");
        let refused = wrong != "list" && parsed(&line).is_ok();
        assert!(!refused, "{wrong}");
    }
    for wrong in [
        "retry",
        "retry 1 --all",
        "move 1",
        "show",
        "list 1",
        "retry --all --rate 0",
    ] {
        assert_eq!(
            refused(&format!("dead-letters orders {wrong}")).0,
            2,
            "{wrong}"
        );
    }
}

#[test]
fn help_and_version_are_no_failures() {
    let (code, text) = refused("--version");
    assert_eq!((code, text.as_str()), (0, "friends 1.2.3\n"));
    let (code, text) = refused("--help");
    assert_eq!(code, 0);
    for part in [
        "run",
        "routes",
        "check",
        "publish",
        "dead-letters",
        "--provider",
        "Exit codes",
        "RUST_LOG",
        "SENTRY_DSN",
        "friends check",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains("SERVICE"), "{text}");
    assert!(
        refused("run --help")
            .1
            .contains("lines `ROUTE JSON` on stdin")
    );
}
